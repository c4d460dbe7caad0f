//! A door to the unpacker.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};

use super::body::{Coding, Held, Room, Unpacker};
use super::fault::Fault;
use crate::Ceiling;
use crate::metrics::EdgeMetrics;

#[derive(Debug)]
pub struct Unpacked {
    pub body: Result<Bytes, Refused>,
    /// The most that was paid for between two parts, and at the end.
    pub most_bytes: u64,
    /// Still paid for when all is dropped.
    pub left_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    BadData(String),
    TooLarge,
    Busy,
    Other(String),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::BadData(reason) => Refused::BadData(reason),
            Fault::TooLarge { .. } => Refused::TooLarge,
            Fault::Busy => Refused::Busy,
            other => Refused::Other(other.to_string()),
        }
    }
}

/// Takes a body in as HTTP's `content-encoding` names it, in a room of its own.
pub async fn unpack(
    content_encoding: &'static str,
    limit_bytes: usize,
    room_bytes: usize,
    parts: impl Iterator<Item = Bytes>,
) -> Unpacked {
    let metrics = Arc::<EdgeMetrics>::default();
    let room = Room::new(room_bytes, room_bytes, metrics.clone(), Ceiling::default());
    let headers = [(CONTENT_ENCODING, HeaderValue::from_static(content_encoding))];
    let mut most_bytes = 0;
    let mut paid = || most_bytes = metrics.held_bytes.get().max(most_bytes);
    let taken = async {
        let coding = Coding::of_http(&HeaderMap::from_iter(headers))?;
        let mut unpacker = Unpacker::new(coding, limit_bytes, None, &room)?;
        for part in parts {
            unpacker.take(part).await?;
            paid();
        }
        let Held { bytes, share } = unpacker.finish()?;
        paid();
        assert!(share.bytes() >= bytes.len(), "every byte that is held was paid for");
        Ok(bytes)
    };
    let body = taken.await.map_err(|fault: Fault| fault.into());
    Unpacked { body, most_bytes, left_bytes: metrics.held_bytes.get() }
}
