//! What the page of span metrics counts of itself.

use tributary_proto::{Counter, Histogram, Metric};

#[derive(Debug, Default)]
pub struct ScrapeMetrics {
    pub(super) requests: Counter,
    pub(super) refused: Counter,
    pub(super) seconds: Histogram,
}

impl ScrapeMetrics {
    pub fn collect(&self) -> Vec<Metric> {
        vec![
            self.requests.metric(
                "tributary_scrape_requests_total",
                "Requests for the page of span metrics.",
            ),
            self.refused.metric(
                "tributary_scrape_requests_refused_total",
                "Requests for that page that came while too many were under way.",
            ),
            self.seconds.metric(
                "tributary_scrape_seconds",
                "Time until that page was written to its end, as fast as it was read.",
            ),
        ]
    }
}
