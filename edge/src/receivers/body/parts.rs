//! What a client sends, part by part, whichever protocol brings it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::receivers::fault::Fault;
use crate::receivers::server::Hold;

pub(crate) struct Body {
    source: Source,
    /// Of a request that is handed over when it is whole.
    hold: Option<Hold>,
}

enum Source {
    Http1(Incoming),
    Http2(Metered),
}

/// A stream whose bytes are told to its connection's driver as they are released.
struct Metered {
    stream: RecvStream,
    released: Released,
}

/// Bytes that a connection's calls have released since its driver looked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Released(Arc<AtomicUsize>);

impl Released {
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // Of a call that was refused or reset: h2 releases it with the stream.
        let unread = self.stream.flow_control().used_capacity();
        self.released.add(unread);
    }
}

impl Body {
    pub(crate) fn http1(incoming: Incoming, hold: Option<Hold>) -> Self {
        Body { source: Source::Http1(incoming), hold }
    }

    pub(crate) fn http2(stream: RecvStream, released: Released, hold: Option<Hold>) -> Self {
        Body { source: Source::Http2(Metered { stream, released }), hold }
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let part = self.source.next().await?;
        let is_whole = part.is_none() || self.source.is_whole();
        if let Some(hold) = &mut self.hold
            && is_whole
        {
            hold.take();
        }
        Ok(part)
    }

    /// The client may send as much again. Comes when a part is no longer held as it came.
    pub(crate) fn release(&mut self, bytes: usize) {
        if let Source::Http2(Metered { stream, released }) = &mut self.source {
            // It fails for a stream that is over, whose bytes are released with it.
            if stream.flow_control().release_capacity(bytes).is_ok() {
                released.add(bytes);
            }
        }
    }

    /// What the head says that will come.
    pub(crate) fn announced(&self) -> Option<u64> {
        match &self.source {
            Source::Http1(body) => body.size_hint().exact(),
            Source::Http2(_) => None,
        }
    }
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match self {
            // Trailers say nothing that matters here.
            Source::Http2(Metered { stream, .. }) => {
                stream.data().await.transpose().map_err(|error| {
                    let ours = error.is_library() && !error.is_io();
                    if ours { broke_off(&error) } else { Fault::Cancelled }
                })
            }
            Source::Http1(body) => {
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| {
                        let gone = error.is_incomplete_message() || error.is_closed();
                        if gone { Fault::Cancelled } else { broke_off(&error) }
                    })?;
                    if let Ok(part) = frame.into_data() {
                        return Ok(Some(part));
                    }
                }
                Ok(None)
            }
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Source::Http1(body) => body.is_end_stream(),
            Source::Http2(Metered { stream, .. }) => stream.is_end_stream(),
        }
    }
}

fn broke_off(error: &dyn std::error::Error) -> Fault {
    Fault::BadData(format!("the body broke off: {error}"))
}
