//! How a request goes out, and what came of it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use rand::Rng;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::grpc;
use super::request::gzip;
use crate::http_link::HttpLink;

/// An answer that takes longer counts as none.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) grpc: u16,
    pub(crate) http: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Grpc { gzip: bool },
    Http { gzip: bool },
}

impl How {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let gzip = rng.gen_bool(0.5);
        if rng.gen_bool(0.5) { How::Grpc { gzip } } else { How::Http { gzip } }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acked {
        rejected: u64,
    },
    /// The answer says: not now, send it again.
    Refused(String),
    /// No answer: it may count or not.
    Unanswered(String),
    /// An answer that no fault explains.
    Wrong(String),
}

/// Connections of one client to one life of the product.
pub(crate) struct Wire {
    ports: Ports,
    http: Option<HttpLink>,
    grpc: Option<Channel>,
}

impl Wire {
    pub(crate) fn new(ports: Ports) -> Self {
        Wire { ports, http: None, grpc: None }
    }

    /// Dropping what this returns hangs up in the middle of the request.
    pub(crate) async fn send(&mut self, how: How, body: &Bytes, rng: &mut impl Rng) -> Outcome {
        let sent = async {
            match how {
                How::Grpc { gzip } => self.send_grpc(body.clone(), gzip).await,
                How::Http { gzip: true } => self.send_http(gzip(body, rng), true).await,
                How::Http { gzip: false } => self.send_http(body.clone(), false).await,
            }
        };
        match tokio::time::timeout(ANSWER_LIMIT, sent).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Unanswered(format!("no answer within {ANSWER_LIMIT:?}")),
        }
    }

    async fn send_grpc(&mut self, body: Bytes, gzip: bool) -> Outcome {
        let channel = match &self.grpc {
            Some(channel) => channel.clone(),
            None => {
                let address = format!("http://127.0.0.1:{}", self.ports.grpc);
                let endpoint = Endpoint::from_shared(address).expect("a port makes a good address");
                self.grpc.insert(endpoint.connect_lazy()).clone()
            }
        };
        match grpc::export(channel, body, gzip).await {
            Ok(answer) => acked(&answer),
            Err(status) => {
                let is_transport = std::error::Error::source(&status).is_some();
                let text = format!("gRPC {:?}: {}", status.code(), status.message());
                match status.code() {
                    _ if is_transport => Outcome::Unanswered(text),
                    Code::Unavailable => Outcome::Refused(text),
                    // What tonic says of a stream that ended in the middle.
                    Code::Unknown | Code::Internal | Code::Cancelled => Outcome::Unanswered(text),
                    _ => Outcome::Wrong(text),
                }
            }
        }
    }

    async fn send_http(&mut self, body: Bytes, gzip: bool) -> Outcome {
        // Back in its place only when the answer came whole: a dropped call must hang up.
        let link = match self.http.take() {
            Some(link) => Ok(link),
            None => HttpLink::connect(self.ports.http).await,
        };
        let mut link = match link {
            Ok(link) => link,
            Err(error) => return Outcome::Unanswered(format!("{error:#}")),
        };
        let mut request = Request::post("/v1/traces")
            .header("host", "localhost")
            .header("content-type", "application/x-protobuf");
        if gzip {
            request = request.header("content-encoding", "gzip");
        }
        let request = request.body(Full::new(body)).expect("fixed headers are good");
        match link.send(request).await {
            Ok((status, answer)) => {
                self.http = Some(link);
                match status {
                    StatusCode::OK => acked(&answer),
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                        Outcome::Refused(format!("HTTP {status}: {}", printable(&answer)))
                    }
                    _ => Outcome::Wrong(format!("HTTP {status}: {}", printable(&answer))),
                }
            }
            Err(error) => Outcome::Unanswered(format!("{error:#}")),
        }
    }
}

fn acked(answer: &[u8]) -> Outcome {
    match ExportTraceServiceResponse::decode(answer) {
        Ok(answer) => {
            let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
            Outcome::Acked { rejected: rejected.unsigned_abs() }
        }
        Err(error) => Outcome::Wrong(format!("an answer that is no OTLP: {error}")),
    }
}

fn printable(answer: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(answer).chars().take(200).collect();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
