//! What a body becomes: bytes that grow only as far as was paid for, and never beyond the limit.

use bytes::Bytes;

use super::room::Share;
use crate::receivers::fault::Fault;

const FIRST_BYTES: usize = 4 << 10;
/// A smaller part is copied. It is a slice of what the connection reads into, and keeping it would keep all
/// of that: 8 KiB and often more, of which a byte was paid for.
const KEPT_BYTES: usize = 64 << 10;
/// As much is believed of an announced length as there is of it, times this: a length that lies costs
/// nothing, and one that is true costs one allocation, or two.
const BELIEVED: usize = 16;
/// What a decoder gives in one step.
const STEP_BYTES: usize = 256 << 10;

pub(crate) struct Output {
    /// A large body that came in one part, as it came. `bytes` is empty then.
    whole: Bytes,
    bytes: Vec<u8>,
    /// What a decoder gave in a step when `bytes` had place for more than a step gives.
    step: Vec<u8>,
    share: Share,
    limit_bytes: usize,
    /// How long it will be, if somebody said.
    announced: Option<usize>,
}

impl Output {
    pub(crate) fn new(limit_bytes: usize, announced: Option<usize>, share: Share) -> Self {
        Output {
            whole: Bytes::new(),
            bytes: Vec::new(),
            step: Vec::new(),
            share,
            limit_bytes,
            announced,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.bytes.len()
    }

    pub(crate) fn left_bytes(&self) -> usize {
        self.limit_bytes - self.len()
    }

    pub(crate) fn share(&mut self) -> &mut Share {
        &mut self.share
    }

    pub(crate) fn announce(&mut self, len: usize) {
        self.announced = Some(len);
    }

    pub(crate) fn too_large(&self) -> Fault {
        Fault::TooLarge { limit_bytes: self.limit_bytes }
    }

    /// Keeps the first part as it is if it is large and no more are known to come; copies the others.
    pub(crate) fn push(&mut self, part: Bytes) -> Result<(), Fault> {
        if part.len() > self.left_bytes() {
            return Err(self.too_large());
        }
        let is_first = self.len() == 0 && part.len() >= KEPT_BYTES;
        if is_first && self.announced.is_none_or(|announced| announced <= part.len()) {
            self.share.grow(part.len())?;
            self.whole = part;
            return Ok(());
        }
        if !self.whole.is_empty() {
            let first = std::mem::take(&mut self.whole);
            // Both are held for a moment.
            self.spare(first.len() + part.len())?;
            self.bytes.extend_from_slice(&first);
            self.share.shrink(first.len());
        }
        self.spare(part.len())?;
        self.bytes.extend_from_slice(&part);
        Ok(())
    }

    /// A vector with capacity for some more bytes, at least one and at most a step; `None` at the limit.
    /// What was put there is the output's with [`Output::settle`].
    pub(crate) fn spare_some(&mut self, wanted: usize) -> Result<Option<&mut Vec<u8>>, Fault> {
        let wanted = wanted.max(1).min(self.left_bytes());
        if wanted == 0 {
            return Ok(None);
        }
        if self.bytes.capacity() == self.bytes.len() {
            self.spare(wanted)?;
        }
        if self.bytes.capacity() - self.bytes.len() <= STEP_BYTES {
            return Ok(Some(&mut self.bytes));
        }
        if self.step.capacity() == 0 {
            self.share.grow(STEP_BYTES)?;
            self.step.reserve_exact(STEP_BYTES);
        }
        Ok(Some(&mut self.step))
    }

    pub(crate) fn settle(&mut self) {
        self.bytes.append(&mut self.step);
    }

    pub(crate) fn finish(mut self) -> (Bytes, Share) {
        self.share.shrink(self.step.capacity());
        let bytes = if self.whole.is_empty() { self.bytes.into() } else { self.whole };
        (bytes, self.share)
    }

    fn spare(&mut self, more: usize) -> Result<(), Fault> {
        let (len, capacity) = (self.bytes.len(), self.bytes.capacity());
        let needed = len + more;
        if needed <= capacity {
            return Ok(());
        }
        let grown = match self.announced {
            Some(announced) => announced.min(needed.saturating_mul(BELIEVED)),
            None => (2 * capacity).max(FIRST_BYTES),
        };
        let wanted = grown.max(needed).min(self.limit_bytes);
        self.share.grow(wanted - capacity)?;
        self.bytes.reserve_exact(wanted - len);
        Ok(())
    }
}
