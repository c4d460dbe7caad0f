//! What a call keeps of its request's head while it waits for the body.
//!
//! A head may be large, and its values are slices of what the connection reads into, which is larger. Nobody
//! has paid for either. So a call gets a copy of the few fields that are looked at, and the rest goes at once.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

/// Credentials will be among them.
const KEPT: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_ENCODING, HeaderName::from_static("grpc-encoding"), EXPECT, ORIGIN];
/// Each path that is served, and each value that is taken, is shorter.
const PATH_BYTES: usize = 128;
const VALUE_BYTES: usize = 256;
/// Stands for what is too long to be known.
const UNKNOWN: HeaderValue = HeaderValue::from_static("?");

pub(super) fn lean<B>(request: Request<B>) -> Request<B> {
    // A preflight has other fields, and like each of its method it is answered without a body.
    if request.method() == Method::OPTIONS {
        return request;
    }
    let (head, body) = request.into_parts();
    let mut lean = Request::new(body);
    *lean.method_mut() = head.method;
    *lean.version_mut() = head.version;
    *lean.uri_mut() = path(&head.uri);
    *lean.headers_mut() = kept(&head.headers);
    lean
}

/// Without the query; `/`, where nothing is served, in place of what is too long.
fn path(uri: &Uri) -> Uri {
    let path = uri.path();
    if path.len() > PATH_BYTES { Uri::default() } else { path.parse().unwrap_or_default() }
}

/// Of a field that comes more than once only the first is looked at.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let first = |name: HeaderName| {
        let value = headers.get(&name)?.as_bytes();
        let is_short = value.len() <= VALUE_BYTES;
        let copied = is_short.then(|| HeaderValue::from_bytes(value).ok()).flatten();
        Some((name, copied.unwrap_or(UNKNOWN)))
    };
    KEPT.into_iter().filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_is_kept_and_nothing_else() {
        let request = Request::post("http://x/v1/traces?a=b")
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .header("content-encoding", "identity")
            .header("grpc-encoding", "zstd")
            .header("origin", "https://shop.example.com")
            .header("expect", "100-continue")
            .header("x-other", "y".repeat(10_000))
            .body(7)
            .unwrap();
        let lean = lean(request);
        assert_eq!(
            (lean.method(), lean.uri().path(), lean.body()),
            (&Method::POST, "/v1/traces", &7)
        );
        assert_eq!(lean.uri().query(), None);
        assert_eq!(lean.headers().len(), 5);
        assert_eq!(lean.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(lean.headers()[ORIGIN], "https://shop.example.com");
    }

    #[test]
    fn what_is_too_long_to_be_known_is_unknown() {
        let long = "x".repeat(1000);
        let request = Request::post(format!("http://x/{long}")).header("content-type", &long);
        let lean = lean(request.body(()).unwrap());
        assert_eq!(lean.uri().path(), "/");
        assert_eq!(lean.headers()[CONTENT_TYPE], "?");
    }

    #[test]
    fn what_the_connection_reads_into_is_not_kept() {
        let mut read = bytes::BytesMut::from(&b"application/json/v1/traces"[..]);
        let value = HeaderValue::from_maybe_shared(read.split_to(16).freeze()).unwrap();
        let uri = Uri::from_maybe_shared(read.split_to(10).freeze()).unwrap();
        let mut request = Request::post(uri).body(()).unwrap();
        request.headers_mut().insert(CONTENT_TYPE, value);
        let lean = lean(request);
        assert!(read.try_reclaim(26), "it is still held");
        assert_eq!(lean.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(lean.uri().path(), "/v1/traces");
    }
}
