//! zstd, of one frame or several.
//!
//! The header of each frame (RFC 8878, 3.1.1.1) is read here before the decoder sees it, so that its
//! window is paid for first, and refused when it is larger than [`WINDOW_BYTES`], which is what the RFC
//! asks every decoder to take.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::output::Output;
use super::unpacker::Step;
use crate::receivers::fault::Fault;

const WINDOW_LOG: u32 = 23;
const WINDOW_BYTES: u64 = 1 << WINDOW_LOG;
/// The decoder without its buffers.
const STATE_BYTES: usize = 160 << 10;
const BLOCK_BYTES: u64 = 128 << 10;
const HEADER_BYTES: usize = 18;

pub(crate) struct Unzstd {
    decoder: Decoder<'static>,
    place: Place,
    frames: u64,
    /// Of the share: the decoder with the largest buffers so far.
    paid_bytes: usize,
}

enum Place {
    Header {
        bytes: [u8; HEADER_BYTES],
        len: usize,
    },
    /// How long the output will be at the frame's end, if its header says so.
    Inside {
        until: Option<usize>,
    },
}

const START: Place = Place::Header { bytes: [0; HEADER_BYTES], len: 0 };

impl Unzstd {
    pub(crate) fn new(output: &mut Output) -> Result<Self, Fault> {
        output.share().grow(STATE_BYTES)?;
        let mut decoder = Decoder::new().map_err(|_| Fault::Busy)?;
        let limited = decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG));
        limited.map_err(|error| bad(&error.to_string()))?;
        Ok(Unzstd { decoder, place: START, frames: 0, paid_bytes: STATE_BYTES })
    }

    pub(crate) fn step(&mut self, input: &[u8], output: &mut Output) -> Result<Step, Fault> {
        match &mut self.place {
            Place::Inside { .. } => {
                let Step { taken, more } = self.run(input, output)?;
                if taken == 0 && !more && !input.is_empty() && !self.is_between() {
                    return Err(bad("no headway"));
                }
                Ok(Step { taken, more })
            }
            Place::Header { bytes, len } => {
                let wanted = match Header::read(&bytes[..*len])? {
                    Ok(header) => return self.begin(header, output),
                    Err(wanted) => wanted,
                };
                let taken = wanted.min(input.len());
                bytes[*len..*len + taken].copy_from_slice(&input[..taken]);
                *len += taken;
                Ok(Step { taken, more: taken == wanted })
            }
        }
    }

    pub(crate) fn finish(self, output: &mut Output) -> Result<(), Fault> {
        if self.frames == 0 || !self.is_between() {
            return Err(bad("it ends too early"));
        }
        let paid = self.paid_bytes;
        drop(self);
        output.share().shrink(paid);
        Ok(())
    }

    /// Between two frames.
    fn is_between(&self) -> bool {
        matches!(self.place, Place::Header { len: 0, .. })
    }

    fn begin(&mut self, header: Header, output: &mut Output) -> Result<Step, Fault> {
        let inside = Place::Inside { until: None };
        let Place::Header { bytes, len } = std::mem::replace(&mut self.place, inside) else {
            unreachable!("the caller saw the header")
        };
        if let Header::Frame { window, content } = header {
            if window > WINDOW_BYTES {
                return Err(bad(&format!(
                    "its window of {window} bytes is larger than {WINDOW_BYTES}: compress with a \
                     smaller one"
                )));
            }
            if let Some(content) = content {
                let content = usize::try_from(content).unwrap_or(usize::MAX);
                if content > output.left_bytes() {
                    return Err(output.too_large());
                }
                let until = output.len() + content;
                output.announce(until);
                self.place = Place::Inside { until: Some(until) };
            }
            // One block as it comes, and the window with one more as it goes.
            let buffers = content.unwrap_or(u64::MAX).min(window + BLOCK_BYTES) + BLOCK_BYTES;
            let wanted = STATE_BYTES + buffers as usize;
            if wanted > self.paid_bytes {
                output.share().grow(wanted - self.paid_bytes)?;
                self.paid_bytes = wanted;
            }
        }
        let Step { taken, .. } = self.run(&bytes[..len], output)?;
        if taken != len {
            return Err(bad("its header is not taken"));
        }
        Ok(Step { taken: 0, more: true })
    }

    fn run(&mut self, input: &[u8], output: &mut Output) -> Result<Step, Fault> {
        let mut input = InBuffer::around(input);
        let (hint, full) = match output.spare_some(4 * input.src.len())? {
            Some(spare) => {
                let held = spare.len();
                let mut place = OutBuffer::around_pos(spare, held);
                let hint = self.decoder.run(&mut input, &mut place);
                let is_full = spare.len() == spare.capacity();
                output.settle();
                (hint, is_full)
            }
            // At the limit: only what gives no more output may follow.
            None => {
                let mut one = [0; 1];
                let mut place = OutBuffer::around(&mut one[..]);
                let hint = self.decoder.run(&mut input, &mut place);
                if place.pos() > 0 {
                    return Err(output.too_large());
                }
                (hint, false)
            }
        };
        if hint.map_err(|error| bad(&error.to_string()))? == 0 {
            // The decoder does not look where the last block is empty and the frame came in parts.
            if let Place::Inside { until: Some(until) } = self.place
                && until != output.len()
            {
                return Err(bad("its content is not as long as its header says"));
            }
            self.place = START;
            self.frames += 1;
            return Ok(Step { taken: input.pos(), more: false });
        }
        Ok(Step { taken: input.pos(), more: full })
    }
}

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Frame {
        window: u64,
        content: Option<u64>,
    },
    /// It holds nothing of the body.
    Skippable,
}

impl Header {
    const MAGIC: u32 = 0xfd2f_b528;
    const SKIPPABLE: u32 = 0x184d_2a50;

    /// `Err` within says how many more bytes it takes.
    fn read(bytes: &[u8]) -> Result<Result<Self, usize>, Fault> {
        let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
            return Ok(Err(4 - bytes.len()));
        };
        let magic = u32::from_le_bytes(*magic);
        if magic & !0xf == Self::SKIPPABLE {
            return Ok(if rest.len() < 4 { Err(4 - rest.len()) } else { Ok(Header::Skippable) });
        }
        if magic != Self::MAGIC {
            return Err(bad("its first bytes are others"));
        }
        let Some((descriptor, rest)) = rest.split_first() else { return Ok(Err(1)) };
        let is_single = descriptor & 0x20 != 0;
        let dictionary_bytes = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content_bytes = match descriptor >> 6 {
            0 => usize::from(is_single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let window_bytes = usize::from(!is_single);
        let wanted = window_bytes + dictionary_bytes + content_bytes;
        if rest.len() < wanted {
            return Ok(Err(wanted - rest.len()));
        }
        let content = &rest[window_bytes + dictionary_bytes..wanted];
        let mut wide = [0; 8];
        wide[..content_bytes].copy_from_slice(content);
        let content = match content_bytes {
            0 => None,
            2 => Some(u64::from_le_bytes(wide) + 256),
            _ => Some(u64::from_le_bytes(wide)),
        };
        let window = match content {
            Some(content) if is_single => content,
            _ => {
                let base = 1 << (10 + (rest[0] >> 3));
                base + base / 8 * u64::from(rest[0] & 7)
            }
        };
        Ok(Ok(Header::Frame { window, content }))
    }
}

fn bad(reason: &str) -> Fault {
    Fault::BadData(format!("not zstd: {reason}"))
}
