//! What a run is told to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// kill -9 at a random moment
    Kill,
    /// kill -9, and the disk loses what was not synced
    Power,
    /// A disk that fills and empties
    Full,
    /// Syncs that fail, of the journal or of the shards
    Eio,
}

impl Mode {
    pub const ALL: [Mode; 4] = [Mode::Kill, Mode::Power, Mode::Full, Mode::Eio];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Kill => "kill",
            Mode::Power => "power",
            Mode::Full => "full",
            Mode::Eio => "eio",
        }
    }
}

/// Which files' unsynced writes a power cut tears one by one, down to sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tear {
    /// All: what POSIX allows, on a disk whose pages are not atomic
    All,
    /// The journal's; others keep a prefix of what was not synced, as with ext4 and `data=ordered`
    Journal,
}

/// A bug on purpose, which the judge has to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The disk ignores syncs of the journal.
    SyncSkipped,
    /// The disk ignores syncs of folders.
    FolderNotSynced,
    /// In a build of the product that has them.
    InProduct(&'static str),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub binary: PathBuf,
    pub mode: Mode,
    pub rounds: u64,
    /// The first round that begins later than this is a comparison, and the last.
    pub limit: Option<Duration>,
    pub seed: u64,
    /// Rounds between two comparisons.
    pub check_every: u64,
    pub clients: usize,
    /// For a product that does not recognize a request sent again: each try that was acked counts, one
    /// without an answer may. Nobody hangs up then, so that little is left open.
    pub at_least_once: bool,
    pub tearing: Tear,
    pub plant: Option<Plant>,
}
