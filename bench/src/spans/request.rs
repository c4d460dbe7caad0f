//! A request that can be sent again and again as a new one.

use bytes::{Bytes, BytesMut};

use super::catalogue::GroupIndex;
use crate::rng::Rng;

/// What stands before a message on a gRPC stream: one byte of flags, four of length.
pub const GRPC_HEAD_BYTES: usize = 5;

/// The message and, before it, its gRPC head, in one stretch of memory.
pub struct Request {
    framed: BytesMut,
    marks: Vec<Mark>,
}

/// Where a span's changing fields lie, and what it adds.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) trace_id: u32,
    pub(super) span_id: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// 0: there is none.
    pub(super) parent_id: u32,
    pub(super) event_time: u32,
    pub(super) link: u32,
    pub(super) link_span: u32,
    pub(super) begins_trace: bool,
    pub(super) group: u32,
    pub(super) duration_ns: u64,
    /// How long before the request's end it ends.
    pub(super) before_ns: u64,
}

impl Mark {
    pub(super) fn moved(&self, base: u32) -> Self {
        let moved = |at: u32| if at == 0 { 0 } else { at + base };
        Mark {
            trace_id: self.trace_id + base,
            span_id: self.span_id + base,
            start: self.start + base,
            end: self.end + base,
            parent_id: moved(self.parent_id),
            event_time: moved(self.event_time),
            link: moved(self.link),
            link_span: moved(self.link_span),
            ..*self
        }
    }
}

impl Request {
    pub(super) fn new(message: &[u8], marks: &[Mark]) -> Self {
        let mut framed = BytesMut::with_capacity(GRPC_HEAD_BYTES + message.len());
        framed.extend_from_slice(&[0]);
        framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
        framed.extend_from_slice(message);
        let marks = marks.iter().map(|mark| mark.moved(GRPC_HEAD_BYTES as u32)).collect();
        Request { framed, marks }
    }

    pub fn spans(&self) -> usize {
        self.marks.len()
    }

    /// The message alone.
    pub fn body(&self) -> &[u8] {
        &self.framed[GRPC_HEAD_BYTES..]
    }

    /// Makes it another request: new ids, which follow from the number, and ends up to `end_ns`.
    pub fn stamp(&mut self, number: u64, end_ns: u64) {
        let mut ids = Rng::scattered(number);
        let (mut trace, mut caller) = ([0; 16], [0; 8]);
        for mark in &self.marks {
            if mark.begins_trace {
                trace[..8].copy_from_slice(&ids.next().to_le_bytes());
                trace[8..].copy_from_slice(&ids.next().to_le_bytes());
                caller = ids.next().to_le_bytes();
            }
            let end = end_ns - mark.before_ns;
            let id = ids.next().to_le_bytes();
            write(&mut self.framed, mark.trace_id, trace);
            write(&mut self.framed, mark.span_id, id);
            write(&mut self.framed, mark.start, (end - mark.duration_ns).to_le_bytes());
            write(&mut self.framed, mark.end, end.to_le_bytes());
            if mark.parent_id != 0 {
                write(&mut self.framed, mark.parent_id, caller);
            }
            if mark.event_time != 0 {
                let within = end - mark.duration_ns / 2;
                write(&mut self.framed, mark.event_time, within.to_le_bytes());
            }
            if mark.link != 0 {
                let (high, low) = (ids.next().to_le_bytes(), ids.next().to_le_bytes());
                write(&mut self.framed, mark.link, high);
                write(&mut self.framed, mark.link + 8, low);
                write(&mut self.framed, mark.link_span, ids.next().to_le_bytes());
            }
            caller = id;
        }
    }

    /// Of each span: its group, its duration and its end, in the order of the message.
    pub fn each_span(&self, end_ns: u64) -> impl Iterator<Item = (GroupIndex, u64, u64)> {
        let of = move |m: &Mark| (GroupIndex(m.group), m.duration_ns, end_ns - m.before_ns);
        self.marks.iter().map(of)
    }

    /// Lends the framed bytes out for sending. Until they are given back the request has none.
    pub fn lend(&mut self) -> Bytes {
        std::mem::take(&mut self.framed).freeze()
    }

    /// Takes them back: without copying, if nobody else holds them any more. Returns whether it was so.
    pub fn take_back(&mut self, framed: Bytes) -> bool {
        match framed.try_into_mut() {
            Ok(bytes) => {
                self.framed = bytes;
                true
            }
            Err(shared) => {
                self.framed = BytesMut::from(&shared[..]);
                false
            }
        }
    }
}

fn write<const N: usize>(bytes: &mut [u8], at: u32, value: [u8; N]) {
    bytes[at as usize..at as usize + N].copy_from_slice(&value);
}
