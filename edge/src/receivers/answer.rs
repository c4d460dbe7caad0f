//! The answer to a request that was taken, in both encodings.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use tributary_spanmetrics::Encoding;

use super::export::Signal;

/// An `Export*ServiceResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) signal: Signal,
    /// Unset when all was accepted, as OTLP wants it.
    pub(crate) partial: Option<Partial>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn encode(self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Protobuf => self.protobuf().into(),
            Encoding::Json => self.json().into(),
        }
    }

    fn protobuf(self) -> Vec<u8> {
        let partial = self.partial.map(|Partial { rejected, message }| {
            (i64::try_from(rejected).unwrap_or(i64::MAX), message)
        });
        match self.signal {
            Signal::Traces => {
                let partial_success = partial.map(|(rejected_spans, error_message)| {
                    ExportTracePartialSuccess { rejected_spans, error_message }
                });
                ExportTraceServiceResponse { partial_success }.encode_to_vec()
            }
            Signal::Metrics => {
                let partial_success = partial.map(|(rejected_data_points, error_message)| {
                    ExportMetricsPartialSuccess { rejected_data_points, error_message }
                });
                ExportMetricsServiceResponse { partial_success }.encode_to_vec()
            }
            Signal::Logs => {
                let partial_success = partial.map(|(rejected_log_records, error_message)| {
                    ExportLogsPartialSuccess { rejected_log_records, error_message }
                });
                ExportLogsServiceResponse { partial_success }.encode_to_vec()
            }
        }
    }

    /// In JSON's mapping of protobuf a 64-bit integer is a string.
    fn json(self) -> String {
        let Some(Partial { rejected, message }) = self.partial else { return "{}".into() };
        let rejected_items = match self.signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        let partial = json!({ rejected_items: rejected.to_string(), "errorMessage": message });
        json!({ "partialSuccess": partial }).to_string()
    }
}
