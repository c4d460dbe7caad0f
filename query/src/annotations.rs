//! Warnings and infos gathered while a query is answered; each is told once.
//!
//! Prometheus ends an annotation with the position of the expression that it is about. The syntax
//! tree beneath this crate carries no positions, so they are left out.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(crate) struct Annotations {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    /// Takes what the source has to say, in its own words.
    pub(crate) fn add_source_warning(&mut self, warning: String) {
        self.warnings.insert(warning);
    }

    pub(crate) fn invalid_quantile(&mut self, quantile: f64) {
        self.warn(format!("quantile value should be between 0 and 1, got {quantile}"));
    }

    pub(crate) fn bad_bucket_label(&mut self, value: &str) {
        self.warn(format!("bucket label \"le\" is missing or has a malformed value of {value:?}"));
    }

    pub(crate) fn forced_monotonicity(&mut self) {
        self.inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
                .into(),
        );
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str) {
        self.inform(format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
             {metric:?}"
        ));
    }

    pub(crate) fn merge(&mut self, other: Annotations) {
        self.warnings.extend(other.warnings);
        self.infos.extend(other.infos);
    }

    /// Warnings, then infos, each sorted.
    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<String>) {
        (self.warnings.into_iter().collect(), self.infos.into_iter().collect())
    }

    fn warn(&mut self, text: String) {
        self.warnings.insert(format!("PromQL warning: {text}"));
    }

    fn inform(&mut self, text: String) {
        self.infos.insert(format!("PromQL info: {text}"));
    }
}
