//! OTLP over gRPC: `Export` of the trace, metrics and logs services, and `grpc.health.v1`.
//!
//! A call is framed here, and not by a tonic server: that one answers a message above the limit with
//! OUT_OF_RANGE, which OTLP clients send again and again, and inflates it in one go.

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::header::{CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use prost::Message;
use tonic::{Code, Status};
use tributary_spanmetrics::Encoding;

use crate::receivers::body::{Body, Coding, Held, Unpacker};
use crate::receivers::export::Signal;
use crate::receivers::fault::Fault;
use crate::receivers::http::{self as otlp_http, encoding_of};
use crate::receivers::patience::Patience;
use crate::receivers::service::{Ended, Service, guarded};
use crate::receivers::status::RpcStatus;
use crate::receivers::tenant::tenant_of;
use frame::{Unframer, framed};

mod frame;
mod health;

pub(crate) const TYPE: &str = "application/grpc here, and OTLP/HTTP to its own port";
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// An answer that says nothing: its prefix, and no message.
const EMPTY: Bytes = Bytes::from_static(&[0; 5]);

pub(crate) async fn answer(
    service: &Service,
    request: Request<Body>,
    mut respond: SendResponse<Bytes>,
) -> Ended {
    let (head, mut body) = request.into_parts();
    let encoding = encoding_of(&head.headers).unwrap_or(Encoding::Json);
    let answered = guarded(handle(service, &head, &mut body)).await;
    match answered {
        Ok(Reply::Message(frame)) => taken(frame, &mut respond),
        Ok(Reply::Watch { is_known }) => {
            // It may last for as long as the connection does.
            drop((head, body));
            health::watch(service, is_known, respond).await
        }
        Err(fault) => {
            fault.count(service.metrics());
            match fault {
                Fault::ContentType(_) | Fault::Method => no_grpc(&fault, encoding, &mut respond),
                fault => refusal(&fault, &mut respond),
            }
        }
    }
}

enum Reply {
    Message(Bytes),
    /// Whether the service is known that is asked about.
    Watch {
        is_known: bool,
    },
}

async fn handle(service: &Service, head: &Parts, body: &mut Body) -> Result<Reply, Fault> {
    if !is_grpc(&head.headers) {
        return Err(Fault::ContentType(TYPE));
    }
    if head.method != Method::POST {
        return Err(Fault::Method);
    }
    let path = head.uri.path();
    if let Some(signal) = Signal::of_grpc_path(path) {
        // Before anything of the message is there.
        service.exporter.admit()?;
        let open = |coding, length| service.exporter.unpacker(coding, Some(length));
        let message = receive(service, head, body, open).await?;
        let tenant = tenant_of(&head.headers);
        let exporting = service.exporter.export(signal, tenant, Encoding::Protobuf, message);
        let answer = exporting.await?.encode(Encoding::Protobuf);
        let frame = if answer.is_empty() { EMPTY } else { framed(&answer) };
        return Ok(Reply::Message(frame));
    }
    let call = health::Call::of_path(path).ok_or(Fault::UnknownPath(
        "OTLP's TraceService, MetricsService and LogsService have the method Export",
    ))?;
    let open = |coding, length| {
        service.exporter.unpacker_up_to(health::REQUEST_BYTES, coding, Some(length))
    };
    let message = receive(service, head, body, open).await?;
    let is_known = health::is_known(&message.bytes)?;
    match call {
        health::Call::Check => health::check(service, is_known).map(Reply::Message),
        health::Call::Watch => Ok(Reply::Watch { is_known }),
    }
}

/// `open`: what a message of this coding and length, as it is sent, is unpacked with.
async fn receive(
    service: &Service,
    head: &Parts,
    body: &mut Body,
    open: impl Fn(Coding, u64) -> Result<Unpacker, Fault>,
) -> Result<Held, Fault> {
    let coding = Coding::of_grpc(&head.headers)?;
    let mut patience = Patience::new(service.timeouts.read);
    let mut unframer = Unframer::new(coding, open);
    while let Some(part) = patience.wait(body.next()).await? {
        let bytes = part.len();
        unframer.take(part).await?;
        body.release(bytes);
    }
    unframer.finish()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let name = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"application/grpc")
        || name.eq_ignore_ascii_case(b"application/grpc+proto")
}

fn taken(frame: Bytes, respond: &mut SendResponse<Bytes>) -> Ended {
    let Ok(mut send) = respond.send_response(response_head(Response::new(())), false) else {
        return Ended::Cancelled;
    };
    match send.send_data(frame, false) {
        Ok(()) => send_trailers(send, Code::Ok),
        Err(_) => Ended::Cancelled,
    }
}

fn send_trailers(mut send: SendStream<Bytes>, code: Code) -> Ended {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from(code as i32));
    match send.send_trailers(trailers) {
        Ok(()) => Ended::Answered,
        Err(_) => Ended::Cancelled,
    }
}

fn response_head(mut response: Response<()>) -> Response<()> {
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

fn refusal(fault: &Fault, respond: &mut SendResponse<Bytes>) -> Ended {
    if let Fault::Cancelled = fault {
        return Ended::Cancelled;
    }
    let sent = respond.send_response(refused(fault), true);
    if sent.is_ok() { Ended::Answered } else { Ended::Cancelled }
}

/// To what is no gRPC at all: a gRPC status would not be read.
fn no_grpc(fault: &Fault, encoding: Encoding, respond: &mut SendResponse<Bytes>) -> Ended {
    let (head, status) = otlp_http::refused(fault, encoding).into_parts();
    let sent = respond
        .send_response(Response::from_parts(head, ()), false)
        .and_then(|mut send| send.send_data(status, true));
    if sent.is_ok() { Ended::Answered } else { Ended::Cancelled }
}

/// Only with RetryInfo, say OTLP and its clients, may a request be sent again.
fn refused(fault: &Fault) -> Response<()> {
    let status = RpcStatus::of(fault);
    let details =
        if status.details.is_empty() { Bytes::new() } else { status.encode_to_vec().into() };
    let mut response = Status::with_details(fault.code(), status.message, details).into_http();
    if let Fault::Encoding(_) = fault {
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, Coding::TAKEN_BY_GRPC);
    }
    response
}

#[cfg(test)]
#[path = "grpc_test.rs"]
mod tests;
