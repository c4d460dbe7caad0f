//! Bodies as clients compress them, and as few do: of several members and frames, with checksums, as bombs.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::decompressors::CODINGS;

/// A frame that a decoder is to step over: its magic, its length, four bytes.
const SKIPPED: [u8; 12] = [0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
/// Above the target's limit.
const BOMB_BYTES: usize = 600 << 10;

/// Each behind the byte that says how it is to be read.
pub(super) fn bodies(requests: &[Vec<u8>]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    for (number, request) in requests.iter().take(4).enumerate() {
        let (first, second) = request.split_at(request.len() / 3);
        let part_bytes = 1 + 20 * number as u8 % 60;
        for (coding, packed) in [
            (0, read(GzEncoder::new(&request[..], Compression::default()))?),
            (0, [gzip(first)?, gzip(&[])?, gzip(second)?].concat()),
            (1, read(ZlibEncoder::new(&request[..], Compression::fast()))?),
            (1, read(DeflateEncoder::new(&request[..], Compression::best()))?),
            (2, zstd::encode_all(&request[..], 1)?),
            (2, [SKIPPED.to_vec(), streamed(first, 17)?, streamed(second, 20)?].concat()),
            (3, request.clone()),
        ] {
            bodies.push(behind_head(coding, part_bytes, packed));
        }
    }
    let bomb = vec![0; BOMB_BYTES];
    bodies.push(behind_head(0, 60, gzip(&bomb)?));
    bodies.push(behind_head(2, 60, zstd::encode_all(&bomb[..], 1)?));
    bodies.push(behind_head(2, 60, streamed(&bomb, 20)?));
    Ok(bodies)
}

fn behind_head(coding: u8, part_bytes: u8, mut packed: Vec<u8>) -> Vec<u8> {
    debug_assert!(usize::from(coding) < CODINGS.len());
    packed.insert(0, coding | (part_bytes - 1) << 2);
    packed
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    read(GzEncoder::new(body, Compression::best()))
}

/// With a checksum, and without a word on its length.
fn streamed(body: &[u8], window_log: u32) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    encoder.window_log(window_log)?;
    encoder.write_all(body)?;
    encoder.finish()
}

fn read(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes)
}
