//! Every acked span is in the answers: PromQL over the real source equals what the clients sent, by
//! service, name, kind, status and region, for each tenant apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_query::source::SeriesSource;
use tributary_query::span_series::{self, SpanSeries};
use tributary_query::{Engine, Params, Value};
use tributary_spanmetrics::Tenant;
use tributary_store::StoreHandle;

use super::{Violation, violated};
use crate::oracle::{Series, Tally};

const NAME: &str = "PromQL agrees with the clients";
const LABELS: &str = "service_name, span_name, span_kind, status_code, region";
const COUNTS: [&str; 3] = [
    "llm_traces_span_metrics_calls_total",
    "llm_traces_span_metrics_latency_count",
    "llm_traces_span_metrics_latency_bucket{le=\"+Inf\"}",
];

/// `time_ms`: when every window of `exact` is over and complete.
pub(crate) async fn promql_agrees(
    store: &StoreHandle,
    exact: &Tally,
    time_ms: i64,
) -> Result<(), Violation> {
    let now = Arc::new(move || time_ms);
    let source = SpanSeries::new(store.clone(), span_series::Options::default(), now);
    let sent = exact.by_series();
    for tenant in ["default", "shop", "nobody"] {
        for metric in COUNTS {
            let query = format!("sum by ({LABELS}) ({metric})");
            let answered = answer(&source, tenant, &query, time_ms).await?;
            let sent = sent.iter().filter(|(series, _)| series.tenant == tenant);
            let sent: BTreeMap<_, _> =
                sent.map(|(series, spans)| ((**series).clone(), *spans as f64)).collect();
            if let Some(what) = difference(&sent, &answered) {
                return violated(NAME, format!("tenant {tenant}, {query}: {what}"));
            }
        }
    }
    Ok(())
}

async fn answer(
    source: &dyn SeriesSource,
    tenant: &str,
    query: &str,
    time_ms: i64,
) -> Result<BTreeMap<Series, f64>, Violation> {
    let of_tenant = Tenant::new(tenant).expect("valid");
    let engine = Engine::default();
    let answered = engine.instant(source, &of_tenant, query, time_ms, &Params::default()).await;
    let answered = match answered {
        Ok(answered) if answered.warnings.is_empty() => answered,
        Ok(answered) => return violated(NAME, format!("{query} warns {:?}", answered.warnings)),
        Err(error) => return violated(NAME, format!("{query} fails: {error}")),
    };
    let Value::Vector(samples) = answered.value else {
        return violated(NAME, format!("{query} answers no vector"));
    };
    let series = samples.into_iter().map(|sample| {
        let label = |name| sample.labels.get(name).unwrap_or_default().to_owned();
        let series = Series {
            tenant: tenant.into(),
            service: label("service_name"),
            span_name: label("span_name"),
            kind: label("span_kind"),
            status: label("status_code"),
            region: label("region"),
        };
        (series, sample.value)
    });
    Ok(series.collect())
}

fn difference(sent: &BTreeMap<Series, f64>, answered: &BTreeMap<Series, f64>) -> Option<String> {
    let all = sent.keys().chain(answered.keys());
    let differ = |series: &&Series| sent.get(*series) != answered.get(*series);
    let series = all.into_iter().find(differ)?;
    Some(format!("{series}: {:?} sent, {:?} answered", sent.get(series), answered.get(series)))
}
