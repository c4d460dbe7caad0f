//! Calls with bodies that are made already, by either protocol, on one connection at a time.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Version};
use http_body_util::Full;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::bodies::Body;
use crate::http_link::HttpLink;
use crate::load::Ports;

const PATIENCE: Duration = Duration::from_secs(40);
const EXPORT: &str = "http://localhost/opentelemetry.proto.collector.trace.v1.TraceService/Export";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

pub(super) struct Link {
    ports: Ports,
    grpc: Option<GrpcLink>,
    http: Option<HttpLink>,
}

impl Link {
    pub(super) fn new(ports: Ports) -> Link {
        Link { ports, grpc: None, http: None }
    }

    /// What came of it, in a few words.
    pub(super) async fn call(&mut self, protocol: Protocol, body: &Body) -> String {
        let calling = async {
            match protocol {
                Protocol::Grpc => self.call_grpc(body).await,
                Protocol::Http => self.call_http(body).await,
            }
        };
        match tokio::time::timeout(PATIENCE, calling).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => "broken off".into(),
            Err(_) => "no answer".into(),
        }
    }

    /// Back in its place only when the answer came whole.
    async fn call_grpc(&mut self, body: &Body) -> anyhow::Result<String> {
        let mut link = match self.grpc.take() {
            Some(link) => link,
            None => GrpcLink::connect(self.ports.grpc).await?,
        };
        let answer = link.call(body).await?;
        self.grpc = Some(link);
        Ok(answer)
    }

    async fn call_http(&mut self, body: &Body) -> anyhow::Result<String> {
        let mut link = match self.http.take() {
            Some(link) => link,
            None => HttpLink::connect(self.ports.http).await?,
        };
        let media = if body.is_json { "application/json" } else { "application/x-protobuf" };
        let mut request =
            Request::post("/v1/traces").header("host", "localhost").header("content-type", media);
        if let Some(coding) = body.coding {
            request = request.header("content-encoding", coding);
        }
        let (status, _) = link.send(request.body(Full::new(body.plain.clone()))?).await?;
        self.http = Some(link);
        Ok(format!("HTTP {}", status.as_u16()))
    }
}

struct GrpcLink {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl GrpcLink {
    async fn connect(port: u16) -> anyhow::Result<GrpcLink> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        // How it ends the sender hears too.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(GrpcLink { sender, driver })
    }

    async fn call(&mut self, body: &Body) -> anyhow::Result<String> {
        let mut request = Request::post(EXPORT)
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(coding) = body.coding {
            request = request.header("grpc-encoding", coding);
        }
        let mut sender = self.sender.clone().ready().await?;
        let (answer, mut stream) = sender.send_request(request.body(())?, false)?;
        // It waits in this process until the windows take it.
        stream.send_data(body.framed.clone(), true)?;
        let (head, mut rest) = answer.await?.into_parts();
        if let Some(status) = grpc_status(&head.headers) {
            return Ok(status);
        }
        while let Some(part) = rest.data().await {
            let bytes = part?.len();
            rest.flow_control().release_capacity(bytes)?;
        }
        let trailers = rest.trailers().await?.context("an answer without trailers")?;
        grpc_status(&trailers).context("trailers without a status")
    }
}

impl Drop for GrpcLink {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    let status = headers.get("grpc-status")?.to_str().ok()?;
    Some(format!("gRPC {status}"))
}
