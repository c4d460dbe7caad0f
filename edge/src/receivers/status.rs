//! `google.rpc.Status`: what a refusal says to its client, and when to come again.

use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tributary_spanmetrics::Encoding;

use super::fault::Fault;

/// Of everything retryable. The SDKs' HTTP exporters wait just so long before each of their six tries, which
/// are over after 10 s: at 1 s they would give up after 5 s, at 2 s they go on for 8 s, which outlasts a
/// restart. More would only delay what a journal refused that was behind for a moment.
pub(crate) const RETRY_AFTER_SECONDS: i64 = 2;
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Delay {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl RpcStatus {
    /// With the time to try again if it may be tried again.
    pub(crate) fn of(fault: &Fault) -> Self {
        let retry = fault.is_retryable().then(|| {
            let retry_delay = Some(Delay { seconds: RETRY_AFTER_SECONDS, nanos: 0 });
            Any { type_url: RETRY_INFO.into(), value: RetryInfo { retry_delay }.encode_to_vec() }
        });
        RpcStatus {
            code: fault.code() as i32,
            message: fault.message(),
            details: retry.into_iter().collect(),
        }
    }

    pub(crate) fn encode_as(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Protobuf => self.encode_to_vec().into(),
            Encoding::Json => self.json().into(),
        }
    }

    fn json(&self) -> String {
        let (code, message) = (self.code, self.message.as_str());
        if self.details.is_empty() {
            return json!({ "code": code, "message": message }).to_string();
        }
        let delay = format!("{RETRY_AFTER_SECONDS}s");
        let details = json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
        json!({ "code": code, "message": message, "details": details }).to_string()
    }
}
