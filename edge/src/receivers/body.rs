//! A request's body: taken in part by part, inflated, capped, and paid for before it is held.
//!
//! The cap is on what comes out. Inflating goes in steps of at most [`STEP_BYTES`] of input and a buffer
//! of output, so that it stops near the cap, and gives way to other tasks every [`YIELD_BYTES`].

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::HeaderValue;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fault::Fault;

const STEP_BYTES: usize = 16 << 10;
const YIELD_BYTES: usize = 256 << 10;
const FIRST_BYTES: usize = 4 << 10;

/// How a body, or a message of gRPC, is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    pub(crate) fn named(name: Option<&HeaderValue>) -> Result<Self, Fault> {
        let Some(name) = name else { return Ok(Coding::Identity) };
        match name.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" | b"none" => Ok(Coding::Identity),
            b"gzip" => Ok(Coding::Gzip),
            _ => Err(Fault::Encoding),
        }
    }
}

/// A whole body, decompressed, and its share of the room for bodies.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) share: OwnedSemaphorePermit,
}

/// The next part of what a client sends; `None` at its end.
pub(crate) async fn next_part(body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Fault::BadData(format!("the body broke off: {error}")))?;
        // The others are trailers, which say nothing that matters here.
        if let Ok(part) = frame.into_data() {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// Takes a body in and holds it decompressed.
pub(crate) struct Unpacker {
    decoder: Decoder,
    since_yield: usize,
}

enum Decoder {
    Identity(Sink),
    Gzip(Box<MultiGzDecoder<Sink>>),
}

impl Unpacker {
    /// `room` has a permit for each byte that all bodies together may hold.
    pub(crate) fn new(coding: Coding, limit_bytes: usize, room: &Arc<Semaphore>) -> Self {
        let share = room.clone().try_acquire_many_owned(0).expect("the room is never closed");
        let sink = Sink { bytes: Vec::new(), share, limit_bytes, fault: None };
        let decoder = match coding {
            Coding::Identity => Decoder::Identity(sink),
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(sink))),
        };
        Unpacker { decoder, since_yield: 0 }
    }

    pub(crate) async fn take(&mut self, mut part: &[u8]) -> Result<(), Fault> {
        while !part.is_empty() {
            let held = self.sink().bytes.len();
            let taken = self.step(&part[..part.len().min(STEP_BYTES)])?;
            part = &part[taken..];
            self.since_yield += taken + self.sink().bytes.len() - held;
            if self.since_yield >= YIELD_BYTES {
                self.since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Held, Fault> {
        let Sink { bytes, share, .. } = match self.decoder {
            Decoder::Identity(sink) => sink,
            Decoder::Gzip(mut decoder) => {
                let finished = decoder.try_finish();
                told_apart(&mut decoder, finished)?;
                decoder.finish().map_err(|error| broken(&error))?
            }
        };
        Ok(Held { bytes: bytes.into(), share })
    }

    fn step(&mut self, part: &[u8]) -> Result<usize, Fault> {
        match &mut self.decoder {
            Decoder::Identity(sink) => sink.push(part).map(|()| part.len()),
            Decoder::Gzip(decoder) => {
                let written = decoder.write(part);
                match told_apart(decoder, written)? {
                    // It always moves on; if ever it did not, the caller would turn forever.
                    0 => Err(Fault::BadData("not gzip: no headway".into())),
                    taken => Ok(taken),
                }
            }
        }
    }

    fn sink(&self) -> &Sink {
        match &self.decoder {
            Decoder::Identity(sink) => sink,
            Decoder::Gzip(decoder) => decoder.get_ref(),
        }
    }
}

/// An error of the sink comes through the decoder as one of its own.
fn told_apart<T>(decoder: &mut MultiGzDecoder<Sink>, done: io::Result<T>) -> Result<T, Fault> {
    done.map_err(|error| decoder.get_mut().fault.clone().unwrap_or_else(|| broken(&error)))
}

fn broken(error: &io::Error) -> Fault {
    Fault::BadData(format!("not gzip: {error}"))
}

struct Sink {
    bytes: Vec<u8>,
    /// As many permits as `bytes` has capacity.
    share: OwnedSemaphorePermit,
    limit_bytes: usize,
    fault: Option<Fault>,
}

impl Sink {
    fn push(&mut self, part: &[u8]) -> Result<(), Fault> {
        let needed = self.bytes.len() + part.len();
        if needed > self.limit_bytes {
            return Err(Fault::TooLarge { limit_bytes: self.limit_bytes });
        }
        let paid = self.share.num_permits();
        if needed > paid {
            let capacity = needed.max(2 * paid).max(FIRST_BYTES).min(self.limit_bytes);
            let more = u32::try_from(capacity - paid).map_err(|_| Fault::Busy)?;
            let room = self.share.semaphore().clone();
            self.share.merge(room.try_acquire_many_owned(more).map_err(|_| Fault::Busy)?);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        // The decoder flushes once more when it is dropped; what comes then is not wanted.
        let pushed = match self.fault.take() {
            None => self.push(part),
            Some(fault) => Err(fault),
        };
        pushed.map(|()| part.len()).map_err(|fault| {
            let error = io::Error::other(fault.to_string());
            self.fault = Some(fault);
            error
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "body_test.rs"]
mod tests;
