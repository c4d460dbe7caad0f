//! Reads records in order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::segment::Segment;
use super::window::Window;
use super::{Index, LogError, Result, record};

/// Goes from one index up to what was durable when it was made. It holds the segments' files, so that
/// a trim does not take them from under it, and no more than one record beyond its read-ahead.
pub struct Reader {
    segments: VecDeque<Segment>,
    window: Option<Window>,
    next: Index,
}

impl Reader {
    pub(super) fn new(segments: VecDeque<Segment>, from: Index) -> Self {
        Reader { segments, window: None, next: from }
    }

    /// Indexes are without gaps but for the damage that the log's opening told of.
    pub async fn next(&mut self) -> Result<Option<(Index, Bytes)>> {
        Ok(self.next_placed().await?.map(|(index, _, payload)| (index, payload)))
    }

    /// And where in its segment the record stands.
    pub(super) async fn next_placed(&mut self) -> Result<Option<(Index, u64, Bytes)>> {
        while let Some(segment) = self.segments.front() {
            let window = self.window.get_or_insert_with(|| {
                let start = segment.start_for(self.next);
                Window::new(Arc::clone(&segment.file), start, segment.len)
            });
            let hole = segment.holes.iter().find(|hole| hole.at == window.at());
            if let Some(hole) = hole
                && hole.until > hole.at
            {
                window.seek(hole.until);
            }
            if window.left() == 0 || self.next >= segment.next {
                self.segments.pop_front();
                self.window = None;
                continue;
            }
            let Some(record) = record::read(window).await? else {
                let (path, index) = (segment.path.clone(), self.next);
                return Err(LogError::Unreadable { path, index });
            };
            let at = window.at();
            window.seek(at + record.size());
            // Before the start, or behind a damaged end: the next segment has these anew.
            if (self.next..segment.next).contains(&record.index) {
                self.next = record.index.next();
                return Ok(Some((record.index, at, record.payload)));
            }
        }
        Ok(None)
    }
}
