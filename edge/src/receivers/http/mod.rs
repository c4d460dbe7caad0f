//! OTLP over HTTP: `POST` of protobuf or JSON to `/v1/traces`, `/v1/metrics` and `/v1/logs`.
//!
//! Whatever is answered comes in the request's own type; a refusal is a `google.rpc.Status`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::timeout;
use tributary_spanmetrics::Encoding;
use tributary_store::plants::{self, Plant};

use crate::receivers::answer::Answer;
use crate::receivers::body::{Body, Coding, Held};
use crate::receivers::export::Signal;
use crate::receivers::fault::Fault;
use crate::receivers::patience::Patience;
use crate::receivers::server::Tasks;
use crate::receivers::service::{Ended, Service, guarded};
use crate::receivers::status::{RETRY_AFTER_SECONDS, RpcStatus};
use crate::receivers::tenant::tenant_of;
pub(crate) use cors::Rules;

mod cors;

const TYPES: &str = "application/x-protobuf or application/json";
/// A client that is refused while it sends has this long to end, so that it reads why.
const DISCARD: Duration = Duration::from_millis(500);

pub(crate) async fn answer_http1(
    service: &Arc<Service>,
    request: Request<Body>,
    tasks: &Tasks,
) -> Response<Bytes> {
    let (head, mut body) = request.into_parts();
    let preflight = service.cors.as_ref().and_then(|rules| rules.preflight(&head));
    if let Some(response) = preflight {
        return response;
    }
    let encoding = encoding_of(&head.headers);
    let answered = guarded(async {
        let received = receive(service, &head, encoding, &mut body).await?;
        if plants::is(Plant::CancelledRequestDropped) {
            return received.export(service).await;
        }
        let service = service.clone();
        tasks.run(async move { received.export(&service).await }).await
    });
    let answered = answered.await;
    if answered.is_err() && !head.headers.contains_key(EXPECT) {
        discard(body, service.exporter.request_bytes()).await;
    }
    respond_to(service, &head, encoding, answered)
}

pub(crate) async fn answer_http2(
    service: &Service,
    request: Request<Body>,
    mut respond: SendResponse<Bytes>,
) -> Ended {
    let (head, mut body) = request.into_parts();
    let preflight = service.cors.as_ref().and_then(|rules| rules.preflight(&head));
    let response = match preflight {
        Some(response) => response,
        None => {
            let encoding = encoding_of(&head.headers);
            let answered = guarded(async {
                receive(service, &head, encoding, &mut body).await?.export(service).await
            });
            let answered = answered.await;
            if let Err(Fault::Cancelled) = answered {
                Fault::Cancelled.count(service.metrics());
                return Ended::Cancelled;
            }
            respond_to(service, &head, encoding, answered)
        }
    };
    let (head, body) = response.into_parts();
    let sent = respond
        .send_response(Response::from_parts(head, ()), body.is_empty())
        .and_then(|mut send| if body.is_empty() { Ok(()) } else { send.send_data(body, true) });
    if sent.is_ok() { Ended::Answered } else { Ended::Cancelled }
}

/// A request that is there as a whole.
struct Received {
    signal: Signal,
    encoding: Encoding,
    headers: HeaderMap,
    body: Held,
}

impl Received {
    async fn export(self, service: &Service) -> Result<Answer, Fault> {
        let Received { signal, encoding, headers, body } = self;
        service.exporter.export(signal, tenant_of(&headers), encoding, body).await
    }
}

async fn receive(
    service: &Service,
    head: &Parts,
    encoding: Option<Encoding>,
    body: &mut Body,
) -> Result<Received, Fault> {
    let signal = Signal::of_http_path(head.uri.path())
        .ok_or(Fault::UnknownPath("there are /v1/traces, /v1/metrics and /v1/logs"))?;
    if head.method != Method::POST {
        return Err(Fault::Method);
    }
    let encoding = encoding.ok_or(Fault::ContentType(TYPES))?;
    let coding = Coding::of_http(&head.headers)?;
    let limit_bytes = service.exporter.request_bytes();
    let mut patience = Patience::new(service.timeouts.read);
    let mut unpacker = service.exporter.unpacker(coding, body.announced())?;
    let mut sent = 0;
    while let Some(part) = patience.wait(body.next()).await? {
        let bytes = part.len();
        sent += bytes;
        if sent > limit_bytes {
            return Err(Fault::TooLarge { limit_bytes });
        }
        unpacker.take(part).await?;
        body.release(bytes);
    }
    let body = unpacker.finish()?;
    Ok(Received { signal, encoding, headers: head.headers.clone(), body })
}

fn respond_to(
    service: &Service,
    head: &Parts,
    encoding: Option<Encoding>,
    answered: Result<Answer, Fault>,
) -> Response<Bytes> {
    let encoding = encoding.unwrap_or(Encoding::Json);
    let mut response = match answered {
        Ok(answer) => response(StatusCode::OK, encoding, answer.encode(encoding)),
        Err(fault) => {
            fault.count(service.metrics());
            refused(&fault, encoding)
        }
    };
    if let Some(rules) = &service.cors {
        rules.allow(&head.headers, response.headers_mut());
    }
    response
}

pub(crate) fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    let name = headers.get(CONTENT_TYPE)?.as_bytes().split(|&byte| byte == b';').next()?;
    let is = |other: &[u8]| name.trim_ascii().eq_ignore_ascii_case(other);
    match () {
        () if is(b"application/x-protobuf") => Some(Encoding::Protobuf),
        () if is(b"application/json") => Some(Encoding::Json),
        () => None,
    }
}

/// Reads what still comes, up to a bound. A connection that is closed with bytes unread is reset, and the
/// answer may be lost with it. Who asked to go on before it sends the body has sent nothing.
async fn discard(mut body: Body, limit_bytes: usize) {
    let mut discarded = 0;
    let _ = timeout(DISCARD, async {
        while let Ok(Some(part)) = body.next().await {
            discarded += part.len();
            if discarded > limit_bytes {
                break;
            }
        }
    })
    .await;
}

/// A `google.rpc.Status`, and what HTTP says besides.
pub(crate) fn refused(fault: &Fault, encoding: Encoding) -> Response<Bytes> {
    let body = RpcStatus::of(fault).encode_as(encoding);
    let mut response = response(fault.http_status(), encoding, body);
    let headers = response.headers_mut();
    match fault {
        Fault::Method => headers.insert(ALLOW, HeaderValue::from_static("POST")),
        Fault::Encoding(_) => headers.insert(ACCEPT_ENCODING, Coding::TAKEN_BY_HTTP),
        fault if fault.is_retryable() => headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into()),
        _ => None,
    };
    response
}

fn response(status: StatusCode, encoding: Encoding, body: Bytes) -> Response<Bytes> {
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
