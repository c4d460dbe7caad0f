//! What the prober counts.

use tributary_proto::{Counter, Metric};

#[derive(Debug, Default)]
pub struct ProbeMetrics {
    pub rounds: Counter,
    pub failures: Counter,
    pub samples_stored: Counter,
    pub samples_lost: Counter,
}

impl ProbeMetrics {
    pub fn collect(&self) -> Vec<Metric> {
        vec![
            self.rounds.metric("tributary_probe_rounds_total", "Times all targets were probed."),
            self.failures.metric(
                "tributary_probe_failures_total",
                "Probes that were not answered with success in time.",
            ),
            self.samples_stored.metric(
                "tributary_probe_samples_stored_total",
                "Samples of probes and of the node's own metrics that were stored.",
            ),
            self.samples_lost.metric(
                "tributary_probe_samples_lost_total",
                "Samples of probes and of the node's own metrics that could not be stored.",
            ),
        ]
    }
}
