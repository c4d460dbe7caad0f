//! OTLP over gRPC: `Export` of the trace, metrics and logs services.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tributary_spanmetrics::Encoding;

use super::answer::Answer;
use super::body::{Coding, next_part};
use super::export::{Exporter, Signal};
use super::fault::Fault;
use super::frame::{Unframer, framed};
use super::tenant::tenant_of;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

pub(crate) async fn answer(
    exporter: Arc<Exporter>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let answered = export(&exporter, request).await;
    if let Err(fault) = &answered {
        fault.count(exporter.metrics());
    }
    Ok(match answered {
        Ok(answer) => taken(answer),
        // These two are no gRPC at all, so a gRPC status would not be read.
        Err(fault @ (Fault::ContentType(_) | Fault::Method)) => {
            let mut response = Response::new(Body::new(Full::from(fault.to_string())));
            *response.status_mut() = fault.http_status();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
        Err(fault) => refused(&fault),
    })
}

async fn export(exporter: &Exporter, request: Request<Incoming>) -> Result<Answer, Fault> {
    let (head, mut body) = request.into_parts();
    if !is_grpc(&head.headers) {
        return Err(Fault::ContentType("application/grpc here, and OTLP/HTTP to its own port"));
    }
    if head.method != Method::POST {
        return Err(Fault::Method);
    }
    let signal = Signal::of_grpc_path(head.uri.path()).ok_or(Fault::UnknownPath(
        "OTLP's TraceService, MetricsService and LogsService have the method Export",
    ))?;
    let coding = Coding::named(head.headers.get(GRPC_ENCODING))?;
    let receiving = async {
        let mut unframer = Unframer::new(exporter, coding);
        while let Some(part) = next_part(&mut body).await? {
            unframer.take(&part).await?;
        }
        unframer.finish()
    };
    let limit = exporter.options().read_timeout;
    let message = timeout(limit, receiving).await.map_err(|_| Fault::Slow { limit })??;
    exporter.export(signal, tenant_of(&head.headers), Encoding::Protobuf, message).await
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let name = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    matches!(
        name.trim_ascii().to_ascii_lowercase().as_slice(),
        b"application/grpc" | b"application/grpc+proto"
    )
}

fn taken(answer: Answer) -> Response<Body> {
    let frame = framed(&answer.encode(Encoding::Protobuf));
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::<Bytes>::new(frame).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

fn refused(fault: &Fault) -> Response<Body> {
    let mut response: Response<Body> = Status::new(fault.code(), fault.to_string()).into_http();
    debug_assert_eq!(response.status(), StatusCode::OK, "the status stands in the header fields");
    if let Fault::Encoding = fault {
        let taken = HeaderValue::from_static("identity,gzip");
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, taken);
    }
    response
}

#[cfg(test)]
#[path = "grpc_test.rs"]
mod tests;
