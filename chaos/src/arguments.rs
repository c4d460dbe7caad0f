//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
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
pub(crate) struct Common {
    /// The product's binary
    #[arg(long = "bin", env = "TRIBUTARY_BIN", value_name = "FILE")]
    binary: PathBuf,
    /// Drawn, and printed, when it is not given
    #[arg(long, default_value_t = rand::random::<u16>().into(), hide_default_value = true)]
    seed: u64,
    /// Rounds between two comparisons
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    check_every: u64,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// What a power cut may tear: all for a run, the journal for plants
    #[arg(long, value_enum)]
    tear: Option<Tear>,
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
            binary: self.binary.clone(),
            mode,
            rounds,
            limit: None,
            seed: self.seed,
            check_every: self.check_every,
            clients: self.clients,
            at_least_once: false,
            tearing: self.tear.unwrap_or(Tear::All),
            plant: None,
        }
    }
}
