use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use tokio::time::timeout;

use super::*;
use crate::Ceiling;
use crate::metrics::EdgeMetrics;
use crate::receivers::testing::{deflate, gzip, raw_deflate, zstd, zstd_of_window};

const LIMIT: usize = 1 << 20;

fn room(bytes: usize) -> (Room, Arc<EdgeMetrics>) {
    let metrics = Arc::<EdgeMetrics>::default();
    (Room::new(bytes, bytes, metrics.clone(), Ceiling::default()), metrics)
}

async fn unpacked(coding: Coding, parts: &[&[u8]], room: &Room) -> Result<Held, Fault> {
    let mut unpacker = Unpacker::new(coding, LIMIT, None, room)?;
    for part in parts {
        unpacker.take(Bytes::copy_from_slice(part)).await?;
    }
    unpacker.finish()
}

/// A body in every form that its coding has.
fn forms(body: &[u8]) -> Vec<(Coding, Vec<u8>)> {
    let (first, second) = body.split_at(body.len() / 3);
    // A frame that a decoder is to step over: its magic, its length, four bytes.
    let skipped = [0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    vec![
        (Coding::Gzip, gzip(body)),
        (Coding::Gzip, [gzip(first), gzip(&[]), gzip(second)].concat()),
        (Coding::Deflate, deflate(body)),
        (Coding::Deflate, raw_deflate(body)),
        (Coding::Zstd, zstd(body)),
        (Coding::Zstd, zstd_of_window(body, 18)),
        (Coding::Zstd, [zstd(first), skipped.to_vec(), zstd_of_window(second, 17)].concat()),
        (Coding::Zstd, [skipped.to_vec(), zstd(&[]), zstd(body)].concat()),
    ]
}

fn mixed(bytes: usize) -> Vec<u8> {
    (0..bytes as u32 / 4).flat_map(|n| (n.wrapping_mul(0x9e37) >> 5).to_le_bytes()).collect()
}

#[tokio::test]
async fn parts_of_any_size_give_the_same_body_in_every_coding() {
    let (room, metrics) = room(8 * LIMIT);
    let body = mixed(60_000);
    for (coding, packed) in forms(&body) {
        for size in [1, 7, 1000, packed.len()] {
            let parts: Vec<&[u8]> = packed.chunks(size).collect();
            let held = unpacked(coding, &parts, &room).await.unwrap();
            assert!(held.bytes == body, "{coding:?} in parts of {size}");
            assert_eq!(metrics.held_bytes.get(), held.share.bytes() as u64);
        }
    }
    let parts: Vec<&[u8]> = body.chunks(999).collect();
    assert!(unpacked(Coding::Identity, &parts, &room).await.unwrap().bytes == body);
    assert_eq!(room.free_bytes(), 8 * LIMIT, "every share was given back");
    assert_eq!(metrics.held_bytes.get(), 0);
}

#[tokio::test]
async fn small_and_empty_bodies_are_bodies_in_every_coding() {
    let (room, _) = room(8 * LIMIT);
    for body in [&b""[..], b"x", b"hello"] {
        for (coding, packed) in forms(body) {
            let held = unpacked(coding, &[&packed], &room).await.unwrap();
            assert_eq!(held.bytes, body, "{coding:?}");
        }
    }
}

#[tokio::test]
async fn every_cut_and_every_wrong_byte_at_an_end_is_bad_data() {
    let (room, _) = room(8 * LIMIT);
    for (coding, packed) in forms(&mixed(4000)) {
        for end in [0, 1, 2, 5, packed.len() / 2, packed.len() - 1] {
            let cut = unpacked(coding, &[&packed[..end]], &room).await;
            assert!(matches!(cut, Err(Fault::BadData(_))), "{coding:?} cut at {end}: {cut:?}");
        }
        let longer = [packed.as_slice(), b"behind"].concat();
        let longer = unpacked(coding, &[&longer], &room).await;
        assert!(matches!(longer, Err(Fault::BadData(_))), "{coding:?}: {longer:?}");
        if packed == raw_deflate(&mixed(4000)) {
            // It has no checksum.
            continue;
        }
        let mut wrong = packed;
        wrong[0] ^= 0x80;
        let wrong = unpacked(coding, &[&wrong], &room).await;
        assert!(matches!(wrong, Err(Fault::BadData(_))), "{coding:?}: {wrong:?}");
    }
    assert_eq!(room.free_bytes(), 8 * LIMIT);
}

#[tokio::test]
async fn a_bomb_is_held_no_further_than_the_limit() {
    // The state of a decoder comes on top, at most the largest window.
    let all = LIMIT + (9 << 20);
    let (room, _) = room(all);
    for (coding, bomb) in forms(&vec![0; 16 * LIMIT]) {
        let refused = unpacked(coding, &[&bomb], &room).await.unwrap_err();
        assert_eq!(refused, Fault::TooLarge { limit_bytes: LIMIT }, "{coding:?}");
        assert_eq!(room.free_bytes(), all);
    }
    for (coding, just) in forms(&vec![0; LIMIT]) {
        let held = unpacked(coding, &[&just], &room).await.unwrap();
        assert_eq!(held.bytes.len(), LIMIT, "{coding:?}");
        assert_eq!(held.share.bytes(), LIMIT, "{coding:?}: the decoder gave its state back");
    }
    for (coding, above) in forms(&vec![0; LIMIT + 1]) {
        let refused = unpacked(coding, &[&above], &room).await.unwrap_err();
        assert_eq!(refused, Fault::TooLarge { limit_bytes: LIMIT }, "{coding:?}");
    }
}

#[tokio::test]
async fn what_takes_long_waits_for_its_turn_and_what_does_not_goes_on() {
    let (room, _) = room(8 * LIMIT);
    let mut turns = Vec::new();
    while let Some(turn) = room.turn().now_or_never() {
        turns.push(turn);
    }
    let (small, large) = (gzip(&mixed(60_000)), gzip(&mixed(LIMIT)));
    let parts = [&large[..]];
    let mut waiting = pin!(unpacked(Coding::Gzip, &parts, &room));
    assert!(timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err());
    assert_eq!(unpacked(Coding::Gzip, &[&small], &room).await.unwrap().bytes.len(), 60_000);
    turns.pop();
    assert_eq!(waiting.await.unwrap().bytes.len(), LIMIT);
    assert!(room.turn().now_or_never().is_some(), "it gave its turn back");
}

#[tokio::test]
async fn a_window_above_the_limit_is_bad_data_that_says_so() {
    let (room, _) = room(16 << 20);
    let body = mixed(LIMIT);
    let largest = unpacked(Coding::Zstd, &[&zstd_of_window(&body, 23)], &room).await;
    assert!(largest.unwrap().bytes == body);
    let refused = unpacked(Coding::Zstd, &[&zstd_of_window(&body, 24)], &room).await.unwrap_err();
    let Fault::BadData(message) = refused else { panic!("{refused:?}") };
    assert!(message.contains("16777216 bytes is larger than 8388608"), "{message}");
}

#[tokio::test]
async fn a_frame_that_is_shorter_than_it_says_is_bad_data() {
    let (room, _) = room(8 * LIMIT);
    // One segment of 8 bytes, and as its last block an empty one.
    let empty = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 8, 1, 0, 0];
    for size in [1, 6, empty.len()] {
        let parts: Vec<&[u8]> = empty.chunks(size).collect();
        let refused = unpacked(Coding::Zstd, &parts, &room).await.unwrap_err();
        let Fault::BadData(message) = refused else { panic!("{refused:?}") };
        assert!(message.contains("not as long as its header says"), "{message}");
    }
}

