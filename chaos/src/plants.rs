//! Bugs on purpose: a judge that never finds anyone guilty proves nothing, and one that always does
//! neither. So the modes must be sound without a plant, and broken with each.

use std::path::Path;

use crate::options::{Mode, Options, Plant};
use crate::report::Report;
use crate::rounds;

pub struct Planted {
    pub name: &'static str,
    pub mode: Mode,
    plant: Plant,
}

/// What the disk does by itself comes first; the rest is in a build of the product with the feature
/// `plants`.
pub const ALL: [Planted; 7] = [
    Planted { name: "sync-skipped", mode: Mode::Power, plant: Plant::SyncSkipped },
    Planted { name: "directory-not-synced", mode: Mode::Power, plant: Plant::FolderNotSynced },
    in_product("fingerprints-forgotten", Mode::Kill),
    in_product("waiter-acked-early", Mode::Power),
    in_product("failed-sync-retried", Mode::Eio),
    in_product("cancelled-request-dropped", Mode::Kill),
    in_product("trim-before-apply", Mode::Power),
];

const fn in_product(name: &'static str, mode: Mode) -> Planted {
    Planted { name, mode, plant: Plant::InProduct(name) }
}

impl Planted {
    /// Runs its mode with the bug in it.
    pub async fn run(&self, options: &Options, dir: &Path) -> anyhow::Result<Report> {
        let options =
            Options { mode: self.mode, plant: Some(self.plant.clone()), ..options.clone() };
        rounds::run(&options, dir).await
    }
}
