//! The one place where the configuration becomes the engines' options.
//!
//! NOT WIRED YET, since nothing takes them so far: `edge.dedup`, `edge.groups`, `edge.memory`,
//! `receivers.max_streams`, `receivers.windows`, `receivers.idle_timeout`, `receivers.max_connection_age`,
//! `receivers.cors`. They are read and checked. Each joins here with one line, and leaves
//! [`Config::without_effect`].

use tributary_edge::receivers;
use tributary_spanmetrics::codec::Writer;
use tributary_spanmetrics::{Config as Rules, ConfigVersion, Labels, Layout};
use xxhash_rust::xxh3::xxh3_64;

use super::{Config, Edge, Receivers};

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

impl Receivers {
    pub fn options(&self) -> receivers::Options {
        receivers::Options {
            request_bytes: self.max_request.in_memory(),
            held_bytes: self.held.in_memory(),
            read_timeout: self.read_timeout.get(),
            header_timeout: self.header_timeout.get(),
            connections: usize::try_from(self.max_connections).unwrap_or(usize::MAX),
            ..receivers::Options::default()
        }
    }
}

impl Config {
    /// What is set to something else than the default and has no effect yet.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let (usual, Config { edge, receivers, .. }) = (Config::default(), self);
        [
            ("edge.dedup", edge.dedup != usual.edge.dedup),
            ("edge.groups", edge.groups != usual.edge.groups),
            ("edge.memory", edge.memory != usual.edge.memory),
            ("receivers.max_streams", receivers.max_streams != usual.receivers.max_streams),
            ("receivers.windows", receivers.windows != usual.receivers.windows),
            ("receivers.idle_timeout", receivers.idle_timeout != usual.receivers.idle_timeout),
            (
                "receivers.max_connection_age",
                receivers.max_connection_age != usual.receivers.max_connection_age,
            ),
            ("receivers.cors", receivers.cors != usual.receivers.cors),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
        .collect()
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
  journal: { limit: 64MiB }
receivers:
  max_request: 1MiB
  max_connections: 7
  held: 2MiB
  read_timeout: 1s
  header_timeout: 2s
",
        );
        let region = Labels::from_pairs([("region", "there")]);
        let edge = config.edge.options("edges/x", &region);
        assert_eq!((edge.dir.as_str(), edge.grace.as_secs()), ("edges/x", 1));
        assert_eq!((edge.journal_limit_bytes, edge.segment_bytes), (64 << 20, 16 << 20));
        let rules = edge.config;
        assert_eq!(rules.layout.window_ms(), 5_000);
        assert_eq!(rules.layout.bounds_ns(), [1_000_000, 1_000_000_000]);
        assert_eq!(rules.dimensions, ["http.route"]);
        assert_eq!(rules.external, Labels::from_pairs([("region", "there"), ("zone", "a")]));
        assert_eq!((rules.lateness.as_secs(), rules.future.as_secs()), (3600, 0));
        let options = config.receivers.options();
        assert_eq!((options.request_bytes, options.held_bytes), (1 << 20, 2 << 20));
        assert_eq!((options.read_timeout.as_secs(), options.header_timeout.as_secs()), (1, 2));
        assert_eq!(options.connections, 7);
        assert!(config.without_effect().is_empty());
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

    #[test]
    fn what_has_no_effect_yet_is_named_once_it_is_set() {
        let config = parsed("{ edge: { dedup: { window: 1min } }, receivers: { max_streams: 9 } }");
        assert_eq!(config.without_effect(), ["edge.dedup", "receivers.max_streams"]);
    }
}
