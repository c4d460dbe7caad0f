//! What the API counts.

use tributary_proto::{Counter, Metric, MetricValue};

use super::error::Refusal;

#[derive(Debug, Default)]
pub struct ApiMetrics {
    requests: [Counter; HANDLERS.len()],
    refused: [Counter; Refusal::ALL.len()],
    pub(super) queries: Counter,
    pub(super) query_micros: Counter,
}

/// Of the requests' label `handler`. The last stands for every other path.
const HANDLERS: [&str; 9] = [
    "query",
    "query_range",
    "labels",
    "label_values",
    "series",
    "targets",
    "buildinfo",
    "health",
    "other",
];

impl ApiMetrics {
    pub fn collect(&self) -> Vec<Metric> {
        let requests = self.requests.iter().zip(HANDLERS).map(|(counter, handler)| {
            counter.labelled(
                "tributary_api_requests_total",
                "Requests to the query API, by handler.",
                &[("handler", handler)],
            )
        });
        let refused = self.refused.iter().zip(Refusal::ALL).map(|(counter, refusal)| {
            counter.labelled(
                "tributary_api_requests_refused_total",
                "Requests to the query API that got an error, by reason.",
                &[("reason", refusal.reason())],
            )
        });
        let mut metrics: Vec<_> = requests.chain(refused).collect();
        metrics.push(self.queries.metric(
            "tributary_api_queries_total",
            "Queries and look-ups of labels and series that ran to their end.",
        ));
        metrics.push(Metric {
            name: "tributary_api_query_seconds_total",
            help: "Time that those took, without waiting for their turn.",
            labels: Vec::new(),
            value: MetricValue::Counter(self.query_micros.get() as f64 / 1e6),
        });
        metrics
    }

    pub(super) fn request(&self, path: &str) {
        let handler = match path.strip_prefix("/api/v1/").unwrap_or(path) {
            "/health" | "/-/healthy" | "/-/ready" => "health",
            "status/buildinfo" => "buildinfo",
            label if label.starts_with("label/") => "label_values",
            other => other,
        };
        let last = HANDLERS.len() - 1;
        let at = HANDLERS.iter().position(|name| *name == handler).unwrap_or(last);
        self.requests[at].add(1);
    }

    pub(super) fn refusal(&self, refusal: Refusal) {
        // `ALL` is in the order of declaration.
        self.refused[refusal as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(metrics: &ApiMetrics) -> Vec<Metric> {
        let none = MetricValue::Counter(0.0);
        metrics.collect().into_iter().filter(|metric| metric.value != none).collect()
    }

    #[test]
    fn each_refusal_counts_under_its_own_reason() {
        for refusal in Refusal::ALL {
            let metrics = ApiMetrics::default();
            metrics.refusal(refusal);
            let counted = counted(&metrics);
            assert_eq!(counted.len(), 1);
            assert_eq!(counted[0].labels, [("reason", refusal.reason().to_owned())]);
        }
    }

    #[test]
    fn each_path_counts_under_its_handler() {
        for (path, handler) in [
            ("/api/v1/query", "query"),
            ("/api/v1/label/job/values", "label_values"),
            ("/api/v1/no/such", "other"),
        ] {
            let metrics = ApiMetrics::default();
            metrics.request(path);
            let counted = counted(&metrics);
            assert_eq!(counted[0].labels, [("handler", handler.to_owned())], "{path}");
        }
    }
}
