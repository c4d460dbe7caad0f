//! Times and durations as parameters spell them.

use std::time::Duration;

use tributary_query::source::TimeMs;

use super::error::{ApiError, excerpt};
use crate::http::rfc3339;

/// As far from the epoch as a query may ask; far enough within `i64` for sums.
const MAX_MS: f64 = (i64::MAX / 1_000) as f64;

/// Seconds since the epoch, with decimals, or RFC 3339.
pub(super) fn time(name: &str, text: &str) -> Result<TimeMs, ApiError> {
    let seconds = text.parse::<f64>().ok().map(|seconds| (seconds * 1_000.0).round());
    let unix = seconds.filter(|ms| ms.abs() < MAX_MS).map(|ms| ms as TimeMs);
    unix.or_else(|| rfc3339::parse(text)).ok_or_else(|| {
        let text = excerpt(text, 100);
        ApiError::bad_parameter(name, format!("cannot parse {text:?} to a valid timestamp"))
    })
}

/// Seconds, with decimals, or a duration of PromQL such as `1h30m`, in milliseconds. It may be
/// negative, since what that means is the caller's to say.
pub(super) fn duration_ms(name: &str, text: &str) -> Result<TimeMs, ApiError> {
    let seconds = text.parse::<f64>().ok().map(|seconds| (seconds * 1_000.0).round());
    let plain = seconds.filter(|ms| ms.abs() < MAX_MS).map(|ms| ms as TimeMs);
    plain.or_else(|| with_units(text)).ok_or_else(|| {
        let text = excerpt(text, 100);
        ApiError::bad_parameter(name, format!("cannot parse {text:?} to a valid duration"))
    })
}

/// A duration that has to be positive.
pub(super) fn span(name: &str, text: &str) -> Result<Duration, ApiError> {
    let ms = u64::try_from(duration_ms(name, text)?).ok().filter(|ms| *ms > 0);
    ms.map(Duration::from_millis)
        .ok_or_else(|| ApiError::bad_parameter(name, "a positive duration is expected"))
}

/// Largest unit first, each at most once.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

fn with_units(text: &str) -> Option<TimeMs> {
    let mut units = UNITS.iter();
    let mut total: TimeMs = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(unit_at);
        let number_at = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(number_at);
        let (_, ms) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*ms)?)?;
        rest = after;
    }
    (!text.is_empty() && (total as f64) < MAX_MS).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        for (text, ms) in [
            ("0", 0),
            ("1767361020.25", 1_767_361_020_250),
            ("1767361020.2504", 1_767_361_020_250),
            ("-1.5", -1_500),
            ("1.5e9", 1_500_000_000_000),
            ("2026-01-02T13:37:00.25Z", 1_767_361_020_250),
        ] {
            assert_eq!(time("time", text).unwrap(), ms, "{text}");
        }
        for text in ["", "yesterday", "NaN", "inf", "1e300", "2026-01-02"] {
            assert!(time("time", text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_in_units() {
        for (text, ms) in [
            ("15", 15_000),
            ("0.5", 500),
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1d12h", 129_600_000),
            ("1y", 31_536_000_000),
            ("-1", -1_000),
        ] {
            assert_eq!(duration_ms("step", text).unwrap(), ms, "{text}");
        }
        for text in
            ["", "s", "15x", "1m1h", "1s1s", "-1s", "1.5h", "9999999999999999y", "99999999y"]
        {
            assert!(duration_ms("step", text).is_err(), "{text}");
        }
        assert!(span("timeout", "0").is_err() && span("timeout", "-3").is_err());
    }
}
