//! One HTTP/1.1 connection, which closes when it is dropped, whatever is under way on it.

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) struct HttpLink {
    sender: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

impl HttpLink {
    pub(crate) async fn connect(port: u16) -> anyhow::Result<HttpLink> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // How it ends the sender hears too.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(HttpLink { sender, connection })
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}

impl Drop for HttpLink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// One GET on a connection of its own.
pub(crate) async fn get(port: u16, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = Request::get(path).header("host", "localhost").body(Full::default())?;
    let mut link = HttpLink::connect(port).await?;
    link.send(request).await.with_context(|| format!("GET {path} on port {port}"))
}
