//! gzip, of one member or several, and deflate, with zlib's wrapping or raw.
//!
//! HTTP's `deflate` is zlib's format (RFC 9110, 8.4.1.2), and some clients send the raw stream under
//! that name: the first two bytes tell them apart, as zlib's are a checksum of each other.

use flate2::{Decompress, FlushDecompress, Status};

use super::output::Output;
use super::unpacker::Step;
use crate::receivers::fault::Fault;

/// The window and the tables.
const STATE_BYTES: usize = 48 << 10;
const WINDOW_BITS: u8 = 15;

#[derive(Debug)]
pub(crate) struct Inflate {
    stream: Stream,
    gzip: bool,
}

#[derive(Debug)]
enum Stream {
    /// Not known yet whether it is wrapped: the first byte, if it was there.
    Deflate(Option<u8>),
    Inside(Decompress),
    /// Behind the end of a member.
    Ended,
}

impl Inflate {
    pub(crate) fn gzip(output: &mut Output) -> Result<Self, Fault> {
        output.share().grow(STATE_BYTES)?;
        Ok(Inflate { stream: Stream::Inside(Decompress::new_gzip(WINDOW_BITS)), gzip: true })
    }

    pub(crate) fn deflate(output: &mut Output) -> Result<Self, Fault> {
        output.share().grow(STATE_BYTES)?;
        Ok(Inflate { stream: Stream::Deflate(None), gzip: false })
    }

    pub(crate) fn step(&mut self, input: &[u8], output: &mut Output) -> Result<Step, Fault> {
        let inside = match &mut self.stream {
            Stream::Deflate(None) => {
                self.stream = Stream::Deflate(input.first().copied());
                return Ok(Step { taken: input.len().min(1), more: false });
            }
            Stream::Deflate(Some(first)) => {
                let Some(second) = input.first() else {
                    return Ok(Step { taken: 0, more: false });
                };
                let first = *first;
                let mut inside = Decompress::new(is_zlib(first, *second));
                // One byte is too little for any output.
                let begun = inside.decompress(&[first], &mut [0], FlushDecompress::None);
                begun.map_err(|error| self.bad(&error.to_string()))?;
                if inside.total_in() != 1 {
                    return Err(self.bad("no headway"));
                }
                self.stream = Stream::Inside(inside);
                return Ok(Step { taken: 0, more: true });
            }
            Stream::Ended if input.is_empty() => return Ok(Step { taken: 0, more: false }),
            Stream::Ended if self.gzip => {
                self.stream = Stream::Inside(Decompress::new_gzip(WINDOW_BITS));
                return Ok(Step { taken: 0, more: true });
            }
            Stream::Ended => return Err(self.bad("bytes behind its end")),
            Stream::Inside(inside) => inside,
        };
        let (taken, given) = (inside.total_in(), inside.total_out());
        let (done, full) = match output.spare_some(4 * input.len())? {
            Some(spare) => {
                let done = inside.decompress_vec(input, spare, FlushDecompress::None);
                let is_full = spare.len() == spare.capacity();
                output.settle();
                (done, is_full)
            }
            // At the limit: only what gives no more output may follow.
            None => (inside.decompress(input, &mut [0], FlushDecompress::None), false),
        };
        let (taken, given) = (inside.total_in() - taken, inside.total_out() - given);
        let status = done.map_err(|error| self.bad(&error.to_string()))?;
        if given > 0 && output.left_bytes() == 0 && !full {
            return Err(output.too_large());
        }
        match status {
            Status::StreamEnd => self.stream = Stream::Ended,
            Status::Ok | Status::BufError if taken + given == 0 && !input.is_empty() => {
                return Err(self.bad("no headway"));
            }
            Status::Ok | Status::BufError => {}
        }
        Ok(Step { taken: taken as usize, more: full })
    }

    pub(crate) fn finish(self, output: &mut Output) -> Result<(), Fault> {
        let Stream::Ended = self.stream else { return Err(self.bad("it ends too early")) };
        output.share().shrink(STATE_BYTES);
        Ok(())
    }

    fn bad(&self, reason: &str) -> Fault {
        let coding = if self.gzip { "gzip" } else { "deflate" };
        Fault::BadData(format!("not {coding}: {reason}"))
    }
}

/// RFC 1950: method 8, a window of at most 32 KiB, a multiple of 31.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}
