//! gRPC's framing of a call with one message each way: a flag, the length, the message.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::receivers::body::{Coding, Held, Unpacker};
use crate::receivers::fault::Fault;

const PREFIX_BYTES: usize = 5;

/// Takes the one message of a call in, part by part.
pub(crate) struct Unframer<Open> {
    /// For a message of this coding and length.
    open: Open,
    /// Of a message whose flag says that it is compressed.
    coding: Coding,
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    message: Option<Unpacker>,
    /// Bytes of the message that have yet to come.
    missing: usize,
}

impl<Open: Fn(Coding, u64) -> Result<Unpacker, Fault>> Unframer<Open> {
    pub(crate) fn new(coding: Coding, open: Open) -> Self {
        let prefix = [0; PREFIX_BYTES];
        Unframer { open, coding, prefix, prefix_bytes: 0, message: None, missing: 0 }
    }

    pub(crate) async fn take(&mut self, mut part: Bytes) -> Result<(), Fault> {
        let of_prefix = part.len().min(PREFIX_BYTES - self.prefix_bytes);
        let filled = self.prefix_bytes + of_prefix;
        part.copy_to_slice(&mut self.prefix[self.prefix_bytes..filled]);
        self.prefix_bytes = filled;
        if self.message.is_none() {
            if filled < PREFIX_BYTES {
                return Ok(());
            }
            self.begin(self.prefix)?;
        }
        if part.len() > self.missing {
            return Err(bad("the call holds more than one message"));
        }
        self.missing -= part.len();
        match &mut self.message {
            Some(message) if !part.is_empty() => message.take(part).await,
            _ => Ok(()),
        }
    }

    pub(crate) fn finish(self) -> Result<Held, Fault> {
        match self.message {
            Some(message) if self.missing == 0 => message.finish(),
            Some(_) => Err(bad("the message is shorter than its prefix says")),
            None => Err(bad("the call holds no message")),
        }
    }

    fn begin(&mut self, prefix: [u8; PREFIX_BYTES]) -> Result<(), Fault> {
        let [flag, length @ ..] = prefix;
        let coding = match (flag, self.coding) {
            (0, _) => Coding::Identity,
            (1, Coding::Identity) => return Err(bad("the message is compressed as nobody knows")),
            (1, coding) => coding,
            _ => return Err(bad("the message's flag is neither 0 nor 1")),
        };
        let length = u32::from_be_bytes(length);
        self.message = Some((self.open)(coding, length.into())?);
        self.missing = length as usize;
        Ok(())
    }
}

/// A message that is not compressed, ready to be sent.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

fn bad(reason: &str) -> Fault {
    Fault::BadData(format!("not a gRPC call: {reason}"))
}
