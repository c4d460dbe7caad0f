//! `/health/status`: each component with its state, in the words of the Collector's `healthcheckv2` extension.
//!
//! Beside them stands what `/health` says or, when asked for, that extension's word for the whole.

use std::collections::BTreeMap;

use serde::Serialize;

use super::available;
use super::registry::{Found, Health, State};
use crate::http::rfc3339;

#[derive(Serialize)]
pub(super) struct Report {
    start_time: String,
    #[serde(flatten)]
    whole: Status,
    components: BTreeMap<String, Status>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Status {
    healthy: bool,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    status_time: String,
}

/// What `/health` says, and the components.
#[derive(Serialize)]
pub(super) struct Brief {
    #[serde(flatten)]
    available: available::Report,
    healthy: bool,
    components: BTreeMap<String, Status>,
}

pub(super) fn brief(health: &Health) -> Brief {
    let Report { whole, components, .. } = report(health);
    Brief { available: available::report(health), healthy: whole.healthy, components }
}

/// The whole is as its worst component.
pub(super) fn report(health: &Health) -> Report {
    let found = health.look();
    let worst = found.iter().find(|found| found.state != State::Ok);
    let whole = if health.is_stopping() {
        Status::new(false, "StatusStopping", None, health.now_ms())
    } else if let Some(worst) = worst {
        Status::of(worst)
    } else {
        let changed = found.iter().map(|found| found.since_ms).chain([health.since_ms()]).max();
        Status::new(true, "StatusOK", None, changed.unwrap_or_default())
    };
    let components = found.iter().map(|found| (found.name.clone(), Status::of(found))).collect();
    Report { start_time: rfc3339::format(health.since_ms()), whole, components }
}

impl Status {
    fn new(healthy: bool, status: &'static str, error: Option<String>, time_ms: i64) -> Self {
        Status { healthy, status, error, status_time: rfc3339::format(time_ms) }
    }

    fn of(found: &Found) -> Self {
        match &found.state {
            State::Ok => Status::new(true, "StatusOK", None, found.since_ms),
            // It serves on, and may get well again by itself.
            State::Degraded { reason } => {
                Status::new(true, "StatusRecoverableError", Some(reason.clone()), found.since_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use serde_json::json;

    use super::super::registry::tests::HandClock;
    use super::*;

    #[test]
    fn report_has_the_shape_of_the_collectors_second_version() {
        let clock = Arc::new(HandClock(1_767_361_020_000.into()));
        let health = Health::new(clock.clone());
        let disk = health.component("disk");
        health.component("page");
        let well =
            json!({"healthy": true, "status": "StatusOK", "status_time": "2026-01-02T13:37:00Z"});
        assert_eq!(
            serde_json::to_value(report(&health)).unwrap(),
            json!({
                "start_time": "2026-01-02T13:37:00Z",
                "healthy": true, "status": "StatusOK", "status_time": "2026-01-02T13:37:00Z",
                "components": {"disk": well, "page": well},
            })
        );
        clock.0.fetch_add(1_000, Ordering::Relaxed);
        disk.set(State::degraded("is slow"));
        let slow = json!({
            "healthy": true, "status": "StatusRecoverableError", "error": "is slow",
            "status_time": "2026-01-02T13:37:01Z",
        });
        let found = serde_json::to_value(report(&health)).unwrap();
        assert_eq!(found["components"], json!({"disk": slow, "page": well}));
        assert_eq!((&found["status"], &found["error"]), (&slow["status"], &slow["error"]));
        let found = serde_json::to_value(brief(&health)).unwrap();
        assert_eq!(
            (&found["status"], &found["healthy"]),
            (&json!("Server available"), &json!(true))
        );
        assert_eq!((&found["uptime"], &found["components"]["disk"]), (&json!("1s"), &slow));
        health.stop();
        let found = serde_json::to_value(report(&health)).unwrap();
        assert_eq!(
            (&found["healthy"], &found["status"]),
            (&json!(false), &json!("StatusStopping"))
        );
        assert_eq!(found["components"]["disk"], slow);
        let found = serde_json::to_value(brief(&health)).unwrap();
        assert_eq!(
            (&found["status"], &found["healthy"]),
            (&json!("Server not available"), &json!(false))
        );
    }
}
