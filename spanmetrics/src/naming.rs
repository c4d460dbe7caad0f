//! How a group's series are called. The shipped default gives the names of the getting-started
//! queries; other presets are the tenant's choice and come with its configuration.
//!
//! External labels win over a span's label of the same name, which becomes `exported_<name>`.

use crate::group::Group;
use crate::labels::{Labels, METRIC_NAME};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    pub calls: String,
    /// Without its `_bucket`, `_sum`, `_count`.
    pub latency: String,
    /// What `le` and `_sum` are stated in.
    pub unit_ns: u64,
    pub service: String,
    pub span_name: String,
    pub kind: String,
    pub status: String,
}

impl Default for Naming {
    fn default() -> Self {
        Naming {
            calls: "llm_traces_span_metrics_calls_total".into(),
            latency: "llm_traces_span_metrics_latency".into(),
            unit_ns: 1_000_000,
            service: "service_name".into(),
            span_name: "span_name".into(),
            kind: "span_kind".into(),
            status: "status_code".into(),
        }
    }
}

impl Naming {
    /// The labels that all series of a group share, without a metric name.
    pub fn labels(&self, group: &Group) -> Labels {
        let mut labels = Labels::from_pairs([
            (self.service.as_str(), group.service.as_str()),
            (&self.span_name, &group.span_name),
            (&self.kind, group.kind.name()),
            (&self.status, group.status.name()),
        ]);
        for (name, value) in group.dimensions.iter() {
            add(&mut labels, label_name(name), value);
        }
        for (name, value) in group.external.iter() {
            let name = label_name(name);
            if let Some(of_span) = labels.remove(&name) {
                add(&mut labels, format!("exported_{name}"), &of_span);
            }
            labels.set(name, value);
        }
        labels
    }

    pub fn calls_labels(&self, base: &Labels) -> Labels {
        named(base, &self.calls)
    }

    pub fn sum_labels(&self, base: &Labels) -> Labels {
        named(base, &format!("{}_sum", self.latency))
    }

    pub fn count_labels(&self, base: &Labels) -> Labels {
        named(base, &format!("{}_count", self.latency))
    }

    /// `bound_ns`: `None` for the bucket without a bound.
    pub fn bucket_labels(&self, base: &Labels, bound_ns: Option<u64>) -> Labels {
        let mut labels = named(base, &format!("{}_bucket", self.latency));
        labels.set("le", self.le(bound_ns));
        labels
    }

    pub fn le(&self, bound_ns: Option<u64>) -> String {
        match bound_ns {
            Some(ns) => (ns as f64 / self.unit_ns as f64).to_string(),
            None => "+Inf".into(),
        }
    }

    /// A sum of microseconds in the unit of `_sum`.
    pub fn sum(&self, sum_us: u128) -> f64 {
        sum_us as f64 / (self.unit_ns as f64 / 1000.0)
    }
}

fn named(base: &Labels, metric: &str) -> Labels {
    let mut labels = base.clone();
    labels.set(METRIC_NAME, metric);
    labels
}

/// A label never takes the place of another: it steps aside under `exported_`.
fn add(labels: &mut Labels, mut name: String, value: &str) {
    while labels.get(&name).is_some() {
        name = format!("exported_{name}");
    }
    labels.set(name, value);
}

/// An attribute's name as a Prometheus label: dots and the like become underscores.
fn label_name(attribute: &str) -> String {
    let mut name: String = attribute
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    // Names with two leading underscores are the engine's own, and `le` is the buckets'.
    if name.starts_with("__") || name == "le" {
        name.insert_str(0, "exported_");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{SpanKind, StatusCode};

    fn group() -> Group {
        Group {
            service: "cart".into(),
            span_name: "GET /".into(),
            kind: SpanKind::Client,
            status: StatusCode::Unset,
            dimensions: Labels::default(),
            external: Labels::default(),
        }
    }

    #[test]
    fn shipped_names() {
        let naming = Naming::default();
        let base = naming.labels(&group());
        assert_eq!(
            naming.bucket_labels(&base, Some(1_400_000_000)).to_string(),
            r#"{__name__="llm_traces_span_metrics_latency_bucket",le="1400",service_name="cart",span_kind="SPAN_KIND_CLIENT",span_name="GET /",status_code="STATUS_CODE_UNSET"}"#
        );
        assert_eq!(naming.le(Some(500_000)), "0.5");
        assert_eq!(naming.le(None), "+Inf");
        assert_eq!(naming.sum(1500), 1.5);
    }

    #[test]
    fn external_label_wins_and_the_spans_own_is_exported() {
        let mut group = group();
        group.dimensions = Labels::from_pairs([("region", "span's"), ("http.route", "/")]);
        group.external = Labels::from_pairs([("region", "eu"), ("service_name", "edge")]);
        let labels = Naming::default().labels(&group);
        assert_eq!(labels.get("region"), Some("eu"));
        assert_eq!(labels.get("exported_region"), Some("span's"));
        assert_eq!(labels.get("service_name"), Some("edge"));
        assert_eq!(labels.get("exported_service_name"), Some("cart"));
        assert_eq!(labels.get("http_route"), Some("/"));
    }

    #[test]
    fn two_attributes_of_one_label_name_are_both_kept() {
        let mut group = group();
        group.dimensions =
            Labels::from_pairs([("a.b", "1"), ("a_b", "2"), ("le", "3"), ("span.name", "4")]);
        let labels = Naming::default().labels(&group);
        assert_eq!((labels.get("a_b"), labels.get("exported_a_b")), (Some("1"), Some("2")));
        assert_eq!(
            (labels.get("exported_le"), labels.get("exported_span_name")),
            (Some("3"), Some("4"))
        );
    }
}
