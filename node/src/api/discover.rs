//! `labels`, `label/<name>/values` and `series`: what there is to ask for.
//!
//! Without `start` and `end` they look at everything that is stored, as Prometheus does. What lies
//! behind the far ends of that cannot be asked for: spans end at most minutes ahead of their arrival,
//! and none before the epoch.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use tributary_query::json::Metric;
use tributary_query::parse_selector;
use tributary_query::source::Selection;
use tributary_spanmetrics::Labels;

use super::envelope::{success, truncate};
use super::error::{ApiError, Refusal};
use super::label_name::label_name;
use super::params::Parameters;
use super::state::Api;

/// How far ahead of now stored samples may lie.
const FUTURE_MS: i64 = 3_600_000;

pub(super) async fn names(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let found = find(&api, &parameters).await?;
    let names: BTreeSet<&str> =
        found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    respond(names.into_iter().collect(), &parameters)
}

pub(super) async fn values(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let Path(in_path) = path.map_err(|error| ApiError::new(Refusal::BadData, error.body_text()))?;
    let name = label_name(&in_path)?;
    let found = find(&api, &parameters).await?;
    let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
    respond(values.into_iter().collect(), &parameters)
}

pub(super) async fn series(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    if parameters.all("match[]").next().is_none() {
        return Err(ApiError::new(Refusal::BadData, "no match[] parameter provided"));
    }
    let found = find(&api, &parameters).await?;
    respond(found.iter().map(Metric).collect(), &parameters)
}

fn respond<T: serde::Serialize>(
    mut items: Vec<T>,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let mut warnings = Vec::new();
    truncate(&mut items, parameters.limit()?, &mut warnings);
    success(items, &warnings, &[])
}

/// The label sets of the series that match any of the selectors, or of all series if there is none.
async fn find(api: &Api, parameters: &Parameters) -> Result<BTreeSet<Labels>, ApiError> {
    parameters.limit()?;
    let selections = selections(api, parameters)?;
    let work = async {
        let mut found = BTreeSet::new();
        for selection in &selections {
            found.extend(api.source().labels(selection).await?);
        }
        Ok::<_, ApiError>(found)
    };
    api.admit(api.engine().options().timeout, work).await
}

fn selections(api: &Api, parameters: &Parameters) -> Result<Vec<Selection>, ApiError> {
    let latest = api.now_ms() + FUTURE_MS;
    let start = parameters.time("start")?.unwrap_or(0);
    let end = parameters.time("end")?.unwrap_or(latest);
    if end < start && parameters.get("end").is_some() {
        let problem = "end timestamp must not be before start timestamp";
        return Err(ApiError::bad_parameter("end", problem));
    }
    let limits = &api.engine().options().limits;
    let mut matchers = Vec::new();
    for text in parameters.all("match[]") {
        if matchers.len() == api.options().max_selectors {
            let problem = format!("more than {} selectors; split the request", matchers.len());
            return Err(ApiError::bad_parameter("match[]", problem));
        }
        let selector = parse_selector(text, limits);
        matchers.push(selector.map_err(|error| ApiError::bad_parameter("match[]", error))?);
    }
    if matchers.is_empty() {
        matchers.push(Vec::new());
    }
    let selection = |matchers| Selection {
        tenant: api.tenant().clone(),
        matchers,
        // A selection begins behind its start.
        start: start.clamp(0, latest) - 1,
        end: end.clamp(0, latest),
        hint: None,
    };
    Ok(matchers.into_iter().map(selection).collect())
}
