//! The health port, 13133: that the node is there, and since when.
//!
//! Paths and shape are those of the Collector's `health_check` extension, so that what probes a
//! Collector probes this as well. Credentials are neither asked for nor looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use tributary_edge::Clock;

use crate::http::rfc3339;

/// Available since now. The node serves this once all of its ports answer.
pub fn router(clock: Arc<dyn Clock>) -> Router {
    let since_ms = clock.now_ms();
    let report = move || {
        let clock = clock.clone();
        async move { Report::new(since_ms, clock.now_ms()).into_response() }
    };
    Router::new()
        .route("/", get(report.clone()))
        .route("/health", get(report.clone()))
        .route("/health/status", get(report))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "not found: ask /health or /health/status\n")
        })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    status: &'static str,
    up_since: String,
    uptime: String,
}

impl Report {
    fn new(since_ms: i64, now_ms: i64) -> Self {
        // The clock may have been set back.
        let uptime = Duration::from_millis(u64::try_from(now_ms - since_ms).unwrap_or(0));
        Report {
            status: "Server available",
            up_since: rfc3339::format(since_ms),
            uptime: go_duration(uptime),
        }
    }

    fn into_response(self) -> impl IntoResponse {
        let body = serde_json::to_string(&self).expect("strings serialise");
        ([(header::CONTENT_TYPE, "application/json")], body)
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
    use super::*;

    #[test]
    fn report_has_the_shape_of_the_collectors() {
        let report = Report::new(1_767_361_020_250, 1_767_361_020_250 + 3_723_500);
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"status":"Server available","upSince":"2026-01-02T13:37:00.250Z","uptime":"1h2m3.5s"}"#
        );
    }

    #[test]
    fn clock_set_back_makes_no_negative_uptime() {
        assert_eq!(Report::new(5_000, 0).uptime, "0s");
    }
}