#[tokio::test]
async fn a_decoders_window_is_paid_for_before_it_is_held() {
    let (room, _) = room(4 << 20);
    let body = mixed(1000);
    // It says nothing of its length, so it may use the whole window.
    let refused = unpacked(Coding::Zstd, &[&zstd_of_window(&body, 23)], &room).await;
    assert_eq!(refused.unwrap_err(), Fault::Busy);
    let held = unpacked(Coding::Zstd, &[&zstd(&body)], &room).await.unwrap();
    assert_eq!(held.bytes, body);
}

#[tokio::test]
async fn a_length_that_lies_costs_no_more_than_what_came() {
    let (room, _) = room(LIMIT);
    let mut unpacker = Unpacker::new(Coding::Identity, LIMIT, Some(LIMIT), &room).unwrap();
    unpacker.take(Bytes::from_static(&[0; 100])).await.unwrap();
    assert!(room.free_bytes() >= LIMIT - 1600, "{}", room.free_bytes());
    unpacker.take(vec![0; LIMIT - 100].into()).await.unwrap();
    let held = unpacker.finish().unwrap();
    assert_eq!((held.bytes.len(), room.free_bytes()), (LIMIT, 0));
}

#[tokio::test]
async fn a_large_body_that_comes_in_one_part_is_kept_as_it_came() {
    let (room, _) = room(LIMIT);
    let part = Bytes::from(vec![1; 64 << 10]);
    for announced in [None, Some(64 << 10)] {
        let mut unpacker = Unpacker::new(Coding::Identity, LIMIT, announced, &room).unwrap();
        unpacker.take(part.clone()).await.unwrap();
        let held = unpacker.finish().unwrap();
        assert_eq!(held.bytes.as_ptr(), part.as_ptr());
        assert_eq!(held.share.bytes(), 64 << 10);
    }
}

