//! Prometheus's text format, 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::collections::BTreeMap;
use std::fmt::Write;

use tributary_proto::Metric;
use tributary_query::json::Float;

use crate::escape::{escape_help, escape_value};

/// Sorted by name, since the format wants all values of one metric together.
pub(super) fn text(metrics: &[Metric]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for metric in metrics {
        by_name.entry(metric.name).or_default().push(metric);
    }
    let mut text = String::new();
    for (name, metrics) in by_name {
        family(&mut text, name, &metrics);
    }
    text
}

fn family(text: &mut String, name: &str, metrics: &[&Metric]) {
    let first = metrics[0];
    let _ = write!(text, "# HELP {name} ");
    escape_help(text, first.help);
    let _ = writeln!(text, "\n# TYPE {name} {}", first.value.kind());
    for metric in metrics {
        for sample in metric.samples() {
            text.push_str(&sample.name);
            let labels = metric.labels.iter().map(|(name, value)| (*name, value));
            let mut before = '{';
            for (label, value) in labels.chain(sample.le.iter().map(|le| ("le", le))) {
                let _ = write!(text, "{before}{label}=\"");
                escape_value(text, value);
                text.push('"');
                before = ',';
            }
            if before == ',' {
                text.push('}');
            }
            let _ = writeln!(text, " {}", Float(sample.value));
        }
    }
}

#[cfg(test)]
mod tests {
    use tributary_proto::{Histogram, MetricValue};

    use super::*;

    fn metric(name: &'static str, reason: &str, value: f64) -> Metric {
        let labels = if reason.is_empty() { vec![] } else { vec![("reason", reason.to_owned())] };
        Metric { name, help: "What\nit is.", labels, value: MetricValue::Counter(value) }
    }

    #[test]
    fn values_of_one_name_stand_together_under_one_header() {
        let found = text(&[
            metric("b_total", "late", 1.0),
            metric("a_total", "", 0.5),
            metric("b_total", "say \"no\"\\\n", f64::INFINITY),
        ]);
        let expected = r#"# HELP a_total What\nit is.
# TYPE a_total counter
a_total 0.5
# HELP b_total What\nit is.
# TYPE b_total counter
b_total{reason="late"} 1
b_total{reason="say \"no\"\\\n"} +Inf
"#;
        assert_eq!(found, expected);
    }
    #[test]
    fn a_histograms_bounds_stand_behind_its_labels() {
        let histogram = Histogram::new(&[0.5]);
        histogram.observe(0.25);
        let mut wait = histogram.metric("wait_seconds", "Waiting.");
        wait.labels.push(("edge", "local".into()));
        let expected = r#"# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
wait_seconds_bucket{edge="local",le="0.5"} 1
wait_seconds_bucket{edge="local",le="+Inf"} 1
wait_seconds_sum{edge="local"} 0.25
wait_seconds_count{edge="local"} 1
"#;
        assert_eq!(text(&[wait]), expected);
    }
}
