//! What a run is told to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

/// A manner of doing harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// 2,000 connections that send a few bytes now and then
    Slow,
    /// 32 senders of gzip and zstd that inflates to GiBs, or to just below the limit
    Bombs,
    /// JSON and attribute values 100,000 levels deep
    Deep,
    /// JSON of nothing but empty objects, as spans, by the megabyte
    Wide,
    /// HTTP/2 calls with heads near the limit and without a body, 128 on each of 64 connections
    Heads,
    /// Floods of HTTP/2 streams that are opened and reset
    Resets,
    /// Groups that nobody has seen before, by the million
    Groups,
}

impl Kind {
    pub const ALL: [Kind; 7] =
        [Kind::Slow, Kind::Bombs, Kind::Deep, Kind::Wide, Kind::Heads, Kind::Resets, Kind::Groups];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Slow => "slow",
            Kind::Bombs => "bombs",
            Kind::Deep => "deep",
            Kind::Wide => "wide",
            Kind::Heads => "heads",
            Kind::Resets => "resets",
            Kind::Groups => "groups",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    pub binary: PathBuf,
    pub kinds: Vec<Kind>,
    /// Each is one without abuse and one with it.
    pub rounds: u32,
    /// Of either half of a round.
    pub half: Duration,
    pub ceiling_mib: u64,
    /// New groups that are sent in all rounds together.
    pub groups: u64,
    pub seed: u64,
}

impl Options {
    /// New groups a second, while there is abuse.
    pub(super) fn groups_rate(&self) -> u64 {
        (self.groups as f64 / (self.half * self.rounds).as_secs_f64()).ceil() as u64
    }
}