#[tokio::test]
async fn a_small_part_does_not_keep_what_the_connection_reads_into() {
    let (room, _) = room(LIMIT);
    let mut read = BytesMut::with_capacity(LIMIT);
    for (announced, next) in [(None, None), (Some(5000), None), (None, Some(vec![2; 10]))] {
        read.extend_from_slice(&[1; 5000]);
        let part = read.split_to(5000).freeze();
        let mut unpacker = Unpacker::new(Coding::Identity, LIMIT, announced, &room).unwrap();
        unpacker.take(part).await.unwrap();
        assert!(read.try_reclaim(LIMIT), "it is still held: {announced:?}");
        if let Some(next) = next {
            unpacker.take(next.into()).await.unwrap();
        }
        let held = unpacker.finish().unwrap();
        assert_eq!(held.bytes[..5000], [1; 5000]);
    }
}

#[tokio::test]
async fn what_finds_no_room_is_refused_for_now() {
    let (room, _) = room(LIMIT);
    let first = unpacked(Coding::Identity, &[&vec![0; LIMIT / 2 + 1]], &room).await.unwrap();
    let second = unpacked(Coding::Identity, &[&vec![0; LIMIT / 2]], &room).await;
    assert_eq!(second.unwrap_err(), Fault::Busy);
    drop(first);
    unpacked(Coding::Identity, &[&vec![0; LIMIT / 2]], &room).await.unwrap();
}

#[tokio::test]
async fn a_long_decompression_gives_way() {
    let (room, _) = room(16 * LIMIT);
    for (coding, packed) in forms(&vec![0; LIMIT]) {
        let mut unpacker = Unpacker::new(coding, LIMIT, None, &room).unwrap();
        let mut taking = std::pin::pin!(unpacker.take(packed.into()));
        let mut pauses = 0;
        std::future::poll_fn(|cx| {
            let polled = taking.as_mut().poll(cx);
            pauses += usize::from(polled.is_pending());
            polled
        })
        .await
        .unwrap();
        assert!(pauses >= LIMIT / YIELD_BYTES / 2, "{coding:?}: {pauses}");
    }
}
