//! OTLP over HTTP: `POST` of protobuf or JSON to `/v1/traces`, `/v1/metrics` and `/v1/logs`.
//!
//! Whatever is answered comes in the request's own type; a refusal is a `google.rpc.Status`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderName, RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use prost::Message;
use serde_json::json;
use tokio::time::timeout;
use tributary_spanmetrics::Encoding;

use super::Options;
use super::answer::Answer;
use super::body::{Coding, next_part};
use super::export::{Exporter, Signal};
use super::fault::Fault;
use super::tenant::tenant_of;

const TYPES: &str = "application/x-protobuf or application/json";
const RETRY_AFTER_SECONDS: &str = "1";
/// A client that is refused while it sends has this long to end, so that it reads why.
const DISCARD: Duration = Duration::from_millis(500);

pub(crate) async fn answer(
    exporter: Arc<Exporter>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let encoding = encoding_of(&head.headers);
    Ok(match export(&exporter, &head, encoding, &mut body).await {
        Ok((answer, encoding)) => response(StatusCode::OK, encoding, answer.encode(encoding)),
        Err(fault) => {
            fault.count(exporter.metrics());
            if head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT) {
                discard(body, exporter.options().request_bytes).await;
            }
            refused(&fault, encoding.unwrap_or(Encoding::Json))
        }
    })
}

async fn export(
    exporter: &Exporter,
    head: &Parts,
    encoding: Option<Encoding>,
    body: &mut Incoming,
) -> Result<(Answer, Encoding), Fault> {
    let signal = Signal::of_http_path(head.uri.path())
        .ok_or(Fault::UnknownPath("there are /v1/traces, /v1/metrics and /v1/logs"))?;
    if head.method != Method::POST {
        return Err(Fault::Method);
    }
    let encoding = encoding.ok_or(Fault::ContentType(TYPES))?;
    let coding = Coding::named(head.headers.get(CONTENT_ENCODING))?;
    let Options { request_bytes: limit_bytes, read_timeout: limit, .. } = *exporter.options();
    let receiving = async {
        let mut unpacker = exporter.unpacker(coding);
        if body.size_hint().lower() > limit_bytes as u64 {
            return Err(Fault::TooLarge { limit_bytes });
        }
        let mut sent = 0;
        while let Some(part) = next_part(body).await? {
            sent += part.len();
            if sent > limit_bytes {
                return Err(Fault::TooLarge { limit_bytes });
            }
            unpacker.take(&part).await?;
        }
        unpacker.finish()
    };
    let body = timeout(limit, receiving).await.map_err(|_| Fault::Slow { limit })??;
    let answer = exporter.export(signal, tenant_of(&head.headers), encoding, body).await?;
    Ok((answer, encoding))
}

fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    let name = headers.get(CONTENT_TYPE)?.as_bytes().split(|&byte| byte == b';').next()?;
    match name.trim_ascii().to_ascii_lowercase().as_slice() {
        b"application/x-protobuf" => Some(Encoding::Protobuf),
        b"application/json" => Some(Encoding::Json),
        _ => None,
    }
}

/// Reads what still comes, up to a bound. A connection that is closed with bytes unread is reset, and the
/// answer may be lost with it. Who asked to go on before it sends the body has sent nothing.
async fn discard(mut body: Incoming, limit_bytes: usize) {
    let mut discarded = 0;
    let _ = timeout(DISCARD, async {
        while let Ok(Some(part)) = next_part(&mut body).await {
            discarded += part.len();
            if discarded > limit_bytes {
                break;
            }
        }
    })
    .await;
}

fn refused(fault: &Fault, encoding: Encoding) -> Response<Full<Bytes>> {
    let (code, message) = (fault.code() as i32, fault.to_string());
    let body = match encoding {
        Encoding::Protobuf => RpcStatus { code, message }.encode_to_vec().into(),
        Encoding::Json => json!({ "code": code, "message": message }).to_string().into(),
    };
    let mut response = response(fault.http_status(), encoding, body);
    let mut say = |name: HeaderName, value| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    match fault {
        Fault::Method => say(ALLOW, "POST"),
        Fault::Encoding => say(ACCEPT_ENCODING, "gzip"),
        fault if fault.is_retryable() => say(RETRY_AFTER, RETRY_AFTER_SECONDS),
        _ => {}
    }
    response
}

fn response(status: StatusCode, encoding: Encoding, body: Bytes) -> Response<Full<Bytes>> {
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// `google.rpc.Status`, without details.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
