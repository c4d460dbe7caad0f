//! Days and months of the civil calendar, in milliseconds since 1970: where months turn is where stores err.

pub(crate) const SECOND_MS: i64 = 1000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The first millisecond of a month; months beyond 12 are those of later years.
pub(crate) fn month_start(year: i64, month: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    days_from_civil(year, month) * DAY_MS
}

/// Year and month that a time is in.
pub(crate) fn month_of(time_ms: i64) -> (i64, i64) {
    let (year, month, _) = civil(time_ms.div_euclid(DAY_MS));
    (year, month)
}

/// As a person would write it.
pub(crate) fn text(time_ms: i64) -> String {
    match time_ms {
        i64::MIN => return "the beginning of time".into(),
        i64::MAX => return "the end of time".into(),
        _ => {}
    }
    let (year, month, day) = civil(time_ms.div_euclid(DAY_MS));
    let of_day = time_ms.rem_euclid(DAY_MS);
    let (hour, minute) = (of_day / HOUR_MS, of_day % HOUR_MS / MINUTE_MS);
    let (second, ms) = (of_day % MINUTE_MS / SECOND_MS, of_day % SECOND_MS);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}")
}

/// Days from 1970 to the first of a month: years begin in March here, so that the leap day is their last.
/// See <https://howardhinnant.github.io/date_algorithms.html>.
fn days_from_civil(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 1970 + days.div_euclid(366);
    while days_from_civil(year + 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| days_from_civil(year, *month) <= days).unwrap_or(1);
    (year, month, days - days_from_civil(year, month) + 1)
}

#[test]
fn months_turn_where_they_do() {
    assert_eq!(month_start(1970, 1), 0);
    assert_eq!(month_start(2024, 3) - month_start(2024, 2), 29 * DAY_MS);
    assert_eq!(month_start(2025, 13), month_start(2026, 1));
    assert_eq!(text(month_start(2026, 4) - 1), "2026-03-31T23:59:59.999");
    assert_eq!(text(-1), "1969-12-31T23:59:59.999");
    assert_eq!(month_of(month_start(2026, 1) - 1), (2025, 12));
}
