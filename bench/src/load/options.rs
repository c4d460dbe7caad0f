//! The command line of `load`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use super::packing::Packing;
use crate::spans::Shape;

#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where the receiver listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4317")]
    pub to: SocketAddr,
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    pub protocol: Protocol,
    /// How long new requests are sent; then those in flight are awaited
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Stops after so many requests
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// Spans a second; flat out without it
    #[arg(long, value_name = "SPANS")]
    pub rate: Option<f64>,
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub connections: usize,
    /// Requests without an answer, on each connection (over HTTP each has a connection of its own)
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub in_flight: usize,
    /// Compresses bodies, at `--level`
    #[arg(long, conflicts_with = "zstd")]
    pub gzip: bool,
    /// Compresses bodies, at `--level`
    #[arg(long)]
    pub zstd: bool,
    #[arg(long, default_value_t = 1)]
    pub level: u32,
    /// Spans in a request
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub spans: usize,
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub groups: usize,
    /// In place of what follows from --groups
    #[arg(long, value_name = "N", requires = "names")]
    pub services: Option<usize>,
    /// Span names of each service; --groups is not used then
    #[arg(long, value_name = "N", requires = "services")]
    pub names: Option<usize>,
    /// 2: each name succeeds, and fails one time in ten; 1: it does always the same
    #[arg(long, value_name = "N")]
    pub outcomes: Option<usize>,
    /// Resources of each service, with groups in common
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub instances: usize,
    /// Each span has its attributes in an order of its own
    #[arg(long)]
    pub shuffled: bool,
    /// Attributes that are no dimensions have a value of their own in each span
    #[arg(long)]
    pub distinct_values: bool,
    /// Of what the spans are like
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Requests that are prepared and then sent in turn; by default so many that every group occurs
    #[arg(long, value_name = "N")]
    pub prepared: Option<usize>,
    /// Says `ready` and begins when a line comes in
    #[arg(long)]
    pub wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Grpc,
    Http,
}

/// Prepared requests take memory: 60 MB at the least of these with 512 spans.
const PREPARED: std::ops::RangeInclusive<usize> = 128..=20_000;

impl Options {
    pub fn shape(&self) -> Shape {
        let plain = Shape::of(self.spans, self.groups);
        let outcomes = self.outcomes.unwrap_or(match self.services {
            Some(_) => 1,
            None => plain.outcomes,
        });
        Shape {
            services: self.services.unwrap_or(plain.services),
            names: self.names.unwrap_or(plain.names),
            outcomes,
            instances: self.instances,
            shuffled: self.shuffled,
            distinct_values: self.distinct_values,
            ..plain
        }
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.connections > 0 && self.in_flight > 0,
            "--connections and --in-flight begin at 1"
        );
        self.duration()?;
        let positive = self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
        ensure!(positive, "--rate has to be above 0");
        Ok(())
    }

    pub(super) fn duration(&self) -> anyhow::Result<Duration> {
        Duration::try_from_secs_f64(self.seconds)
            .with_context(|| format!("--seconds {} is not a duration", self.seconds))
    }

    pub(super) fn packing(&self) -> Packing {
        match (self.gzip, self.zstd) {
            (true, _) => Packing::Gzip { level: self.level },
            (_, true) => Packing::Zstd { level: self.level },
            _ => Packing::Plain,
        }
    }

    /// Never fewer than can be in flight.
    pub(super) fn prepared_requests(&self) -> usize {
        let enough = self.shape().requests_for_all_groups();
        let wanted = self.prepared.unwrap_or(enough.clamp(*PREPARED.start(), *PREPARED.end()));
        wanted.max(self.connections * self.in_flight)
    }
}
