//! `targets`: what the prober probes, in the shape of Prometheus's scrape targets.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tributary_query::json::Metric;
use tributary_spanmetrics::Labels;

use super::envelope::success;
use super::error::ApiError;
use super::params::Parameters;
use super::state::Api;
use crate::http::rfc3339;
use crate::probe::{Options, TargetState};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Targets<'a> {
    active_targets: Vec<ActiveTarget<'a>>,
    /// Nothing is dropped: there is no relabelling.
    dropped_targets: [(); 0],
    dropped_target_counts: BTreeMap<&'a str, usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget<'a> {
    discovered_labels: BTreeMap<&'static str, String>,
    labels: Metric<'a>,
    scrape_pool: &'a str,
    scrape_url: String,
    global_url: String,
    last_error: &'a str,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

/// What Prometheus says of a target that it has not scraped yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) async fn targets(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let prober = api.targets();
    let states = prober.targets();
    let wants_active = match parameters.get("state").unwrap_or("any") {
        "any" | "active" => true,
        "dropped" => false,
        _ => return Err(ApiError::bad_parameter("state", "active, dropped or any is expected")),
    };
    let pool = parameters.get("scrapePool");
    let wanted =
        |state: &&TargetState| wants_active && pool.is_none_or(|pool| pool == state.target.job());
    let active =
        states.iter().filter(wanted).map(|state| active(state, prober.options())).collect();
    let dropped = states.iter().map(|state| (state.target.job(), 0)).collect();
    let found =
        Targets { active_targets: active, dropped_targets: [], dropped_target_counts: dropped };
    success(found, &[], &[])
}

fn active<'a>(state: &'a TargetState, options: &Options) -> ActiveTarget<'a> {
    let target = &state.target;
    let labels: &'a Labels = &target.labels;
    let (interval, timeout) = (seconds(options.interval), seconds(options.timeout));
    let discovered = [
        ("__address__", target.address().to_string()),
        ("__metrics_path__", target.path().to_owned()),
        ("__scheme__", "http".to_owned()),
        ("__scrape_interval__", interval.clone()),
        ("__scrape_timeout__", timeout.clone()),
        ("job", target.job().to_owned()),
    ];
    ActiveTarget {
        discovered_labels: discovered.into(),
        labels: Metric(labels),
        scrape_pool: target.job(),
        scrape_url: target.url(),
        global_url: target.url(),
        last_error: &state.last_error,
        last_scrape: state.last_probe_ms.map_or_else(|| NEVER.to_owned(), rfc3339::format),
        last_scrape_duration: state.last_duration.as_secs_f64(),
        health: state.health.as_str(),
        scrape_interval: interval,
        scrape_timeout: timeout,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
