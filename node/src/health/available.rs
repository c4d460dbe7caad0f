//! `/health`: in the shape of the Collector's `health_check` extension, so that what probes a Collector probes
//! this as well.

use std::time::Duration;

use serde::Serialize;

use super::registry::Health;
use crate::http::rfc3339;

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    status: &'static str,
    up_since: String,
    uptime: String,
}

pub(super) fn report(health: &Health) -> Report {
    let since_ms = health.since_ms();
    // The clock may have been set back.
    let uptime = u64::try_from(health.now_ms() - since_ms).unwrap_or(0);
    Report {
        status: if health.is_stopping() { "Server not available" } else { "Server available" },
        up_since: rfc3339::format(since_ms),
        uptime: go_duration(Duration::from_millis(uptime)),
    }
}

/// As Go writes durations: `1h2m3.5s`.
fn go_duration(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    let seconds = match duration.subsec_millis() {
        0 => seconds.to_string(),
        millis => format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned(),
    };
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::super::registry::tests::HandClock;
    use super::*;

    #[test]
    fn report_has_the_shape_of_the_collectors() {
        let clock = Arc::new(HandClock(1_767_361_020_250.into()));
        let health = Health::new(clock.clone());
        clock.0.fetch_add(3_723_500, Ordering::Relaxed);
        let written = || serde_json::to_string(&report(&health)).unwrap();
        assert_eq!(
            written(),
            r#"{"status":"Server available","upSince":"2026-01-02T13:37:00.250Z","uptime":"1h2m3.5s"}"#
        );
        health.stop();
        assert!(written().starts_with(r#"{"status":"Server not available","#), "{}", written());
    }

    #[test]
    fn clock_set_back_makes_no_negative_uptime() {
        let clock = Arc::new(HandClock(5_000.into()));
        let health = Health::new(clock.clone());
        clock.0.store(0, Ordering::Relaxed);
        assert_eq!(report(&health).uptime, "0s");
    }
}
