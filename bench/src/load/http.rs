//! OTLP/HTTP as SDKs send it: protobuf by HTTP/1.1, one request after the other on a connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::answer::{Answer, of_success};
use super::packing::Packing;
use crate::spans::GRPC_HEAD_BYTES;

pub(super) struct HttpChannel {
    to: SocketAddr,
    packing: Packing,
    live: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

impl HttpChannel {
    pub(super) fn new(to: SocketAddr, packing: Packing) -> Self {
        HttpChannel { to, packing, live: Mutex::new(None) }
    }

    pub(super) async fn connected(&self) -> anyhow::Result<()> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.as_mut()
            && sender.ready().await.is_ok()
        {
            return Ok(());
        }
        let connecting = async {
            let stream = TcpStream::connect(self.to)
                .await
                .with_context(|| format!("no connection to {}", self.to))?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
            // It ends with its sender, or with an error that the sender reports.
            tokio::spawn(connection);
            sender.ready().await?;
            anyhow::Ok(sender)
        };
        *live = Some(
            tokio::time::timeout(CONNECT_LIMIT, connecting)
                .await
                .context("the connection took too long")??,
        );
        Ok(())
    }

    pub(super) async fn export(&self, framed: Bytes) -> Answer {
        if self.connected().await.is_err() {
            return Answer::Retry { after: None };
        }
        let request = self.request(framed.slice(GRPC_HEAD_BYTES..));
        let mut live = self.live.lock().await;
        let Some(sender) = live.as_mut() else { return Answer::Retry { after: None } };
        match sender.send_request(request).await {
            Ok(response) => answer(response).await,
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static("/v1/traces");
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::try_from(self.to.to_string()) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if let Some(name) = self.packing.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        request
    }
}

async fn answer(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Answer::Unknown(error.to_string()),
    };
    match head.status {
        StatusCode::OK => of_success(&body),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let after = head.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
            Answer::Retry { after: after.and_then(|s| s.parse().ok()).map(Duration::from_secs) }
        }
        status => Answer::Refused(format!("HTTP {status}: {}", String::from_utf8_lossy(&body))),
    }
}
