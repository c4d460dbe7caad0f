//! Why a request is refused: its gRPC code, its HTTP status and its counter, by one table.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;
use tonic::Code;

use crate::ingest::Refusal;
use crate::metrics::EdgeMetrics;

/// More than any of our own has.
const MESSAGE_BYTES: usize = 1 << 10;

/// Messages are in our own words and repeat nothing that the client sent, which may be as large as a
/// request. What stands in [`Fault::BadData`] may come from a decoder and quote it after all, so whoever
/// answers takes [`Fault::message`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Fault {
    #[error("{0}")]
    BadData(String),
    #[error(
        "the request is larger than {limit_bytes} bytes, as sent or decompressed: \
         send it in smaller parts"
    )]
    TooLarge { limit_bytes: usize },
    #[error("the content type is not taken: send {0}")]
    ContentType(&'static str),
    #[error("the compression is not taken: send {0}")]
    Encoding(&'static str),
    #[error("the method is not taken: send POST")]
    Method,
    #[error("nothing is served under this name: {0}")]
    UnknownPath(&'static str),
    #[error("the edge holds as many bytes of requests as it may; try again")]
    Busy,
    #[error("the request did not come whole within {limit:?}; try again")]
    Slow { limit: Duration },
    /// Nobody reads the answer.
    #[error("the client gave the request up")]
    Cancelled,
    #[error("the edge failed at this request and goes on; try again")]
    Panic,
    #[error("grpc.health.v1 knows no such service here: ask for \"\", or for one of OTLP's")]
    UnknownService,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Fault {
    /// What the client is told.
    pub(crate) fn message(&self) -> String {
        let mut message = self.to_string();
        if message.len() > MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
            message.push_str(" ...");
        }
        message
    }

    /// The request may count when it is sent again as it is.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Fault::Busy | Fault::Slow { .. } | Fault::Panic => true,
            Fault::Refused(refusal) => refusal.is_retryable(),
            _ => false,
        }
    }

    /// OTLP's clients send again on UNAVAILABLE and DEADLINE_EXCEEDED, and on none of the others here.
    pub(crate) fn code(&self) -> Code {
        match self {
            Fault::TooLarge { .. } | Fault::Refused(Refusal::TooLarge(_)) => {
                Code::ResourceExhausted
            }
            Fault::Encoding(_) | Fault::Method | Fault::UnknownPath(_) => Code::Unimplemented,
            Fault::UnknownService => Code::NotFound,
            Fault::Cancelled => Code::Cancelled,
            Fault::Slow { .. } => Code::DeadlineExceeded,
            _ if self.is_retryable() => Code::Unavailable,
            _ => Code::InvalidArgument,
        }
    }

    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Fault::TooLarge { .. } | Fault::Refused(Refusal::TooLarge(_)) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Fault::ContentType(_) | Fault::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            Fault::UnknownPath(_) | Fault::UnknownService => StatusCode::NOT_FOUND,
            // What is slow is retryable too: after a 408 OTLP's clients do not send again.
            _ if self.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn count(&self, metrics: &EdgeMetrics) {
        let counter = match self {
            Fault::BadData(_) => &metrics.refused_bad_data,
            Fault::TooLarge { .. } => &metrics.refused_too_large,
            Fault::ContentType(_) => &metrics.refused_content_type,
            Fault::Encoding(_) => &metrics.refused_encoding,
            Fault::Method => &metrics.refused_method,
            Fault::UnknownPath(_) | Fault::UnknownService => &metrics.refused_unknown_path,
            Fault::Busy => &metrics.refused_overload,
            Fault::Slow { .. } => &metrics.refused_slow,
            Fault::Cancelled => &metrics.refused_cancelled,
            Fault::Panic => &metrics.refused_panic,
            // The ingest has counted it.
            Fault::Refused(_) => return,
        };
        counter.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again_says_so_in_both_protocols() {
        let overload = Fault::Refused(Refusal::Overload { waiting_bytes: 7 });
        let memory = Fault::Refused(Refusal::Memory { used_bytes: 9, limit_bytes: 7 });
        let journal = Fault::Refused(Refusal::Journal("disk full".into()));
        let stopping = Fault::Refused(Refusal::Stopping);
        for (fault, code) in [
            (overload, Code::Unavailable),
            (memory, Code::Unavailable),
            (journal, Code::Unavailable),
            (stopping, Code::Unavailable),
            (Fault::Busy, Code::Unavailable),
            (Fault::Panic, Code::Unavailable),
            (Fault::Slow { limit: Duration::from_secs(30) }, Code::DeadlineExceeded),
        ] {
            assert!(fault.is_retryable(), "{fault}");
            assert_eq!(fault.code(), code, "{fault}");
            assert_eq!(fault.http_status(), StatusCode::SERVICE_UNAVAILABLE, "{fault}");
        }
    }

    #[test]
    fn a_message_is_cut_to_a_kib_between_characters() {
        let short = Fault::BadData("broken".into());
        assert_eq!(short.message(), "broken");
        let quoted = Fault::BadData(format!("x{}", "\u{e9}".repeat(1 << 20)));
        assert_eq!(quoted.message(), format!("x{} ...", "\u{e9}".repeat(511)));
    }

    #[test]
    fn what_will_never_count_is_not_sent_again() {
        for fault in [
            Fault::BadData("broken".into()),
            Fault::TooLarge { limit_bytes: 1 },
            Fault::ContentType("x"),
            Fault::Encoding("x"),
            Fault::Method,
            Fault::UnknownPath("x"),
            Fault::UnknownService,
        ] {
            assert!(!fault.is_retryable(), "{fault}");
            assert!(fault.http_status().is_client_error(), "{fault}");
            let sent_again_by_clients = [
                Code::Cancelled,
                Code::DeadlineExceeded,
                Code::Aborted,
                Code::OutOfRange,
                Code::Unavailable,
                Code::DataLoss,
            ];
            assert!(!sent_again_by_clients.contains(&fault.code()), "{fault}");
        }
    }
}
