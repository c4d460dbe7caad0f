//! What one request adds: flat, in the order of its spans, by the slots of an edge's groups.
//!
//! A cell is what a group got in a window; several cells of one request may be of the same group and
//! window, since adding them up is the windows' business. A partial names its groups by number in the
//! journal, where definitions stand before it, so it takes a few bytes a cell.
//!
//! ```text
//! layout 8 · windows n, ends · cells n × (group, [window], buckets, sum)
//! ```

use std::collections::BTreeSet;

use crate::codec::{DecodeError, Reader, Writer};
use crate::groups::{Generation, GroupNumber, Slot};
use crate::layout::LayoutId;
use crate::window::WindowEnd;

#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub layout: LayoutId,
    /// In the order in which they were met.
    pub windows: Vec<WindowEnd>,
    pub cells: Vec<Cell>,
    marks: Vec<Mark>,
    /// What its slots hold for; `None` once read back from a journal.
    pub generation: Option<Generation>,
}

/// What happened to a group in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub slot: Slot,
    pub number: GroupNumber,
    /// Which of the partial's windows.
    pub window: u32,
    /// The buckets: a chain of marks.
    first: u32,
    pub sum_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    bucket: u16,
    spans: u32,
    next: u32,
}

const END: u32 = u32::MAX;

/// The spans of a cell by bucket.
#[derive(Clone, Debug)]
pub struct Buckets<'a> {
    marks: &'a [Mark],
    at: u32,
}

impl Iterator for Buckets<'_> {
    type Item = (usize, u32);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, u32)> {
        let mark = self.marks.get(self.at as usize)?;
        self.at = mark.next;
        Some((usize::from(mark.bucket), mark.spans))
    }
}

impl Partial {
    pub fn new(layout: LayoutId) -> Self {
        let (windows, cells, marks) = (Vec::new(), Vec::new(), Vec::new());
        Partial { layout, windows, cells, marks, generation: None }
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        self.windows.capacity() * size_of::<WindowEnd>()
            + self.cells.capacity() * size_of::<Cell>()
            + self.marks.capacity() * size_of::<Mark>()
    }

    pub fn add_window(&mut self, end: WindowEnd) -> u32 {
        self.windows.push(end);
        (self.windows.len() - 1) as u32
    }

    /// A cell with its first span; answers which it is.
    #[inline]
    pub fn add_cell(
        &mut self,
        slot: Slot,
        number: GroupNumber,
        window: u32,
        bucket: usize,
        sum_us: u64,
    ) -> u32 {
        let first = self.marks.len() as u32;
        self.marks.push(Mark { bucket: bucket as u16, spans: 1, next: END });
        self.cells.push(Cell { slot, number, window, first, sum_us });
        (self.cells.len() - 1) as u32
    }

    /// One more span. False where the sum has no room: then it wants another cell.
    #[inline]
    pub fn observe(&mut self, cell: u32, bucket: usize, sum_us: u64) -> bool {
        let cell = &mut self.cells[cell as usize];
        let Some(sum) = cell.sum_us.checked_add(sum_us) else { return false };
        let mut at = cell.first;
        while at != END {
            let mark = &mut self.marks[at as usize];
            if usize::from(mark.bucket) == bucket {
                // A request has fewer spans than bytes.
                mark.spans += 1;
                cell.sum_us = sum;
                return true;
            }
            at = mark.next;
        }
        cell.sum_us = sum;
        let next = std::mem::replace(&mut cell.first, self.marks.len() as u32);
        self.marks.push(Mark { bucket: bucket as u16, spans: 1, next });
        true
    }

