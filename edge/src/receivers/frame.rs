//! gRPC's framing of a call with one message each way: a flag, the length, the message.

use bytes::{BufMut, Bytes, BytesMut};

use super::body::{Coding, Held, Unpacker};
use super::export::Exporter;
use super::fault::Fault;

const PREFIX_BYTES: usize = 5;

/// Takes the one message of a call in, part by part.
pub(crate) struct Unframer<'a> {
    exporter: &'a Exporter,
    /// Of a message whose flag says that it is compressed.
    coding: Coding,
    prefix: Vec<u8>,
    message: Option<Unpacker>,
    /// Bytes of the message that have yet to come.
    missing: usize,
}

impl<'a> Unframer<'a> {
    pub(crate) fn new(exporter: &'a Exporter, coding: Coding) -> Self {
        let prefix = Vec::with_capacity(PREFIX_BYTES);
        Unframer { exporter, coding, prefix, message: None, missing: 0 }
    }

    pub(crate) async fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        let (prefix, part) = part.split_at(part.len().min(PREFIX_BYTES - self.prefix.len()));
        self.prefix.extend_from_slice(prefix);
        if self.message.is_none() {
            let Ok(prefix) = <[u8; PREFIX_BYTES]>::try_from(self.prefix.as_slice()) else {
                return Ok(());
            };
            self.begin(prefix)?;
        }
        if part.len() > self.missing {
            return Err(bad("the call holds more than one message"));
        }
        self.missing -= part.len();
        match &mut self.message {
            Some(message) => message.take(part).await,
            None => Ok(()),
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
            (1, Coding::Gzip) => Coding::Gzip,
            (1, Coding::Identity) => return Err(bad("the message is compressed as nobody knows")),
            _ => return Err(bad("the message's flag is neither 0 nor 1")),
        };
        let limit_bytes = self.exporter.options().request_bytes;
        self.missing = u32::from_be_bytes(length) as usize;
        if self.missing > limit_bytes {
            return Err(Fault::TooLarge { limit_bytes });
        }
        self.message = Some(self.exporter.unpacker(coding));
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
