//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tributary_chaos::abuse::{self, Kind};
use tributary_chaos::options::{Mode, Options, Tear};

#[derive(Parser)]
#[command(about = "Kills, power cuts and bad disks against the real binary")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Rounds of load and fault, with comparisons; fails on any difference
    Run(RunArguments),
    /// Bugs on purpose, each of which must be found
    Plants(PlantsArguments),
    /// A ceiling of memory under clients who mean harm, and what they cost a healthy one
    Abuse(AbuseArguments),
    /// Those clients, in a process of their own
    #[command(hide = true)]
    Crowd(CrowdArguments),
}

#[derive(Args)]
pub(crate) struct RunArguments {
    /// What happens to the product; all of them when none is named
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',')]
    pub(crate) modes: Vec<Mode>,
    #[arg(long, default_value_t = 200)]
    pub(crate) rounds: u64,
    /// For a product that counts each try that it acked; one without an answer may count or not
    #[arg(long)]
    pub(crate) at_least_once: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct PlantsArguments {
    /// Rounds in which each must be found
    #[arg(long, default_value_t = 60)]
    pub(crate) rounds: u64,
    /// Seconds in which each must be found; a mode without a plant has as many to stay sound
    #[arg(long, default_value_t = 300)]
    pub(crate) seconds: u64,
    /// Only these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// As with `run`
    #[arg(long)]
    pub(crate) at_least_once: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct AbuseArguments {
    /// What is done to the product; everything when none is named
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Each without abuse, then with it
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Of either half of a round
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The product's hard limit, which its resident memory has to stay below
    #[arg(long, default_value_t = 256)]
    ceiling_mib: u64,
    /// New groups in all rounds together
    #[arg(long, default_value_t = 5_000_000)]
    groups: u64,
    #[command(flatten)]
    pub(crate) setup: Setup,
}

#[derive(Args)]
pub(crate) struct CrowdArguments {
    #[arg(long = "kind", required = true)]
    kinds: Vec<Kind>,
    #[arg(long)]
    grpc_port: u16,
    #[arg(long)]
    http_port: u16,
    #[arg(long)]
    groups_rate: u64,
}

impl AbuseArguments {
    pub(crate) fn options(&self) -> abuse::Options {
        abuse::Options {
            binary: self.setup.binary.clone(),
            kinds: Kind::chosen(&self.kinds),
            rounds: self.rounds,
            half: Duration::from_secs(self.seconds),
            ceiling_mib: self.ceiling_mib,
            groups: self.groups,
            seed: self.setup.seed,
        }
    }
}

impl CrowdArguments {
    pub(crate) fn options(&self) -> abuse::CrowdOptions {
        abuse::CrowdOptions {
            kinds: self.kinds.clone(),
            grpc_port: self.grpc_port,
            http_port: self.http_port,
            groups_rate: self.groups_rate,
        }
    }
}

/// What every task has.
#[derive(Args)]
pub(crate) struct Setup {
    /// The product's binary
    #[arg(long = "bin", env = "TRIBUTARY_BIN", value_name = "FILE")]
    binary: PathBuf,
    /// Drawn, and printed, when it is not given
    #[arg(long, default_value_t = rand::random::<u16>().into(), hide_default_value = true)]
    seed: u64,
    /// Where data, mounts and logs are kept while it runs; what failed stays
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// The reports as a page to keep
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// The reports as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What both tasks with faults have.
#[derive(Args)]
pub(crate) struct Common {
    /// Rounds between two comparisons
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    check_every: u64,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// What a power cut may tear: all for a run, the journal for plants
    #[arg(long, value_enum)]
    tear: Option<Tear>,
    #[command(flatten)]
    pub(crate) setup: Setup,
}

impl PlantsArguments {
    pub(crate) fn options(&self, mode: Mode) -> Options {
        Options {
            at_least_once: self.at_least_once,
            limit: Some(Duration::from_secs(self.seconds)),
            // An engine that does not open on torn files of its own would pass for a plant.
            tearing: self.common.tear.unwrap_or(Tear::Journal),
            ..self.common.options(mode, self.rounds)
        }
    }
}

impl Common {
    pub(crate) fn options(&self, mode: Mode, rounds: u64) -> Options {
        Options {
            binary: self.setup.binary.clone(),
            mode,
            rounds,
            limit: None,
            seed: self.setup.seed,
            check_every: self.check_every,
            clients: self.clients,
            at_least_once: false,
            tearing: self.tear.unwrap_or(Tear::All),
            plant: None,
        }
    }
}
