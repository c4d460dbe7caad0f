//! What is probed, and what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use tributary_spanmetrics::Labels;

use super::request::Request;

#[derive(Clone, Debug)]
pub struct Target {
    pub(super) request: Request,
    /// `job`, `instance` and whatever else its samples carry.
    pub labels: Labels,
}

impl Target {
    /// A page that answers with success.
    pub fn page(job: &str, address: SocketAddr, path: &str) -> Self {
        Target::new(job, Request::get(address, path))
    }

    /// An OTLP/HTTP receiver, which has to accept a request without spans. Asking it for anything
    /// less would show in its counters as a refusal.
    pub fn receiver(job: &str, address: SocketAddr) -> Self {
        Target::new(job, Request::post_no_spans(address))
    }

    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.set(name, value);
        self
    }

    pub fn url(&self) -> String {
        self.request.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.request.address
    }

    pub fn path(&self) -> &str {
        &self.request.path
    }

    pub fn job(&self) -> &str {
        self.labels.get("job").unwrap_or_default()
    }

    fn new(job: &str, request: Request) -> Self {
        let instance = request.address.to_string();
        Target { request, labels: Labels::from_pairs([("job", job), ("instance", &instance)]) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not probed yet.
    Unknown,
    Up,
    Down,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// A target and its last probe.
#[derive(Clone, Debug)]
pub struct TargetState {
    pub target: Target,
    pub health: Health,
    /// Empty unless it is down.
    pub last_error: String,
    pub last_probe_ms: Option<i64>,
    pub last_duration: Duration,
}

impl TargetState {
    pub(super) fn unknown(target: Target) -> Self {
        TargetState {
            target,
            health: Health::Unknown,
            last_error: String::new(),
            last_probe_ms: None,
            last_duration: Duration::ZERO,
        }
    }
}
