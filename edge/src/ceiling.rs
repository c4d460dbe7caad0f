//! The memory ceiling: how much is in use, and from where on the edge takes nothing more.
//!
//! What is in use is the process's business; the edge is told by a function. At the soft limit requests are
//! refused, to be sent again, before their bodies are read, and groups that are new fold into their
//! tenant's overflow group. Between the two limits what has begun may end; no body grows over the hard one.

use std::fmt;
use std::sync::Arc;

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

    /// Whether a body may take so much more; one that has `held` nothing yet has not begun.
    #[cfg(feature = "receivers")]
    pub(crate) fn allows(&self, held: usize, more: usize) -> bool {
        let limit = if held == 0 { self.soft_bytes } else { self.hard_bytes };
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
