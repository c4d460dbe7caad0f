//! The product's Prometheus API, as far as the judge needs it.

use std::collections::HashMap;

use anyhow::{Context, bail};
use serde_json::Value;

use super::compare::{Answers, Field};
use crate::http_link;
use crate::load::{Groups, Series};
use crate::tally::{BOUNDS_MS, BUCKETS, GroupId, WINDOW_MS, WindowEnd};

const CALLS: &str = "llm_traces_span_metrics_calls_total";
const LATENCY: &str = "llm_traces_span_metrics_latency";

pub(super) struct Api {
    port: u16,
    services: String,
}

impl Api {
    pub(super) fn new(port: u16, services: String) -> Self {
        Api { port, services }
    }

    /// Every series of the run at every window's end of a stretch. Answers the warnings.
    pub(super) async fn read(
        &self,
        from: WindowEnd,
        to: WindowEnd,
        groups: &Groups,
        into: &mut Answers,
    ) -> anyhow::Result<Vec<String>> {
        let by_series: HashMap<Series, GroupId> =
            (0..Groups::COUNT).map(GroupId).map(|group| (groups.series(group), group)).collect();
        let mut warnings = Vec::new();
        for (metric, kind) in [
            (CALLS.to_owned(), Kind::One(Field::Calls)),
            (format!("{LATENCY}_count"), Kind::One(Field::Count)),
            (format!("{LATENCY}_sum"), Kind::One(Field::SumMs)),
            (format!("{LATENCY}_bucket"), Kind::Bucket),
        ] {
            let query = format!("{metric}{{service_name=~\"{}\"}}", self.services);
            let answer = self.range(&query, from, to).await?;
            let told = answer["warnings"].as_array().into_iter().flatten();
            warnings.extend(told.filter_map(Value::as_str).map(str::to_owned));
            for series in answer["data"]["result"].as_array().context("a matrix is expected")? {
                let group = group(&series["metric"], &by_series)?;
                let field = match kind {
                    Kind::One(field) => field,
                    Kind::Bucket => Field::Bucket(bucket(&series["metric"])?),
                };
                for point in series["values"].as_array().context("values are expected")? {
                    let (time, value) = point_of(point)?;
                    into.put(group, WindowEnd(time), field, value);
                }
            }
        }
        Ok(warnings)
    }

    async fn range(&self, query: &str, from: WindowEnd, to: WindowEnd) -> anyhow::Result<Value> {
        let path = format!(
            "/api/v1/query_range?query={}&start={}&end={}&step={}",
            escaped(query),
            from.0 / 1000,
            to.0 / 1000,
            WINDOW_MS / 1000
        );
        let (status, body) = http_link::get(self.port, &path).await?;
        let answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("{status}, and not JSON: {body:?}"))?;
        if answer["status"] != "success" {
            bail!("{query}: {status}: {}", answer["error"]);
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    One(Field),
    Bucket,
}

fn group(labels: &Value, by_series: &HashMap<Series, GroupId>) -> anyhow::Result<GroupId> {
    let label = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
    let (kind, status) = (label("span_kind"), label("status_code"));
    let (service, name) = (label("service_name"), label("span_name"));
    let is_it = |series: &&Series| {
        series.service == service
            && series.name == name
            && series.kind == kind
            && series.status == status
    };
    let found = by_series.keys().find(is_it);
    found
        .map(|series| by_series[series])
        .with_context(|| format!("nobody sent a span for {labels}"))
}

fn bucket(labels: &Value) -> anyhow::Result<usize> {
    let le = labels["le"].as_str().with_context(|| format!("{labels} has no le"))?;
    if le == "+Inf" {
        return Ok(BUCKETS - 1);
    }
    let at = BOUNDS_MS.iter().position(|bound| bound.to_string() == le);
    at.with_context(|| format!("le={le:?} is no bound of the shipped layout"))
}

fn point_of(point: &Value) -> anyhow::Result<(i64, f64)> {
    let time = point[0].as_f64().with_context(|| format!("{point} has no time"))?;
    let value = point[1].as_str().and_then(|text| text.parse().ok());
    Ok(((time * 1000.0).round() as i64, value.with_context(|| format!("{point} has no value"))?))
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_the_url() {
        assert_eq!(escaped("a{b=~\"c-.*\"}"), "a%7Bb%3D~%22c-.%2A%22%7D");
    }

    #[test]
    fn a_series_that_nobody_sent_is_an_error() {
        let groups = Groups::new("run");
        let series = groups.series(GroupId(7));
        let by_series = HashMap::from([(series.clone(), GroupId(7))]);
        let mut labels = serde_json::json!({
            "service_name": series.service, "span_name": series.name,
            "span_kind": series.kind, "status_code": series.status,
        });
        assert_eq!(group(&labels, &by_series).unwrap(), GroupId(7));
        labels["span_name"] = "other".into();
        assert!(group(&labels, &by_series).is_err());
    }
}
