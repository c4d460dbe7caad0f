//! `grpc.health.v1.Health`: serving until the receivers are told to stop.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use prost::Message;
use tonic::Code;

use super::frame::framed;
use super::{response_head, send_trailers};
use crate::receivers::fault::Fault;
use crate::receivers::service::{Ended, Service};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Check,
    Watch,
}

impl Call {
    pub(super) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/grpc.health.v1.Health/Check" => Some(Call::Check),
            "/grpc.health.v1.Health/Watch" => Some(Call::Watch),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub(super) status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// A request names a service and nothing else.
pub(super) const REQUEST_BYTES: usize = 4 << 10;

/// The edge as a whole, and what OTLP calls its services.
const SERVICES: [&str; 4] = [
    "",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "opentelemetry.proto.collector.logs.v1.LogsService",
];

/// Whether the service is here that the message asks about.
pub(super) fn is_known(message: &[u8]) -> Result<bool, Fault> {
    let request = HealthCheckRequest::decode(message)
        .map_err(|error| Fault::BadData(format!("not a health check: {error}")))?;
    Ok(SERVICES.contains(&request.service.as_str()))
}

/// The one answer to `Check`, framed.
pub(super) fn check(service: &Service, is_known: bool) -> Result<Bytes, Fault> {
    if !is_known {
        return Err(Fault::UnknownService);
    }
    Ok(status_frame(now(service)))
}

/// Says how it stands, and again when it changes. A service that nobody knows is no failure of `Watch`:
/// it may yet come, says its protocol; here it never does.
pub(super) async fn watch(
    service: &Service,
    is_known: bool,
    mut respond: SendResponse<Bytes>,
) -> Ended {
    let first = if is_known { now(service) } else { ServingStatus::ServiceUnknown };
    let Ok(mut send) = respond.send_response(response_head(Response::new(())), false) else {
        return Ended::Cancelled;
    };
    if send.send_data(status_frame(first), false).is_err() {
        return Ended::Cancelled;
    }
    tokio::select! {
        () = service.shutdown.clone().told() => {}
        _ = poll_fn(|cx| send.poll_reset(cx)) => return Ended::Answered,
    }
    if first == ServingStatus::Serving {
        let _ = send.send_data(status_frame(ServingStatus::NotServing), false);
    }
    send_trailers(send, Code::Unavailable)
}

fn now(service: &Service) -> ServingStatus {
    if service.shutdown.is_told() { ServingStatus::NotServing } else { ServingStatus::Serving }
}

fn status_frame(status: ServingStatus) -> Bytes {
    framed(&HealthCheckResponse { status: status as i32 }.encode_to_vec())
}

#[cfg(test)]
#[path = "health_test.rs"]
mod tests;
