//! What a client sends, part by part, whichever protocol brings it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::receivers::fault::Fault;

pub(crate) enum Body {
    Http1(Incoming),
    Http2(Metered),
}

/// A stream whose bytes are told to its connection's driver as they are released.
pub(crate) struct Metered {
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
    pub(crate) fn http2(stream: RecvStream, released: Released) -> Self {
        Body::Http2(Metered { stream, released })
    }

    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match self {
            // Trailers say nothing that matters here.
            Body::Http2(Metered { stream, .. }) => stream.data().await.transpose().map_err(|error| {
                let ours = error.is_library() && !error.is_io();
                if ours { broke_off(&error) } else { Fault::Cancelled }
            }),
            Body::Http1(body) => {
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

    /// The client may send as much again. Comes when a part is no longer held as it came.
    pub(crate) fn release(&mut self, bytes: usize) {
        if let Body::Http2(Metered { stream, released }) = self {
            // It fails for a stream that is over, whose bytes are released with it.
            if stream.flow_control().release_capacity(bytes).is_ok() {
                released.add(bytes);
            }
        }
    }

    /// What the head says that will come.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Body::Http1(body) => body.size_hint().exact(),
            Body::Http2(_) => None,
        }
    }
}

fn broke_off(error: &dyn std::error::Error) -> Fault {
    Fault::BadData(format!("the body broke off: {error}"))
}
