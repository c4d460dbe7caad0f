use std::net::SocketAddr;
use std::time::Duration;

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::receivers::testing::{Rig, soon, spans, until};
use crate::receivers::{Options, Timeouts};

const MS: Duration = Duration::from_millis(1);

/// A connection that stays open behind an answer.
struct Kept(TcpStream);

impl Kept {
    async fn connect(at: SocketAddr) -> Self {
        Kept(TcpStream::connect(at).await.unwrap())
    }

    /// The head of the answer to a request with one span; all of it, since it says nothing more.
    async fn export(&mut self) -> String {
        let body = spans(&[0]).encode_to_vec();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(soon(self.0.read_buf(&mut answer)).await.unwrap(), 0, "it was closed");
        }
        String::from_utf8(answer).unwrap()
    }

    async fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]).await, Ok(0) | Err(_))
    }
}

async fn rig(header: Duration, idle: Duration) -> Rig {
    let timeouts = Timeouts { header, idle, ..Timeouts::default() };
    Rig::start(Options { timeouts, ..Options::default() }).await
}

#[tokio::test]
async fn a_connection_is_used_again_and_closed_once_it_is_idle() {
    let rig = rig(Duration::from_secs(60), 200 * MS).await;
    let mut client = Kept::connect(rig.http).await;
    for _ in 0..3 {
        let answer = client.export().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(rig.metrics().spans_accepted.get(), 3);
    assert_eq!(rig.metrics().connections.get(), 1);
    assert!(soon(client.is_closed()).await);
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_connection_waits_longer_for_a_request_than_for_the_rest_of_a_head() {
    let rig = rig(100 * MS, Duration::from_secs(60)).await;
    let mut client = Kept::connect(rig.http).await;
    for _ in 0..2 {
        client.export().await;
        assert!(timeout(300 * MS, client.is_closed()).await.is_err(), "it was closed");
    }
    client.0.write_all(b"POST /v1/tr").await.unwrap();
    assert!(soon(client.is_closed()).await);
    rig.stop().await;
}
