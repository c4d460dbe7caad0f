//! The prober: one round every interval, all targets at once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use tributary_edge::{Clock, EdgeHandle, Sample};
use tributary_proto::Metric;
use tributary_spanmetrics::{Labels, METRIC_NAME};

use super::metrics::ProbeMetrics;
use super::options::Options;
use super::target::{Health, Target, TargetState};
use crate::self_metrics::Registry;

pub struct Prober {
    options: Options,
    /// The first is the node's own metrics page.
    targets: Vec<Target>,
    registry: Registry,
    edge: EdgeHandle,
    clock: Arc<dyn Clock>,
    metrics: Arc<ProbeMetrics>,
    states: watch::Sender<Arc<[TargetState]>>,
    /// The last round's samples were lost.
    losing: bool,
}

/// What the last round found.
#[derive(Clone)]
pub struct Handle {
    states: watch::Receiver<Arc<[TargetState]>>,
    metrics: Arc<ProbeMetrics>,
    options: Options,
}

impl Handle {
    pub fn targets(&self) -> Arc<[TargetState]> {
        self.states.borrow().clone()
    }

    pub fn metrics(&self) -> &Arc<ProbeMetrics> {
        &self.metrics
    }

    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl Prober {
    /// `own` is the page that `registry` is shown on. Samples are stored through `edge`.
    pub fn new(
        options: Options,
        own: Target,
        others: Vec<Target>,
        registry: Registry,
        edge: EdgeHandle,
        clock: Arc<dyn Clock>,
    ) -> (Prober, Handle) {
        let targets: Vec<_> = std::iter::once(own).chain(others).collect();
        let metrics = Arc::new(ProbeMetrics::default());
        let unknown = targets.iter().cloned().map(TargetState::unknown).collect();
        let (states, seen) = watch::channel(unknown);
        let handle = Handle { states: seen, metrics: metrics.clone(), options: options.clone() };
        let prober =
            Prober { options, targets, registry, edge, clock, metrics, states, losing: false };
        (prober, handle)
    }

    /// Probes at once and then at every interval, until `shutdown` says stop.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut rounds = interval(self.options.interval);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                rounds.tick().await;
                self.round().await;
            }
        };
        tokio::select! {
            () = work => {}
            // An error is a sender that is gone, which means the same.
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    async fn round(&mut self) {
        let at_ms = self.clock.now_ms();
        let limit = self.options.timeout;
        let probes = self.targets.iter().map(|target| probe(target, at_ms, limit));
        let states: Arc<[TargetState]> = join_all(probes).await.into();
        self.metrics.rounds.add(1);
        let down = states.iter().filter(|state| state.health == Health::Down).count();
        self.metrics.failures.add(down as u64);
        log_changes(&self.states.borrow(), &states);
        self.states.send_replace(states.clone());
        self.store(samples(&states, &self.registry, at_ms)).await;
    }

    async fn store(&mut self, samples: Vec<Sample>) {
        let count = samples.len() as u64;
        let stored = self.edge.ingest_samples(&self.options.tenant, samples);
        // A journal that hangs must not end the probing. What waits for it may yet be stored.
        let outcome = match timeout(self.options.timeout, stored).await {
            Ok(outcome) => outcome.map_err(|refusal| refusal.to_string()),
            Err(_) => Err(format!("the journal did not answer in {:?}", self.options.timeout)),
        };
        let lost_before = std::mem::replace(&mut self.losing, outcome.is_err());
        match outcome {
            Ok(()) => {
                self.metrics.samples_stored.add(count);
                if lost_before {
                    info!("the node's own samples are stored again");
                }
            }
            Err(reason) => {
                self.metrics.samples_lost.add(count);
                if !lost_before {
                    warn!(samples = count, reason, "the node's own samples are lost");
                }
            }
        }
    }
}

async fn probe(target: &Target, at_ms: i64, limit: Duration) -> TargetState {
    let began = Instant::now();
    let error = match timeout(limit, target.request.send()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {limit:?}")),
    };
    TargetState {
        target: target.clone(),
        health: if error.is_none() { Health::Up } else { Health::Down },
        last_error: error.unwrap_or_default(),
        last_probe_ms: Some(at_ms),
        last_duration: began.elapsed(),
    }
}

fn log_changes(before: &[TargetState], after: &[TargetState]) {
    for (before, after) in before.iter().zip(after) {
        let (url, error) = (after.target.url(), &after.last_error);
        match (before.health, after.health) {
            (Health::Up | Health::Unknown, Health::Down) => warn!(url, error, "a target is down"),
            (Health::Down, Health::Up) => info!(url, "a target is up again"),
            _ => {}
        }
    }
}

fn samples(states: &[TargetState], registry: &Registry, time_ms: i64) -> Vec<Sample> {
    let up = states.iter().map(|state| {
        let value = if state.health == Health::Up { 1.0 } else { 0.0 };
        Sample { labels: named(&state.target.labels, "up"), time_ms, value }
    });
    let mut samples: Vec<_> = up.collect();
    if let Some(own) = states.first().filter(|own| own.health == Health::Up) {
        let metrics = registry.collect();
        let stored = metrics.iter().flat_map(|metric| of_metric(metric, &own.target.labels));
        samples.extend(stored.map(|(labels, value)| Sample { labels, time_ms, value }));
    }
    samples
}

/// The series of a metric of a target, each with its value.
fn of_metric(metric: &Metric, target: &Labels) -> impl Iterator<Item = (Labels, f64)> {
    metric.samples().into_iter().map(|sample| {
        let mut series = named(target, &sample.name);
        let labels = metric.labels.iter().map(|(name, value)| (*name, value));
        for (name, value) in labels.chain(sample.le.iter().map(|le| ("le", le))) {
            series.set(name, value.as_str());
        }
        (series, sample.value)
    })
}

fn named(labels: &Labels, name: &str) -> Labels {
    let mut labels = labels.clone();
    labels.set(METRIC_NAME, name);
    labels
}
