//! Bodies as they travel: plain or compressed, with or without a gRPC head.

use std::io::{Read, Write};

use anyhow::{Context, bail};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::spans::GRPC_HEAD_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip { level: u32 },
    Zstd { level: u32 },
}

impl Packing {
    /// As `grpc-encoding` and `content-encoding` call it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Packing::Plain => None,
            Packing::Gzip { .. } => Some("gzip"),
            Packing::Zstd { .. } => Some("zstd"),
        }
    }

    /// A body compressed, behind a gRPC head that says so.
    pub(super) fn pack(self, body: &[u8]) -> anyhow::Result<Bytes> {
        let mut framed = Vec::with_capacity(body.len() / 2);
        framed.extend_from_slice(&[0; GRPC_HEAD_BYTES]);
        match self {
            Packing::Plain => framed.extend_from_slice(body),
            Packing::Gzip { level } => {
                let mut encoder = GzEncoder::new(framed, Compression::new(level.min(9)));
                encoder.write_all(body)?;
                framed = encoder.finish()?;
            }
            Packing::Zstd { level } => {
                let mut encoder = zstd::stream::Encoder::new(framed, level as i32)?;
                encoder.write_all(body)?;
                framed = encoder.finish()?;
            }
        }
        let len = u32::try_from(framed.len() - GRPC_HEAD_BYTES).context("a body of over 4 GiB")?;
        framed[0] = u8::from(self != Packing::Plain);
        framed[1..GRPC_HEAD_BYTES].copy_from_slice(&len.to_be_bytes());
        Ok(framed.into())
    }
}

/// The message in a framed answer: a receiver may answer in the encoding that it was asked in.
pub(super) fn unpack(framed: &[u8], encoding: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let Some((head, message)) = framed.split_at_checked(GRPC_HEAD_BYTES) else {
        return Ok(Vec::new());
    };
    let mut plain = Vec::new();
    match encoding {
        _ if head[0] == 0 => plain.extend_from_slice(message),
        Some("gzip") => drop(GzDecoder::new(message).read_to_end(&mut plain)?),
        Some("zstd") => plain = zstd::decode_all(message)?,
        other => bail!("the answer is compressed by {}", other.unwrap_or("nobody knows what")),
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let body = b"spans, spans, spans".repeat(99);
        for packing in [Packing::Plain, Packing::Gzip { level: 6 }, Packing::Zstd { level: 1 }] {
            let framed = packing.pack(&body).unwrap();
            assert_eq!(unpack(&framed, packing.name()).unwrap(), body);
        }
        assert_eq!(unpack(&[], None).unwrap(), b"");
        assert!(unpack(&[1, 0, 0, 0, 0], Some("snappy")).is_err());
    }
}
