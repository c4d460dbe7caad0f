//! One HTTP/1.1 request on a connection of its own. All that a probe wants is the status, so this is
//! far less than a client: no redirects, no reuse, no TLS.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    method: &'static str,
    /// Headers that go with the method, each with its line end.
    headers: &'static str,
}

#[derive(Debug, Error)]
pub(super) enum RequestError {
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("what answers does not speak HTTP/1.1")]
    NotHttp,
    #[error("server returned HTTP status {0}")]
    Status(u16),
}

/// `HTTP/1.1 200`
const STATUS_BYTES: usize = 12;

impl Request {
    pub(super) fn get(address: SocketAddr, path: &str) -> Self {
        Request { address, path: path.to_owned(), method: "GET", headers: "" }
    }

    /// The empty message is a trace request without spans.
    pub(super) fn post_no_spans(address: SocketAddr) -> Self {
        Request {
            address,
            path: "/v1/traces".to_owned(),
            method: "POST",
            headers: "Content-Type: application/x-protobuf\r\nContent-Length: 0\r\n",
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// An error unless the answer's status is 2xx. The caller bounds the time.
    pub(super) async fn send(&self) -> Result<(), RequestError> {
        let unreachable = |error| RequestError::Connect(self.address, error);
        let mut stream = TcpStream::connect(self.address).await.map_err(unreachable)?;
        let Request { address, path, method, headers } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: tributary-probe\r\n\
             Connection: close\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut status = [0; STATUS_BYTES];
        stream.read_exact(&mut status).await?;
        // Closing with an answer half read would reset the connection, which the other side may log.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        match status_code(&status)? {
            200..300 => Ok(()),
            code => Err(RequestError::Status(code)),
        }
    }
}

fn status_code(line: &[u8; STATUS_BYTES]) -> Result<u16, RequestError> {
    let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_prefix("HTTP/1."));
    let code = text.and_then(|text| text.get(2..)).and_then(|code| code.parse().ok());
    code.filter(|code| (100..600).contains(code)).ok_or(RequestError::NotHttp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_has_a_status() {
        assert_eq!(status_code(b"HTTP/1.1 204").unwrap(), 204);
        assert_eq!(status_code(b"HTTP/1.0 503").unwrap(), 503);
        for other in [
            b"SSH-2.0-Open",
            b"HTTP/1.1 abc",
            b"HTTP/1.1 999",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(status_code(other).is_err());
        }
    }
}
