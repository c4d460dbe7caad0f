//! The metric families of span metrics, and a group's lines in each.

use std::collections::BTreeMap;
use std::fmt::Write;

use tributary_edge::GroupTotals;
use tributary_query::json::Float;
use tributary_spanmetrics::{Labels, Layout, LayoutId, Naming, SPAN_WEIGHT};

use super::format::Format;
use super::ladder::Ladder;
use crate::escape::escape_value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Calls,
    Latency,
}

impl Family {
    pub(super) const ALL: [Family; 2] = [Family::Calls, Family::Latency];
}

/// Writes lines under a tenant's names.
pub(super) struct Lines {
    format: Format,
    naming: Naming,
    ladder: Ladder,
    /// The labels of the group at hand.
    labels: String,
}

impl Lines {
    pub(super) fn new(format: Format, naming: Naming) -> Self {
        Lines { format, naming, ladder: Ladder::default(), labels: String::new() }
    }

    /// What stands before a family's series.
    pub(super) fn head(&self, family: Family, text: &mut String) {
        let (name, kind, help) = match family {
            Family::Calls => {
                let (name, kind) = self.counter();
                (name, kind, "Spans counted since the edge started.".to_owned())
            }
            Family::Latency => {
                let unit = unit(self.naming.unit_ns);
                let help = format!("Durations of spans{unit}, since the edge started.");
                (self.naming.latency.as_str(), "histogram", help)
            }
        };
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A group's lines in a family. Its layouts are among the page's.
    pub(super) fn row(
        &mut self,
        family: Family,
        row: &GroupTotals,
        layouts: &BTreeMap<LayoutId, Layout>,
        text: &mut String,
    ) {
        write_labels(&mut self.labels, &self.naming.labels(&row.group));
        let (name, labels) = (&self.naming.latency, &self.labels);
        let units = || row.by_layout.iter().map(|(_, delta)| u128::from(delta.count)).sum();
        match family {
            Family::Calls => {
                let _ = writeln!(text, "{}{{{labels}}} {}", self.naming.calls, spans(units()));
            }
            Family::Latency => {
                self.ladder.fit(row, layouts, &self.naming);
                for (le, units) in self.ladder.steps(row) {
                    let _ =
                        writeln!(text, "{name}_bucket{{{labels},le=\"{le}\"}} {}", spans(units));
                }
                let sum_us = row.by_layout.iter().map(|(_, delta)| delta.sum_us).sum();
                let sum = Float(self.naming.sum(sum_us));
                let _ = writeln!(text, "{name}_sum{{{labels}}} {sum}");
                let _ = writeln!(text, "{name}_count{{{labels}}} {}", spans(units()));
            }
        }
    }

    /// OpenMetrics names a counter's family without the `_total` of its series, and knows no counter
    /// whose series has none.
    fn counter(&self) -> (&str, &'static str) {
        let name = &self.naming.calls;
        match self.format {
            Format::Text => (name, "counter"),
            Format::OpenMetrics => match name.strip_suffix("_total") {
                Some(name) => (name, "counter"),
                None => (name, "unknown"),
            },
        }
    }
}

/// Every group has a kind and a status, so there is always a label.
fn write_labels(text: &mut String, labels: &Labels) {
    text.clear();
    for (name, value) in labels.iter() {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"");
        escape_value(text, value);
        text.push('"');
    }
}

fn spans(units: u128) -> Float {
    Float(units as f64 / SPAN_WEIGHT as f64)
}

fn unit(ns: u64) -> &'static str {
    match ns {
        1_000_000_000 => " in seconds",
        1_000_000 => " in milliseconds",
        1_000 => " in microseconds",
        1 => " in nanoseconds",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use tributary_edge::TotalsPage;
    use tributary_spanmetrics::{Delta, Group, SpanKind, StatusCode, Tenant};

    use super::*;

    fn page(span_name: &str) -> TotalsPage {
        let layout = Layout::explicit(10_000, vec![2_000_000, 5_000_000_000]).expect("valid");
        let group = Group {
            service: "cart".into(),
            span_name: span_name.into(),
            kind: SpanKind::Server,
            status: StatusCode::Error,
            dimensions: Labels::from_pairs([("http.route", "/a")]),
            external: Labels::from_pairs([("region", "north")]),
        };
        let mut delta = Delta::empty(&layout);
        for ns in [1_000_000, 3_500_000, 7_000_000_000] {
            delta.observe(&layout, ns);
        }
        let by_layout = vec![(layout.id(), delta)];
        let rows = vec![GroupTotals { id: group.id(&Tenant::default()), group, by_layout }];
        TotalsPage { layouts: [(layout.id(), layout)].into(), rows, next: None }
    }

    fn written(format: Format, naming: Naming, page: &TotalsPage) -> String {
        let mut lines = Lines::new(format, naming);
        let mut text = String::new();
        for family in Family::ALL {
            lines.head(family, &mut text);
            for row in &page.rows {
                lines.row(family, row, &page.layouts, &mut text);
            }
        }
        text
    }

    #[test]
    fn a_groups_lines_are_those_of_a_counter_and_a_histogram() {
        let labels = r#"http_route="/a",region="north",service_name="cart",span_kind="SPAN_KIND_SERVER",span_name="GET /",status_code="STATUS_CODE_ERROR""#;
        let expected = format!(
            r#"# HELP llm_traces_span_metrics_calls_total Spans counted since the edge started.
# TYPE llm_traces_span_metrics_calls_total counter
llm_traces_span_metrics_calls_total{{{labels}}} 3
# HELP llm_traces_span_metrics_latency Durations of spans in milliseconds, since the edge started.
# TYPE llm_traces_span_metrics_latency histogram
llm_traces_span_metrics_latency_bucket{{{labels},le="2"}} 1
llm_traces_span_metrics_latency_bucket{{{labels},le="5000"}} 2
llm_traces_span_metrics_latency_bucket{{{labels},le="+Inf"}} 3
llm_traces_span_metrics_latency_sum{{{labels}}} 7004.5
llm_traces_span_metrics_latency_count{{{labels}}} 3
"#
        );
        let page = page("GET /");
        assert_eq!(written(Format::Text, Naming::default(), &page), expected);
        // The family has another name there, its series have the same.
        let family = "llm_traces_span_metrics_calls";
        let expected = expected
            .replace(&format!("HELP {family}_total"), &format!("HELP {family}"))
            .replace(&format!("TYPE {family}_total"), &format!("TYPE {family}"));
        assert_eq!(written(Format::OpenMetrics, Naming::default(), &page), expected);
    }

    #[test]
    fn values_are_escaped() {
        let text = written(Format::Text, Naming::default(), &page("say \"no\"\n\\ and more"));
        assert_eq!(text.matches(r#"span_name="say \"no\"\n\\ and more","#).count(), 6);
    }

    #[test]
    fn a_counter_of_another_name_is_of_no_known_type_in_openmetrics() {
        let naming = Naming { calls: "calls".into(), unit_ns: 1_000_000_000, ..Naming::default() };
        let page = page("GET /");
        let text = written(Format::OpenMetrics, naming.clone(), &page);
        assert!(text.contains("# TYPE calls unknown\ncalls{"), "{text}");
        assert!(text.contains("_sum{") && text.contains(" 7.0045\n"), "{text}");
        assert!(written(Format::Text, naming, &page).contains("# TYPE calls counter\n"));
    }
}
