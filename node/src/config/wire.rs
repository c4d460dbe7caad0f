//! The one place where the configuration becomes the engines' options.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tributary_edge::Ceiling;
use tributary_edge::receivers::{self, Limits, Timeouts};
use tributary_spanmetrics::codec::Writer;
use tributary_spanmetrics::{Config as Rules, ConfigVersion, Labels, Layout};
use tributary_store::disk::real;
use tributary_store::log::streams;
use xxhash_rust::xxh3::xxh3_64;

use super::{Edge, Receivers, Store};
use crate::memory;

/// A journal of this size or more has segments of the usual size.
const SEGMENTS: u64 = 4;

impl Edge {
    /// `labels` are added to the configured ones and win over them.
    pub fn options(&self, dir: &str, labels: &Labels) -> tributary_edge::Options {
        let usual = tributary_edge::Options::default();
        tributary_edge::Options {
            dir: dir.to_owned(),
            config: self.rules(labels),
            grace: self.grace.get(),
            journal_limit_bytes: self.journal.limit.get(),
            // Only whole segments are trimmed: a journal of few would be full before any can go.
            segment_bytes: usual.segment_bytes.min(self.journal.limit.get() / SEGMENTS),
            groups: usize::try_from(self.groups.limit).unwrap_or(usize::MAX),
            group_idle: self.groups.idle.get(),
            dedup_window: self.dedup.window.get(),
            dedup_bytes: self.dedup.memory.in_memory(),
            ceiling: Ceiling {
                soft_bytes: self.memory.soft.in_memory(),
                hard_bytes: self.memory.hard.in_memory(),
                used_bytes: Arc::new(memory::used_bytes),
            },
            ..usual
        }
    }

    /// What the store's engine takes is memory of the process too: an eighth of the ceiling at most.
    pub fn disk(&self) -> real::Options {
        let usual = real::Options::default();
        let share_bytes = self.memory.hard.in_memory() / 16;
        real::Options {
            cache_bytes: usual.cache_bytes.min(share_bytes),
            write_buffer_bytes: usual.write_buffer_bytes.min(share_bytes),
            ..usual
        }
    }

    /// What decides where a span lands.
    fn rules(&self, labels: &Labels) -> Rules {
        let configured = self.external_labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let mut rules = Rules {
            version: ConfigVersion(0),
            layout: self.layout(),
            dimensions: self.dimensions.clone(),
            external: Labels::from_pairs(configured.chain(labels.iter())),
            lateness: self.lateness.get(),
            future: self.future.get(),
        };
        rules.version = version(&rules);
        rules
    }

    fn layout(&self) -> Layout {
        let window_ms = u32::try_from(self.window.as_ms()).expect("checked: divides a day");
        let bounds_ns = self.histogram.bounds.iter().map(|bound| bound.as_ns()).collect();
        Layout::explicit(window_ms, bounds_ns).expect("checked: bounds ascend")
    }
}

impl Store {
    pub fn options(&self) -> tributary_store::Options {
        let usual = tributary_store::Options::default();
        // Half of the threads may be busy with what was sealed.
        let threads = available_parallelism().map_or(1, NonZero::get);
        let max_bytes = self.log.get();
        // Space is freed by whole segments: a log of few would be full before any can go.
        let segment_bytes = usual.log.segment_bytes.min(max_bytes / streams::MIN_SEGMENTS);
        tributary_store::Options {
            head_bytes: self.head.in_memory(),
            log: streams::Options { segment_bytes, max_bytes, ..usual.log },
            applied_bytes: threads.div_ceil(2) * usual.applied_bytes,
            ..usual
        }
    }
}

impl Receivers {
    pub fn options(&self) -> receivers::Options {
        let usual = receivers::Options::default();
        let cors = (!self.cors.allowed_origins.is_empty()).then(|| receivers::Cors {
            allowed_origins: self.cors.allowed_origins.clone(),
            allowed_headers: self.cors.allowed_headers.clone(),
            max_age: Some(self.cors.max_age.get()),
        });
        receivers::Options {
            limits: Limits {
                request_bytes: self.max_request.in_memory(),
                held_bytes: self.held.in_memory(),
                window_bytes: self.windows.in_memory(),
                connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
                streams: u32::try_from(self.max_streams).unwrap_or(u32::MAX),
                ..usual.limits
            },
            timeouts: Timeouts {
                read: self.read_timeout.get(),
                header: self.header_timeout.get(),
                idle: self.idle_timeout.get(),
                age: self.max_connection_age.get(),
                ..usual.timeouts
            },
            cors,
        }
    }
}

