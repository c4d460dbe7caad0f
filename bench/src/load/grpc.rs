//! OTLP/gRPC straight on HTTP/2: a body goes to the socket from where it lies, in frames as large as the receiver takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, header};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::answer::{Answer, of_success};
use super::packing::{Packing, unpack};

pub(super) struct GrpcChannel {
    to: SocketAddr,
    packing: Packing,
    live: Mutex<Option<SendRequest<Bytes>>>,
}

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const OK: &str = "0";
const UNAVAILABLE: &str = "14";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl GrpcChannel {
    pub(super) fn new(to: SocketAddr, packing: Packing) -> Self {
        GrpcChannel { to, packing, live: Mutex::new(None) }
    }

    /// Ready for one more stream, on the connection there is or on a new one.
    pub(super) async fn sender(&self) -> anyhow::Result<SendRequest<Bytes>> {
        let live = self.live.lock().await.clone();
        if let Some(sender) = live
            && let Ok(sender) = sender.ready().await
        {
            return Ok(sender);
        }
        let sender = tokio::time::timeout(CONNECT_LIMIT, self.connect())
            .await
            .context("the connection took too long")??;
        *self.live.lock().await = Some(sender.clone());
        Ok(sender.ready().await?)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Bytes>> {
        let stream = TcpStream::connect(self.to)
            .await
            .with_context(|| format!("no connection to {}", self.to))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        // It ends when the last sender is gone, or with an error that the streams report.
        tokio::spawn(connection);
        Ok(sender)
    }

    pub(super) async fn export(&self, framed: Bytes) -> Answer {
        let mut sender = match self.sender().await {
            Ok(sender) => sender,
            Err(_) => return Answer::Retry { after: None },
        };
        match self.call(&mut sender, framed).await {
            Ok(answer) => answer,
            Err(error) if error.reason() == Some(Reason::REFUSED_STREAM) => {
                Answer::Retry { after: None }
            }
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    async fn call(
        &self,
        sender: &mut SendRequest<Bytes>,
        framed: Bytes,
    ) -> Result<Answer, h2::Error> {
        let (response, mut body) = sender.send_request(self.head(), false)?;
        body.send_data(framed, true)?;
        let (head, mut body) = response.await?.into_parts();
        let message = message(&mut body).await?;
        let trailers = body.trailers().await?.unwrap_or_default();
        let of = |name| text(&trailers, name).or_else(|| text(&head.headers, name));
        Ok(match of("grpc-status") {
            Some(OK) => match unpack(&message, text(&head.headers, "grpc-encoding")) {
                Ok(message) => of_success(&message),
                Err(broken) => Answer::Unknown(format!("the answer cannot be read: {broken}")),
            },
            Some(UNAVAILABLE) => Answer::Retry { after: None },
            Some(code) => {
                Answer::Refused(format!("grpc-status {code}: {}", of("grpc-message").unwrap_or("")))
            }
            None => Answer::Unknown(format!("HTTP {} without a grpc-status", head.status)),
        })
    }

    fn head(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = http::Uri::builder()
            .scheme("http")
            .authority(self.to.to_string())
            .path_and_query(PATH)
            .build()
            .expect("an address and a fixed path make a URI");
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, http::HeaderValue::from_static("trailers"));
        if let Some(name) = self.packing.name() {
            headers.insert("grpc-encoding", http::HeaderValue::from_static(name));
        }
        request
    }
}

async fn message(body: &mut RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut message = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        message.extend_from_slice(&part);
    }
    Ok(message)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
