//! The memory ceiling: how much is in use, and from where on the edge takes nothing more.
//!
//! What is in use is the process's business; the edge is told by a function. As it grows, things stop one
//! after the other, so that what one client does costs the others last:
//!
//! ```text
//!  0          soft / 2           3/4 soft             soft             half way           hard
//!  ├──────────────┼──────────────────┼──────────────────┼──────────────────┼──────────────────┤
//!                 │ new groups fold  │ large bodies are │ every request is │ bodies that have │ for
//!                 │ into overflow    │ refused          │ refused          │ begun end        │ seals
//! ```
//!
//! Groups stay in memory for long, so they may take half: were they to reach the soft limit, no request would be
//! taken until they are idle. A large body is refused before small ones are, and well before: what it frees as it
//! grows stays resident for some milliseconds. What is sealed cannot be refused any more, and needs room to be
//! encoded and stored in.

use std::fmt;
use std::sync::Arc;

/// Of a body. What exporters send by default is well below.
#[cfg(feature = "receivers")]
pub(crate) const LARGE_BYTES: usize = 2 << 20;

#[derive(Clone)]
pub struct Ceiling {
    pub soft_bytes: usize,
    pub hard_bytes: usize,
    pub used_bytes: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl Ceiling {
    /// What is in use, where that is too much.
    pub(crate) fn exceeded_by(&self) -> Option<usize> {
        let used = (self.used_bytes)();
        (used > self.soft_bytes).then_some(used)
    }

    /// Whether groups that are new have to share.
    pub(crate) fn folds_groups(&self) -> bool {
        (self.used_bytes)() > self.soft_bytes / 2
    }

    /// Whether a body may take so much more; one that has `held` nothing yet has not begun.
    #[cfg(feature = "receivers")]
    pub(crate) fn allows(&self, held: usize, more: usize) -> bool {
        let limit = match held {
            _ if held.saturating_add(more) > LARGE_BYTES => self.soft_bytes / 4 * 3,
            0 => self.soft_bytes,
            _ => self.soft_bytes + (self.hard_bytes - self.soft_bytes) / 2,
        };
        (self.used_bytes)().saturating_add(more) <= limit
    }
}

/// None: where nobody counts, nothing is refused.
impl Default for Ceiling {
    fn default() -> Self {
        Ceiling { soft_bytes: usize::MAX, hard_bytes: usize::MAX, used_bytes: Arc::new(|| 0) }
    }
}

impl fmt::Debug for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceiling")
            .field("soft_bytes", &self.soft_bytes)
            .field("hard_bytes", &self.hard_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "receivers"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[test]
    fn groups_stop_first_then_large_bodies_then_requests_then_bodies_that_have_begun() {
        const MIB: usize = 1 << 20;
        let used = Arc::new(AtomicUsize::new(0));
        let read = used.clone();
        let used_bytes = Arc::new(move || read.load(Relaxed));
        let ceiling = Ceiling { soft_bytes: 192 * MIB, hard_bytes: 256 * MIB, used_bytes };
        let stopped = |mib: usize| {
            used.store(mib * MIB, Relaxed);
            [
                ceiling.folds_groups(),
                !ceiling.allows(0, 4 * MIB),
                !ceiling.allows(4 * MIB, 1),
                ceiling.exceeded_by().is_some(),
                !ceiling.allows(0, 1),
                !ceiling.allows(1, MIB),
            ]
        };
        assert_eq!(stopped(96), [false; 6]);
        assert_eq!(stopped(97), [true, false, false, false, false, false]);
        assert_eq!(stopped(141), [true, true, false, false, false, false]);
        assert_eq!(stopped(144), [true, true, true, false, false, false]);
        assert_eq!(stopped(192), [true, true, true, false, true, false]);
        assert_eq!(stopped(193), [true, true, true, true, true, false]);
        assert_eq!(stopped(224), [true; 6]);
    }
}