/// A hash of the rules, so that the same rules have the same version in every edge and after every restart.
fn version(rules: &Rules) -> ConfigVersion {
    let mut w = Writer::new();
    rules.layout.encode(&mut w);
    for name in &rules.dimensions {
        w.str(name);
    }
    // No attribute has an empty name: what follows is no dimension.
    w.str("");
    rules.external.encode(&mut w);
    for limit in [rules.lateness, rules.future] {
        w.varint(limit.as_millis() as u64);
    }
    ConfigVersion(xxh3_64(&w.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn parsed(text: &str) -> Config {
        Config::parse(Path::new("test.yaml"), text).expect(text)
    }

    #[test]
    fn defaults_count_spans_as_the_crate_that_counts_them_does() {
        let rules = Edge::default().options("edge", &Labels::default()).config;
        let version = rules.version;
        assert_eq!(rules, Rules { version, ..Rules::default() });
    }

    #[test]
    fn what_is_configured_reaches_the_edge_and_the_receivers() {
        let config = parsed(
            "
edge:
  window: 5s
  grace: 1s
  histogram: { bounds: [1ms, 1s] }
  dimensions: [http.route]
  external_labels: { region: here, zone: a }
  lateness: 1h
  future: 0s
  journal: { limit: 16MiB }
  groups: { limit: 5, idle: 1min }
  dedup: { window: 2min, memory: 8MiB }
  memory: { soft: 100MiB, hard: 200MiB }
receivers:
  max_request: 1MiB
  max_connections: 7
  held: 2MiB
  windows: 32MiB
  max_streams: 9
  read_timeout: 1s
  header_timeout: 2s
  idle_timeout: 3s
  max_connection_age: 4s
  cors: { allowed_origins: ['https://*.example.com'] }
",
        );
        let region = Labels::from_pairs([("region", "there")]);
        let edge = config.edge.options("edges/x", &region);
        assert_eq!((edge.dir.as_str(), edge.grace.as_secs()), ("edges/x", 1));
        assert_eq!((edge.journal_limit_bytes, edge.segment_bytes), (16 << 20, 4 << 20));
        let rules = edge.config;
        assert_eq!(rules.layout.window_ms(), 5_000);
        assert_eq!(rules.layout.bounds_ns(), [1_000_000, 1_000_000_000]);
        assert_eq!(rules.dimensions, ["http.route"]);
        assert_eq!(rules.external, Labels::from_pairs([("region", "there"), ("zone", "a")]));
        assert_eq!((rules.lateness.as_secs(), rules.future.as_secs()), (3600, 0));
        let options = config.receivers.options();
        let (limits, timeouts) = (options.limits, options.timeouts);
        assert_eq!((limits.request_bytes, limits.held_bytes), (1 << 20, 2 << 20));
        assert_eq!((limits.window_bytes, limits.streams), (32 << 20, 9));
        assert_eq!((timeouts.read.as_secs(), timeouts.header.as_secs()), (1, 2));
        assert_eq!((timeouts.idle.as_secs(), timeouts.age.as_secs()), (3, 4));
        assert_eq!(limits.connections, 7);
        let cors = options.cors.expect("configured");
        assert_eq!(cors.allowed_origins, ["https://*.example.com"]);
        assert_eq!((edge.groups, edge.group_idle.as_secs()), (5, 60));
        assert_eq!((edge.dedup_window.as_secs(), edge.dedup_bytes), (120, 8 << 20));
        assert_eq!(edge.ceiling.soft_bytes, 100 << 20);
    }

    #[test]
    fn a_low_ceiling_leaves_the_engine_less() {
        let engine = |text: &str| {
            let real::Options { cache_bytes, write_buffer_bytes, .. } = parsed(text).edge.disk();
            (cache_bytes >> 20, write_buffer_bytes >> 20)
        };
        assert_eq!(engine("{}"), (64, 32));
        assert_eq!(engine("edge: { memory: { soft: 192MiB, hard: 256MiB } }"), (16, 16));
    }

    #[test]
    fn other_rules_have_another_version() {
        let version = |text: &str| parsed(text).edge.options("", &Labels::default()).config.version;
        let usual = version("{}");
        assert_eq!(
            usual,
            version("edge: { window: 10000ms, grace: 1s, journal: { limit: 2GiB } }")
        );
        for text in [
            "edge: { window: 5s }",
            "edge: { histogram: { bounds: [1ms] } }",
            "edge: { dimensions: [a] }",
            "edge: { dimensions: [a, b] }",
            "edge: { external_labels: { a: b } }",
            "edge: { lateness: 1h }",
            "edge: { future: 1h }",
        ] {
            assert_ne!(usual, version(text), "{text}");
        }
    }
}
