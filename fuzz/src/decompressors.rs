//! Bytes as a body that comes in compressed: the first byte says how, the others are the body.
//!
//! - It comes to the same in one part and in many.
//! - What is held stays under the limit and a decoder's state, is paid for, and given back.
//! - A body that is taken is what a plain decoder makes of it.

use std::io::{BufReader, Read};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use tributary_edge::fuzzing::{Refused, Unpacked, unpack};

use crate::settled::settled;

/// Above what a decoder gives in a step, so that both of an output's ways are gone.
const LIMIT_BYTES: usize = 512 << 10;
/// The largest state of a decoder comes on top: zstd's window with a block more.
const ROOM_BYTES: usize = LIMIT_BYTES + (9 << 20);

pub const CODINGS: [&str; 4] = ["gzip", "deflate", "zstd", "identity"];

pub fn check(data: &[u8]) {
    let Some((head, packed)) = data.split_first() else { return };
    let coding = CODINGS[usize::from(head & 3)];
    let part_bytes = usize::from(head >> 2) + 1;
    let packed = Bytes::copy_from_slice(packed);
    let whole = unpacked(coding, std::iter::once(packed.clone()));
    let parts = packed.chunks(part_bytes).map(Bytes::copy_from_slice);
    match (whole, unpacked(coding, parts)) {
        (Ok(whole), Ok(parts)) => {
            assert!(whole == parts, "{coding}: in parts of {part_bytes} it is another body");
            assert!(whole.len() <= LIMIT_BYTES, "{coding}: {} bytes", whole.len());
            let plain = plain(coding, &packed).expect("a plain decoder takes it too");
            assert!(whole == plain, "{coding}: a plain decoder makes {} bytes of it", plain.len());
        }
        (Err(_), Err(_)) => {}
        (whole, parts) => panic!(
            "{coding}: whole it is {:?}, in parts of {part_bytes} {:?}",
            whole.map(|body| body.len()),
            parts.map(|body| body.len())
        ),
    }
}

fn unpacked(coding: &'static str, parts: impl Iterator<Item = Bytes>) -> Result<Bytes, Refused> {
    let Unpacked { body, most_bytes, left_bytes } =
        settled(unpack(coding, LIMIT_BYTES, ROOM_BYTES, parts));
    assert!(most_bytes <= ROOM_BYTES as u64, "{coding}: {most_bytes} bytes were held");
    assert_eq!(left_bytes, 0, "{coding}: bytes were not given back");
    if let Err(refused) = &body {
        let is_known = matches!(refused, Refused::BadData(_) | Refused::TooLarge);
        assert!(is_known, "{coding}: {refused:?}, though there was room for the largest state");
    }
    body
}

/// As far as one byte above the limit.
fn plain(coding: &str, packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let most = LIMIT_BYTES as u64 + 1;
    match coding {
        "gzip" => MultiGzDecoder::new(packed).take(most).read_to_end(&mut body)?,
        "deflate" => {
            let as_zlib = ZlibDecoder::new(packed).take(most).read_to_end(&mut body);
            as_zlib.or_else(|_| {
                body.clear();
                DeflateDecoder::new(packed).take(most).read_to_end(&mut body)
            })?
        }
        "zstd" => {
            // Byte by byte, as a stream: of a frame that is there whole libzstd refuses an empty compressed block.
            let bytes = BufReader::with_capacity(1, packed);
            zstd::Decoder::with_buffer(bytes)?.take(most).read_to_end(&mut body)?
        }
        _ => packed.take(most).read_to_end(&mut body)?,
    };
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_compressed_block_is_taken_as_any_stream_takes_it() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 0, 0, 0, 4, 0, 0, 1, 0, 0];
        check(&[&[2][..], &frame].concat());
        let parts = frame.map(|byte| Bytes::copy_from_slice(&[byte]));
        assert_eq!(unpacked("zstd", parts.into_iter()).expect("taken"), Bytes::new());
    }
}
