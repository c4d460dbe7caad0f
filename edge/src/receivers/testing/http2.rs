//! A client of HTTP/2 that does one thing at a time.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Request, StatusCode};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct Raw {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A call of which nothing but the head is sent.
pub(crate) struct RawCall {
    response: ResponseFuture,
    body: SendStream<Bytes>,
}

/// A call as it stands on the wire.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) http: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// From the trailers, or from the headers of a call that failed.
    pub(crate) code: Option<i32>,
    pub(crate) message: String,
    pub(crate) details: Option<String>,
}

impl Raw {
    pub(crate) async fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        Raw { send, connection: tokio::spawn(connection) }
    }

    pub(crate) async fn call(&mut self, path: &str, headers: &[(&str, &str)]) -> RawCall {
        self.try_call(path, headers).await.unwrap()
    }

    pub(crate) async fn try_call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<RawCall, h2::Error> {
        let mut request = Request::post(format!("http://x{path}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.begin(request.body(()).unwrap()).await
    }

    pub(crate) async fn begin(&mut self, request: Request<()>) -> Result<RawCall, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, body) = send.send_request(request, false)?;
        Ok(RawCall { response, body })
    }

    /// A whole call with one message.
    pub(crate) async fn export(&mut self, path: &str, framed: &[u8]) -> Called {
        let mut call = self.call(path, &[]).await;
        call.send(framed, true);
        call.answer().await
    }

    /// Until the server has ended the connection.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        self.connection.await.unwrap()
    }

    pub(crate) fn hang_up(self) {
        self.connection.abort();
    }
}

impl RawCall {
    pub(crate) fn send(&mut self, bytes: &[u8], is_end: bool) {
        self.body.send_data(Bytes::copy_from_slice(bytes), is_end).unwrap();
    }

    pub(crate) fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    pub(crate) async fn answer(self) -> Called {
        let (head, mut body) = self.response.await.unwrap().into_parts();
        let mut bytes = Vec::new();
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
            bytes.extend_from_slice(&part);
        }
        let trailers = body.trailers().await.unwrap();
        Called::new(head, bytes.into(), trailers.as_ref())
    }

    /// The parts of a body that may never end.
    pub(crate) async fn stream(self) -> h2::RecvStream {
        self.response.await.unwrap().into_body()
    }
}

impl Called {
    pub(crate) fn new(
        head: http::response::Parts,
        body: Bytes,
        trailers: Option<&HeaderMap>,
    ) -> Self {
        let status = trailers.unwrap_or(&head.headers);
        let field = |name| status.get(name).map(|value| value.to_str().unwrap().to_owned());
        Called {
            http: head.status,
            code: field("grpc-status").map(|code| code.parse().unwrap()),
            message: field("grpc-message").unwrap_or_default().replace("%20", " "),
            details: field("grpc-status-details-bin"),
            headers: head.headers.clone(),
            body,
        }
    }
}
