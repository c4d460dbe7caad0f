//! Takes a body in and holds it decompressed.
//!
//! The cap is on what comes out. Decompressing goes in steps of at most [`STEP_BYTES`] of input, which
//! fill the output that is there, so that it stops at the cap, and gives way to other tasks every
//! [`YIELD_BYTES`]. What goes on for longer than that waits for its turn among those that do.

use std::fmt;

use bytes::{Buf, Bytes};

use super::coding::Coding;
use super::inflate::Inflate;
use super::output::Output;
use super::room::{Room, Share};
use super::unzstd::Unzstd;
use crate::receivers::fault::Fault;

const STEP_BYTES: usize = 16 << 10;
const YIELD_BYTES: usize = 256 << 10;

/// A whole body, decompressed, and its share of the room for bodies.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// The bytes are the client's own business.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes held with a share of {}", self.bytes.len(), self.share.bytes())
    }
}

pub(crate) struct Unpacker {
    decoder: Decoder,
    output: Output,
    since_yield: usize,
    room: Room,
}

enum Decoder {
    Identity,
    Inflate(Box<Inflate>),
    Unzstd(Box<Unzstd>),
}

impl Unpacker {
    /// `announced` is how long the body will be as it is sent, if somebody said.
    pub(crate) fn new(
        coding: Coding,
        limit_bytes: usize,
        announced: Option<usize>,
        room: &Room,
    ) -> Result<Self, Fault> {
        let plain = announced.filter(|_| coding == Coding::Identity);
        let mut output = Output::new(limit_bytes, plain, room.share());
        let decoder = match coding {
            Coding::Identity => Decoder::Identity,
            Coding::Gzip => Decoder::Inflate(Box::new(Inflate::gzip(&mut output)?)),
            Coding::Deflate => Decoder::Inflate(Box::new(Inflate::deflate(&mut output)?)),
            Coding::Zstd => Decoder::Unzstd(Box::new(Unzstd::new(&mut output)?)),
        };
        Ok(Unpacker { decoder, output, since_yield: 0, room: room.clone() })
    }

    pub(crate) async fn take(&mut self, mut part: Bytes) -> Result<(), Fault> {
        if let Decoder::Identity = self.decoder {
            return self.output.push(part);
        }
        let mut turn = None;
        loop {
            let step = &part[..part.len().min(STEP_BYTES)];
            let held = self.output.len();
            let Step { taken, more } = match &mut self.decoder {
                Decoder::Identity => unreachable!("taken above"),
                Decoder::Inflate(inflate) => inflate.step(step, &mut self.output)?,
                Decoder::Unzstd(unzstd) => unzstd.step(step, &mut self.output)?,
            };
            part.advance(taken);
            if part.is_empty() && !more {
                return Ok(());
            }
            self.since_yield += taken + self.output.len() - held;
            if self.since_yield >= YIELD_BYTES {
                self.since_yield = 0;
                tokio::task::yield_now().await;
                if turn.is_none() {
                    turn = Some(self.room.turn().await);
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Held, Fault> {
        let Unpacker { decoder, mut output, .. } = self;
        match decoder {
            Decoder::Identity => {}
            Decoder::Inflate(inflate) => inflate.finish(&mut output)?,
            Decoder::Unzstd(unzstd) => unzstd.finish(&mut output)?,
        }
        let (bytes, share) = output.finish();
        Ok(Held { bytes, share })
    }
}

/// What a decoder did.
#[derive(Debug)]
pub(crate) struct Step {
    /// Of the input.
    pub(crate) taken: usize,
    /// There may be output that found no place yet.
    pub(crate) more: bool,
}

#[cfg(test)]
#[path = "unpacker_test.rs"]
mod tests;
