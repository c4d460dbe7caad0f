//! Prometheus's text format, 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::collections::BTreeMap;
use std::fmt::Write;

use tributary_proto::{Metric, MetricKind};
use tributary_query::json::Float;

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
    let kind = match metrics[0].kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
    };
    let help = metrics[0].help.replace('\\', r"\\").replace('\n', r"\n");
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for metric in metrics {
        text.push_str(name);
        let mut before = '{';
        for (label, value) in &metric.labels {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(text, "{before}{label}=\"{value}\"");
            before = ',';
        }
        if before == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {}", Float(metric.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &'static str, reason: &str, value: f64) -> Metric {
        let labels = if reason.is_empty() { vec![] } else { vec![("reason", reason.to_owned())] };
        Metric { name, help: "What\nit is.", kind: MetricKind::Counter, labels, value }
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
}