    /// The spans of a cell by bucket, in no order.
    #[inline]
    pub fn buckets(&self, cell: &Cell) -> Buckets<'_> {
        Buckets { marks: &self.marks, at: cell.first }
    }

    pub fn encode(&self, w: &mut Writer) {
        w.fixed(self.layout.0.to_le_bytes());
        w.varint_u64(self.windows.len() as u64);
        let mut previous = 0;
        for end in &self.windows {
            w.signed(end.0.wrapping_sub(previous));
            previous = end.0;
        }
        w.varint_u64(self.cells.len() as u64);
        for cell in &self.cells {
            w.varint_u64(cell.number.0.into());
            if self.windows.len() > 1 {
                w.varint_u64(cell.window.into());
            }
            let first = self.marks[cell.first as usize];
            if first.next == END && first.spans == 1 {
                w.varint_u64(u64::from(first.bucket) << 1);
            } else {
                w.varint_u64((self.buckets(cell).count() as u64) << 1 | 1);
                for (bucket, spans) in self.buckets(cell) {
                    w.varint_u64(bucket as u64);
                    w.varint_u64(spans.into());
                }
            }
            w.varint_u64(cell.sum_us);
        }
    }

    /// `slot` finds the group of a number; `buckets` is the layout's number of them.
    pub fn decode(
        r: &mut Reader<'_>,
        buckets: impl Fn(LayoutId) -> Option<usize>,
        mut slot: impl FnMut(GroupNumber) -> Option<Slot>,
    ) -> Result<Self, DecodeError> {
        let layout = LayoutId(u64::from_le_bytes(r.fixed()?));
        let buckets = buckets(layout).ok_or(DecodeError::Bad("layout: not defined before"))?;
        let mut partial = Partial::new(layout);
        let mut previous = 0i64;
        let mut ends = BTreeSet::new();
        for _ in 0..r.varint()? {
            previous = previous.wrapping_add(r.signed()?);
            if !ends.insert(previous) {
                return Err(DecodeError::Bad("window: twice"));
            }
            partial.windows.push(WindowEnd(previous));
        }
        for _ in 0..r.varint()? {
            let number = u32::try_from(r.varint()?).map_err(|_| DecodeError::Bad("group"))?;
            let number = GroupNumber(number);
            let slot = slot(number).ok_or(DecodeError::Bad("group: not defined before"))?;
            let window = match partial.windows.len() {
                1 => 0,
                _ => r.varint()?,
            };
            if window >= partial.windows.len() as u64 {
                return Err(DecodeError::Bad("window"));
            }
            let first = partial.decode_marks(r, buckets)?;
            let sum_us = r.varint()?;
            partial.cells.push(Cell { slot, number, window: window as u32, first, sum_us });
        }
        Ok(partial)
    }

    fn decode_marks(&mut self, r: &mut Reader<'_>, buckets: usize) -> Result<u32, DecodeError> {
        let checked = |bucket: u64| match u16::try_from(bucket) {
            Ok(bucket) if usize::from(bucket) < buckets => Ok(bucket),
            _ => Err(DecodeError::Bad("bucket")),
        };
        let head = r.varint()?;
        let first = self.marks.len() as u32;
        if head & 1 == 0 {
            self.marks.push(Mark { bucket: checked(head >> 1)?, spans: 1, next: END });
            return Ok(first);
        }
        if head >> 1 == 0 {
            return Err(DecodeError::Bad("cell: no bucket"));
        }
        for left in (0..head >> 1).rev() {
            let bucket = checked(r.varint()?)?;
            let spans = u32::try_from(r.varint()?).map_err(|_| DecodeError::Bad("spans"))?;
            let next = if left == 0 { END } else { self.marks.len() as u32 + 1 };
            self.marks.push(Mark { bucket, spans, next });
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partial(spans: &[(u32, i64, u16, u64)]) -> Partial {
        let mut partial = Partial::new(LayoutId(7));
        for &(slot, end, bucket, us) in spans {
            let known = partial.windows.iter().position(|known| known.0 == end);
            let window =
                known.map_or_else(|| partial.add_window(WindowEnd(end)), |known| known as u32);
            let same = |cell: &Cell| (cell.slot, cell.window) == (Slot(slot), window);
            let cell = partial.cells.iter().rposition(same);
            let added = cell.is_some_and(|cell| partial.observe(cell as u32, bucket.into(), us));
            if !added {
                let number = GroupNumber(slot + 1000);
                partial.add_cell(Slot(slot), number, window, bucket.into(), us);
            }
        }
        partial
    }

    /// (slot, window, bucket) and the spans there, then the sum of each slot and window.
    type Flat = (Vec<(u32, i64, usize, u64)>, Vec<(u32, i64, u128)>);

    fn flat(partial: &Partial) -> Flat {
        use std::collections::BTreeMap;
        let (mut spans, mut sums) = (BTreeMap::new(), BTreeMap::new());
        for cell in &partial.cells {
            let end = partial.windows[cell.window as usize].0;
            *sums.entry((cell.slot.0, end)).or_default() += u128::from(cell.sum_us);
            for (bucket, n) in partial.buckets(cell) {
                *spans.entry((cell.slot.0, end, bucket)).or_default() += u64::from(n);
            }
        }
        let spans = spans.into_iter().map(|((a, b, c), n)| (a, b, c, n)).collect();
        (spans, sums.into_iter().map(|((a, b), sum)| (a, b, sum)).collect())
    }

    proptest! {
        #[test]
        fn records_give_back_what_was_added(
            spans in proptest::collection::vec((0..5u32, 0..3i64, 0..4u16, any::<u64>()), 0..60),
        ) {
            let partial = partial(&spans);
            let mut w = Writer::new();
            partial.encode(&mut w);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            let slot = |number: GroupNumber| number.0.checked_sub(1000).map(Slot);
            let read = Partial::decode(&mut r, |_| Some(4), slot).expect("decodes");
            prop_assert_eq!(r.finish(), Ok(()));
            prop_assert_eq!(flat(&read), flat(&partial));
            let count: u64 = flat(&read).0.iter().map(|(.., n)| n).sum();
            prop_assert_eq!(count, spans.len() as u64);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Partial::decode(&mut Reader::new(&bytes), |_| Some(4), |n| Some(Slot(n.0)));
        }
    }

    #[test]
    fn a_sum_beyond_64_bits_takes_a_second_cell() {
        let partial = partial(&[(1, 0, 3, u64::MAX), (1, 0, 3, 2), (1, 0, 2, 3)]);
        assert_eq!(partial.cells.len(), 2);
        assert_eq!(flat(&partial).1, [(1, 0, u128::from(u64::MAX) + 5)]);
    }

    #[test]
    fn a_group_that_nothing_defines_is_refused() {
        let partial = partial(&[(1, 0, 3, 9)]);
        let mut w = Writer::new();
        partial.encode(&mut w);
        let bytes = w.into_bytes();
        let read = |known: bool, buckets| {
            let slot = |n: GroupNumber| known.then_some(Slot(n.0));
            Partial::decode(&mut Reader::new(&bytes), |_| buckets, slot)
        };
        assert_eq!(read(false, Some(4)), Err(DecodeError::Bad("group: not defined before")));
        assert_eq!(read(true, None), Err(DecodeError::Bad("layout: not defined before")));
        assert_eq!(read(true, Some(3)), Err(DecodeError::Bad("bucket")));
        assert!(read(true, Some(4)).is_ok());
    }
}
