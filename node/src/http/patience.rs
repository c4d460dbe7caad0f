//! A connection that ends when its client stops taking what it asked for.
//!
//! An answer waits in the kernel and in this process until the client reads on. One that does not would
//! keep what belongs to the answer, and its place among the connections, for ever. Only time with something
//! to send counts: how long a client thinks between two requests is not looked at here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What a client has to take within the time: more than a trickle that would only keep its place.
const STEP_BYTES: usize = 64 << 10;

pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Runs while something waits to be sent.
    running_out: Option<Pin<Box<Sleep>>>,
    /// Taken since it runs.
    taken: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Patient { stream, patience, running_out: None, taken: 0 }
    }

    /// What is said of a write of which this came.
    fn waited(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.taken += *written.as_ref().unwrap_or(&0);
            if self.taken >= STEP_BYTES {
                self.running_out = None;
            }
            return Poll::Ready(written);
        }
        let running_out = self.running_out.get_or_insert_with(|| {
            self.taken = 0;
            Box::pin(sleep(self.patience))
        });
        ready!(running_out.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read on")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.waited(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.waited(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once all is written that there was.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.running_out = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    /// What waits between the two.
    const BETWEEN: usize = 4 << 10;

    fn pair() -> (Patient<DuplexStream>, DuplexStream) {
        let (server, client) = duplex(BETWEEN);
        (Patient::new(server, PATIENCE), client)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_left_when_the_time_is_over() {
        let (mut server, _client) = pair();
        let began = Instant::now();
        let ended = server.write_all(&[0; 2 * BETWEEN]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
    }

    /// Reads so much every ten seconds.
    async fn send_to_reader(bytes: usize, at_once: usize) -> io::Result<()> {
        let (mut server, mut client) = pair();
        let reading = async {
            let mut taken = vec![0; at_once];
            while client.read_exact(&mut taken).await.is_ok() {
                sleep(Duration::from_secs(10)).await;
            }
        };
        let page = vec![0; bytes];
        tokio::select! {
            sent = server.write_all(&page) => sent,
            () = reading => unreachable!("the connection is open"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_all_of_a_page_and_one_that_trickles_does_not() {
        send_to_reader(20 * STEP_BYTES, STEP_BYTES / 2).await.expect("takes enough in the time");
        let ended = send_to_reader(20 * STEP_BYTES, STEP_BYTES / 8).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_send_does_not_count() {
        let (mut server, mut client) = pair();
        for _ in 0..3 {
            let (mut taken, page) = (vec![0; 2 * BETWEEN], [0; 2 * BETWEEN]);
            let sent = async {
                server.write_all(&page).await?;
                server.flush().await
            };
            tokio::try_join!(sent, client.read_exact(&mut taken)).expect("is read at once");
            sleep(2 * PATIENCE).await;
        }
    }
}
