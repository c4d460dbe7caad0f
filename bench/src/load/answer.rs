//! What became of a request.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Acked,
    /// Taken in part.
    Partial {
        rejected_spans: u64,
    },
    /// Not taken, and may be sent again.
    Retry {
        after: Option<Duration>,
    },
    Refused(String),
    /// It may have been taken.
    Unknown(String),
}

/// Of the message that came with a success.
pub(super) fn of_success(message: &[u8]) -> Answer {
    let response = match ExportTraceServiceResponse::decode(message) {
        Ok(response) => response,
        Err(broken) => return Answer::Unknown(format!("the answer cannot be read: {broken}")),
    };
    match response.partial_success.map_or(0, |partial| partial.rejected_spans) {
        0 => Answer::Acked,
        rejected => Answer::Partial { rejected_spans: rejected.unsigned_abs() },
    }
}
