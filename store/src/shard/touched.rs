//! Which stretches have rows to be added together.

use std::collections::{BTreeSet, HashSet};

use crate::family::blocks::BlockKey;
use crate::family::samples::SampleKey;

/// Stretches that got a further row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) blocks: BTreeSet<BlockKey>,
    pub(crate) samples: BTreeSet<SampleKey>,
    /// The latest stretch that each group has in a layout: it is over when a later one comes.
    open: BTreeSet<BlockKey>,
}

/// What a compaction looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due {
    /// Whether the group went on to a later stretch.
    pub(crate) blocks: Vec<(BlockKey, bool)>,
    pub(crate) samples: BTreeSet<SampleKey>,
}

impl Due {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.samples.is_empty()
    }
}

impl Touched {
    pub(crate) fn extend(&mut self, other: Touched) {
        self.blocks.extend(other.blocks);
        self.samples.extend(other.samples);
    }

    /// What was touched since the last time, and the stretches that ended in it.
    pub(crate) fn take(&mut self) -> Due {
        let samples = std::mem::take(&mut self.samples);
        let touched = std::mem::take(&mut self.blocks);
        let mut all = std::mem::take(&mut self.open);
        all.extend(touched.iter().cloned());
        let mut blocks = Vec::new();
        let mut newest = HashSet::new();
        for key in all.into_iter().rev() {
            let is_over = !newest.insert((key.tenant.clone(), key.group, key.layout));
            if is_over || touched.contains(&key) {
                blocks.push((key.clone(), is_over));
            }
            if !is_over {
                self.open.insert(key);
            }
        }
        Due { blocks, samples }
    }
}

#[cfg(test)]
mod tests {
    use tributary_spanmetrics::{GroupId, LayoutId, Tenant};

    use super::*;

    fn key(group: u128, stretch_ms: i64) -> BlockKey {
        let (tenant, layout) = (Tenant::default(), LayoutId(1));
        BlockKey { tenant, group: GroupId(group), stretch_ms, layout }
    }

    #[test]
    fn a_stretch_is_over_once_its_group_goes_on_to_a_later_one() {
        let mut touched = Touched::default();
        let mut due = |keys: &[(u128, i64)]| {
            touched.blocks.extend(keys.iter().map(|(group, at)| key(*group, *at)));
            let due = touched.take().blocks.into_iter();
            due.map(|(key, over)| (key.group.0, key.stretch_ms, over)).collect::<Vec<_>>()
        };
        assert_eq!(due(&[(1, 0), (2, 0)]), [(2, 0, false), (1, 0, false)]);
        assert_eq!(due(&[(2, 0)]), [(2, 0, false)]);
        assert_eq!(due(&[(1, 9)]), [(1, 9, false), (1, 0, true)]);
        assert_eq!(due(&[(1, 0), (1, 9)]), [(1, 9, false), (1, 0, true)], "late");
        assert_eq!(due(&[]), []);
    }
}
