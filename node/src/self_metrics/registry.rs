//! All that a node counts, by component.

use std::sync::{Arc, PoisonError, RwLock};

use tributary_proto::Metric;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Registry {
    collectors: Arc<RwLock<Vec<Collector>>>,
}

struct Collector {
    labels: Vec<(&'static str, String)>,
    collect: Box<dyn Fn() -> Vec<Metric> + Send + Sync>,
}

impl Registry {
    /// From now on `collect`'s metrics are among the node's, with these labels added. They tell one of
    /// several components of a kind from the others.
    pub fn add(
        &self,
        labels: &[(&'static str, &str)],
        collect: impl Fn() -> Vec<Metric> + Send + Sync + 'static,
    ) {
        let labels = labels.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        let collector = Collector { labels, collect: Box::new(collect) };
        // A list that only grows is whole, whatever a panicking holder was at.
        self.collectors.write().unwrap_or_else(PoisonError::into_inner).push(collector);
    }

    /// In the order of adding.
    pub fn collect(&self) -> Vec<Metric> {
        let collectors = self.collectors.read().unwrap_or_else(PoisonError::into_inner);
        let mut metrics = Vec::new();
        for collector in collectors.iter() {
            for mut metric in (collector.collect)() {
                metric.labels.extend(collector.labels.iter().cloned());
                metrics.push(metric);
            }
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use tributary_proto::Counter;

    use super::*;

    #[test]
    fn labels_tell_two_components_of_a_kind_apart() {
        let registry = Registry::default();
        for edge in ["local", "demo"] {
            let counter = Counter::default();
            registry.add(&[("edge", edge)], move || vec![counter.metric("spans", "Spans.")]);
        }
        let found = registry.collect();
        assert_eq!(found[0].labels, [("edge", "local".to_owned())]);
        assert_eq!(found[1].labels, [("edge", "demo".to_owned())]);
    }
}
