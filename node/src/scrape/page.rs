//! The page's text, as chunks of bounded size.

use std::collections::BTreeMap;
use std::vec;

use bytes::Bytes;
use tributary_edge::{GroupTotals, TotalsPage};
use tributary_spanmetrics::{Layout, LayoutId, Naming};

use super::family::{Family, Lines};
use super::format::Format;
use super::walk::{Stopping, Walk};

/// A chunk ends with the group that fills it.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) struct Page {
    format: Format,
    lines: Lines,
    walk: Walk,
    /// Families that are not begun.
    families: vec::IntoIter<Family>,
    /// The one at hand.
    family: Option<Family>,
    rows: vec::IntoIter<GroupTotals>,
    layouts: BTreeMap<LayoutId, Layout>,
    ended: bool,
}

impl Page {
    pub(super) fn new(format: Format, naming: Naming, walk: Walk) -> Self {
        Page {
            format,
            lines: Lines::new(format, naming),
            walk,
            families: Family::ALL.to_vec().into_iter(),
            family: None,
            rows: Vec::new().into_iter(),
            layouts: BTreeMap::new(),
            ended: false,
        }
    }

    /// The next chunk, `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Stopping> {
        let mut text = String::new();
        while !self.ended && text.len() < CHUNK_BYTES {
            let Some(family) = self.family else {
                self.begin_family(&mut text);
                continue;
            };
            if let Some(row) = self.rows.next() {
                self.lines.row(family, &row, &self.layouts, &mut text);
                continue;
            }
            match self.walk.next().await? {
                Some(TotalsPage { layouts, rows, .. }) => {
                    (self.layouts, self.rows) = (layouts, rows.into_iter());
                }
                None => self.family = None,
            }
        }
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn begin_family(&mut self, text: &mut String) {
        self.family = self.families.next();
        match self.family {
            Some(family) => {
                self.lines.head(family, text);
                self.walk.start_again();
            }
            None => {
                text.push_str(self.format.end());
                self.ended = true;
            }
        }
    }
}
