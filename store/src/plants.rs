//! Bugs on purpose, which `make chaos-plants` must find: a harness that never finds one proves nothing.
//!
//! They are in a build with the feature `plants` alone, and there none is on until it is [`sow`]n. In
//! every other build [`is`] is `false` before the optimiser begins, so nothing of them is left.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A start remembers no request of the earlier ones.
    FingerprintsForgotten,
    /// Who meets the same request in flight is acked before that one is on disk.
    WaiterAckedEarly,
    /// A log takes a second sync for proof of what the first could not make durable.
    FailedSyncRetried,
    /// A request whose caller hung up counts as done without a record.
    CancelledRequestDropped,
    /// A journal lets go of what the shards have not answered yet.
    TrimBeforeApply,
}

#[cfg(not(feature = "plants"))]
pub const fn is(_: Plant) -> bool {
    false
}

#[cfg(feature = "plants")]
pub use sown::{UnknownPlant, is, sow};

#[cfg(feature = "plants")]
mod sown {
    use std::sync::OnceLock;

    use thiserror::Error;

    use super::Plant;

    static SOWN: OnceLock<Plant> = OnceLock::new();

    const NAMES: [(&str, Plant); 5] = [
        ("fingerprints-forgotten", Plant::FingerprintsForgotten),
        ("waiter-acked-early", Plant::WaiterAckedEarly),
        ("failed-sync-retried", Plant::FailedSyncRetried),
        ("cancelled-request-dropped", Plant::CancelledRequestDropped),
        ("trim-before-apply", Plant::TrimBeforeApply),
    ];

    #[derive(Debug, Error)]
    #[error("no bug is named {name:?}: there are {}", NAMES.map(|(known, _)| known).join(", "))]
    pub struct UnknownPlant {
        name: String,
    }

    pub fn is(plant: Plant) -> bool {
        SOWN.get() == Some(&plant)
    }

    /// From here on the process has this bug. A second one has no effect.
    pub fn sow(name: &str) -> Result<(), UnknownPlant> {
        let named = NAMES.into_iter().find(|(known, _)| *known == name);
        let (_, plant) = named.ok_or_else(|| UnknownPlant { name: name.to_owned() })?;
        SOWN.get_or_init(|| plant);
        Ok(())
    }
}
