//! Blocks: the deltas of one group and layout in one stretch of time, as one commit gathered them.
//! Blocks of one stretch add up.

use std::collections::BTreeMap;

use tributary_spanmetrics::codec::DecodeError;
use tributary_spanmetrics::{Delta, GroupId, Layout, LayoutId, Tenant, WindowEnd};

use super::{Damaged, KeyReader, KeyWriter};

pub(crate) type Windows = BTreeMap<WindowEnd, Delta>;

/// Shared with the totals, which stand beside the blocks under the same keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockKey {
    pub(crate) tenant: Tenant,
    pub(crate) group: GroupId,
    /// The start of the stretch.
    pub(crate) stretch_ms: i64,
    pub(crate) layout: LayoutId,
}

impl BlockKey {
    /// Every row of the group begins with this.
    pub(crate) fn of_group(tenant: &Tenant, group: GroupId) -> KeyWriter {
        KeyWriter::tenant(tenant).u128(group.0)
    }

    /// The row that a commit wrote.
    pub(crate) fn row(&self, commit: u64) -> Vec<u8> {
        self.prefix().u64(commit).done()
    }

    /// Every row of the stretch in this layout begins with this.
    pub(crate) fn prefix(&self) -> KeyWriter {
        Self::of_group(&self.tenant, self.group).time(self.stretch_ms).u64(self.layout.0)
    }

    pub(crate) fn decode(row: &[u8]) -> Option<(Self, u64)> {
        let (tenant, mut r) = KeyReader::tenant(row)?;
        let group = GroupId(r.u128()?);
        let stretch_ms = r.time()?;
        let layout = LayoutId(r.u64()?);
        Some((BlockKey { tenant, group, stretch_ms, layout }, r.u64()?))
    }
}

const BLOCK_V1: u8 = 1;

pub(crate) fn encode(windows: &Windows) -> Vec<u8> {
    super::seal(BLOCK_V1, |w| {
        w.varint(windows.len() as u64);
        let mut previous = 0;
        for (end, delta) in windows {
            w.signed(end.0 - previous);
            delta.encode(w);
            previous = end.0;
        }
    })
}

pub(crate) fn decode(value: &[u8], layout: &Layout) -> Result<Windows, Damaged> {
    super::open(BLOCK_V1, value, |r| {
        let mut windows = Windows::new();
        let mut previous = 0i64;
        for _ in 0..r.varint()? {
            previous = previous.checked_add(r.signed()?).ok_or(DecodeError::Bad("window"))?;
            windows.insert(WindowEnd(previous), Delta::decode(r, layout)?);
        }
        Ok(windows)
    })
}

pub(crate) fn add(into: &mut Windows, windows: Windows) {
    for (end, delta) in windows {
        match into.get_mut(&end) {
            Some(mine) => mine.merge(&delta),
            None => {
                into.insert(end, delta);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Windows {
        let layout = Layout::default();
        let mut delta = Delta::empty(&layout);
        delta.observe(&layout, 3_000_000);
        delta.observe(&layout, u64::MAX);
        Windows::from([(WindowEnd(-10_000), Delta::empty(&layout)), (WindowEnd(20_000), delta)])
    }

    #[test]
    fn the_bytes_are_pinned() {
        let value = encode(&windows());
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED);
        assert_eq!(decode(&value, &Layout::default()), Ok(windows()));
    }

    #[test]
    fn key_round_trips_and_sorts_by_stretch_before_layout() {
        let key = |stretch_ms, layout| BlockKey {
            tenant: Tenant::default(),
            group: GroupId(7),
            stretch_ms,
            layout: LayoutId(layout),
        };
        assert_eq!(BlockKey::decode(&key(-5, 9).row(3)), Some((key(-5, 9), 3)));
        assert!(key(0, 9).row(9) < key(1, 1).row(1));
    }

    const PINNED: &str = "01029f9c01000000e0d4038010a8e79adef4a6e220020180080e8008e1404fca";
}
