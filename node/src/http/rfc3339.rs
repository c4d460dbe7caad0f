//! RFC 3339 times, to the millisecond.

use std::fmt::Write;

const DAY_MS: i64 = 86_400_000;

/// Writes a time in UTC, with as many decimals of a second as it needs: none or three.
pub fn format(time_ms: i64) -> String {
    let (year, month, day) = civil(time_ms.div_euclid(DAY_MS));
    let of_day = time_ms.rem_euclid(DAY_MS);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if millis != 0 {
        write!(text, ".{millis:03}").expect("a string takes all");
    }
    text.push('Z');
    text
}

/// Milliseconds since the epoch; digits beyond the third decimal are cut off. A leap second is the
/// first moment of the next minute.
pub fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let (time, fraction) = time.split_once('.').map_or((time, None), |(t, f)| (t, Some(f)));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let known = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !known || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let millis = fraction.map_or(Some(0), millis)?;
    Some((seconds - offset_seconds(zone)?) * 1_000 + millis)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return (zone.len() == 1).then_some(0),
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn millis(fraction: &str) -> Option<i64> {
    let digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| {
        fraction.bytes().chain(*b"00").take(3).fold(0, |ms, b| ms * 10 + i64::from(b - b'0'))
    })
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number_of, width) in found.iter_mut().zip(widths) {
        *number_of = number(parts.next()?, width)?;
    }
    parts.next().is_none().then_some(found)
}

fn number(text: &str, width: usize) -> Option<i64> {
    let sound = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok())?
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch. Here and below: Howard Hinnant, "chrono-compatible low-level date algorithms";
/// years begin in March, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_read_and_written() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-01-02T13:37:00.250Z", 1_767_361_020_250),
            ("1969-12-31T23:59:59.999Z", -1),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
            assert_eq!(format(ms), text);
        }
    }

    #[test]
    fn every_day_of_800_years_reads_back() {
        for day in -146_097..146_097 {
            assert_eq!(parse(&format(day * DAY_MS)), Some(day * DAY_MS));
        }
    }

    #[test]
    fn offsets_and_fractions_of_any_length_are_read() {
        let noon = parse("2026-01-02T12:00:00Z");
        assert_eq!(parse("2026-01-02T14:00:00+02:00"), noon);
        assert_eq!(parse("2026-01-02T06:30:00-05:30"), noon);
        assert_eq!(parse("2026-01-02T12:00:00.000999999Z"), noon);
        assert_eq!(parse("2026-01-02T12:00:00.5Z"), noon.map(|ms| ms + 500));
        assert_eq!(parse("2026-01-02T11:59:60Z"), noon);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-01-02",
            "2026-01-02T12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T12:00:00.Z",
            "2026-01-02T12:00:00Zulu",
            "2026-01-02T12:00:00+2:00",
            "26-01-02T12:00:00Z",
            "2026-01-02T12:00:00+é:00",
            "２026-01-02T12:00:00Z",
            "+026-01-02T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
