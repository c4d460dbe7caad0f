//! How a body, or a message of gRPC, is compressed.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_ENCODING};

use crate::receivers::fault::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

impl Coding {
    pub(crate) const TAKEN_BY_GRPC: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");
    pub(crate) const TAKEN_BY_HTTP: HeaderValue = HeaderValue::from_static("gzip, zstd, deflate");

    pub(crate) fn of_grpc(headers: &HeaderMap) -> Result<Self, Fault> {
        match Self::named(headers.get(GRPC_ENCODING)) {
            None | Some(Coding::Deflate) => Err(Fault::Encoding("gzip, zstd or none")),
            Some(coding) => Ok(coding),
        }
    }

    pub(crate) fn of_http(headers: &HeaderMap) -> Result<Self, Fault> {
        Self::named(headers.get(CONTENT_ENCODING))
            .ok_or(Fault::Encoding("gzip, zstd, deflate or none"))
    }

    fn named(name: Option<&HeaderValue>) -> Option<Self> {
        let Some(name) = name else { return Some(Coding::Identity) };
        let name = name.as_bytes().trim_ascii();
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match () {
            () if name.is_empty() || is(b"identity") || is(b"none") => Some(Coding::Identity),
            () if is(b"gzip") || is(b"x-gzip") => Some(Coding::Gzip),
            () if is(b"zstd") => Some(Coding::Zstd),
            () if is(b"deflate") => Some(Coding::Deflate),
            () => None,
        }
    }
}
