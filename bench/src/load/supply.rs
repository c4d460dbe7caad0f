//! Prepared requests that go out, come back and go out again as others; and the log of what was acked.

use std::collections::VecDeque;

use bytes::Bytes;

use super::packing::Packing;
use crate::spans::{Generator, Request, Tally};

pub(super) struct Supply {
    requests: Vec<Request>,
    idle: VecDeque<usize>,
    packing: Packing,
    /// Of the next stamp; it begins elsewhere in every run.
    number: u64,
    acked: Vec<Sent>,
}

/// Which request, with which end.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    which: usize,
    end_ns: u64,
}

/// On its way. Has to come back by [`Supply::put`].
pub(super) struct Sending {
    pub(super) sent: Sent,
    /// Gives back what it was lent; a compressed one is only dropped.
    pub(super) framed: Bytes,
    pub(super) spans: usize,
}

impl Supply {
    pub(super) fn new(
        generator: &mut Generator,
        count: usize,
        packing: Packing,
        number: u64,
    ) -> Self {
        Supply {
            requests: (0..count).map(|_| generator.request()).collect(),
            idle: (0..count).collect(),
            packing,
            number,
            acked: Vec::new(),
        }
    }

    /// `None`: all are on their way.
    pub(super) fn take(&mut self, end_ns: u64) -> anyhow::Result<Option<Sending>> {
        let Some(which) = self.idle.pop_front() else { return Ok(None) };
        self.number = self.number.wrapping_add(1);
        let request = &mut self.requests[which];
        request.stamp(self.number, end_ns);
        let framed = match self.packing {
            Packing::Plain => request.lend(),
            packing => packing.pack(request.body())?,
        };
        Ok(Some(Sending { sent: Sent { which, end_ns }, framed, spans: request.spans() }))
    }

    pub(super) fn put(&mut self, sending: Sending, acked: bool) {
        let Sending { sent, framed, .. } = sending;
        if self.packing == Packing::Plain {
            self.requests[sent.which].take_back(framed);
        }
        self.idle.push_back(sent.which);
        if acked {
            self.acked.push(sent);
        }
    }

    pub(super) fn tally(&self, groups: usize) -> Tally {
        let mut tally = Tally::new(groups);
        for sent in &self.acked {
            tally.add(&self.requests[sent.which], sent.end_ns);
        }
        tally
    }
}
