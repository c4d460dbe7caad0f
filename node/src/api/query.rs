//! `query` and `query_range`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use tributary_query::{Engine, Params, QueryAnswer, Steps, Value, json};

use super::envelope::{success, truncate};
use super::error::ApiError;
use super::params::Parameters;
use super::state::Api;
use super::units;

pub(super) async fn instant(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let asked = Asked::new(&api, &parameters)?;
    let time = parameters.time("time")?.unwrap_or_else(|| api.now_ms());
    let (source, tenant) = (api.source(), api.tenant());
    let work = asked.engine.instant(source, tenant, &asked.query, time, &asked.params);
    let answer = api.admit(asked.limit, work).await?;
    respond(answer, asked.max_series)
}

pub(super) async fn range(
    State(api): State<Api>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let asked = Asked::new(&api, &parameters)?;
    let required = |name| parameters.get(name).unwrap_or_default();
    let start = units::time("start", required("start"))?;
    let end = units::time("end", required("end"))?;
    if end < start {
        let problem = "end timestamp must not be before start time";
        return Err(ApiError::bad_parameter("end", problem));
    }
    let step = units::duration_ms("step", required("step"))?;
    if step <= 0 {
        let problem = "zero or negative query resolution step widths are not accepted. Try a \
                       positive integer";
        return Err(ApiError::bad_parameter("step", problem));
    }
    let steps = Steps { start, end, step };
    let (source, tenant) = (api.source(), api.tenant());
    let work = asked.engine.range(source, tenant, &asked.query, steps, &asked.params);
    let answer = api.admit(asked.limit, work).await?;
    respond(answer, asked.max_series)
}

/// What both have in common.
struct Asked {
    query: String,
    params: Params,
    /// The shared one, unless the client wants other limits.
    engine: Engine,
    limit: Duration,
    /// Zero is no limit.
    max_series: usize,
}

impl Asked {
    fn new(api: &Api, parameters: &Parameters) -> Result<Self, ApiError> {
        let query = parameters.get("query").unwrap_or_default();
        let mut options = api.engine().options().clone();
        if let Some(text) = parameters.get("timeout") {
            options.timeout = units::span("timeout", text)?.min(options.timeout);
        }
        if let Some(text) = parameters.get("lookback_delta") {
            options.lookback = units::span("lookback_delta", text)?;
        }
        let latency_offset = parameters.get("latency_offset");
        let latency_offset =
            latency_offset.map(|text| units::duration_ms("latency_offset", text)).transpose()?;
        if latency_offset.is_some_and(|ms| ms != 0) {
            let problem = "only 0 is taken: it answers up to the raw edge";
            return Err(ApiError::bad_parameter("latency_offset", problem));
        }
        Ok(Asked {
            query: query.to_owned(),
            params: Params { latency_offset_zero: latency_offset.is_some() },
            limit: options.timeout,
            engine: Engine::new(options),
            max_series: parameters.limit()?,
        })
    }
}

fn respond(answer: QueryAnswer, max_series: usize) -> Result<Response, ApiError> {
    let QueryAnswer { mut value, mut warnings, infos } = answer;
    match &mut value {
        Value::Vector(samples) => truncate(samples, max_series, &mut warnings),
        Value::Matrix(series) => truncate(series, max_series, &mut warnings),
        Value::Scalar(..) | Value::String(..) => {}
    }
    success(json::Data(&value), &warnings, &infos)
}
