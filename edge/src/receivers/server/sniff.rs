//! Which protocol a connection speaks, by its first bytes, which are then given back to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::stage::Stage;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// TLS, most likely.
    Other,
}

/// HTTP/2's preface begins so, and no method of HTTP/1 does.
const PREFACE: &[u8; 3] = b"PRI";

/// A connection of which some bytes were read ahead.
pub(crate) struct Sniffed {
    head: [u8; PREFACE.len()],
    /// Of `head`: what was read, and what was given back.
    len: usize,
    given: usize,
    stream: TcpStream,
    /// To be told of what is read.
    stage: Option<Stage>,
}

impl Sniffed {
    /// `None` when the client is gone.
    pub(crate) async fn sniff(stream: TcpStream) -> io::Result<Option<(Protocol, Self)>> {
        let head = [0; PREFACE.len()];
        let mut sniffed = Sniffed { head, len: 0, given: 0, stream, stage: None };
        loop {
            let read = sniffed.stream.read(&mut sniffed.head[sniffed.len..]).await?;
            if read == 0 {
                return Ok(None);
            }
            sniffed.len += read;
            let head = &sniffed.head[..sniffed.len];
            let protocol = match head {
                _ if head == PREFACE => Protocol::Http2,
                _ if PREFACE.starts_with(head) => continue,
                [first, ..] if first.is_ascii_uppercase() => Protocol::Http1,
                _ => Protocol::Other,
            };
            return Ok(Some((protocol, sniffed)));
        }
    }

    pub(crate) fn watched_by(self, stage: Stage) -> Self {
        Sniffed { stage: Some(stage), ..self }
    }
}

impl AsyncRead for Sniffed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given < self.len {
            let more = buffer.remaining().min(self.len - self.given);
            buffer.put_slice(&self.head[self.given..self.given + more]);
            self.given += more;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(stage) = &self.stage
            && buffer.filled().len() > before
        {
            stage.read();
        }
        polled
    }
}

impl AsyncWrite for Sniffed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
