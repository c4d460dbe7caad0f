use super::super::testing::gzip;
use super::*;

const LIMIT: usize = 1 << 20;

async fn unpacked(coding: Coding, parts: &[&[u8]], room: &Arc<Semaphore>) -> Result<Held, Fault> {
    let mut unpacker = Unpacker::new(coding, LIMIT, room);
    for part in parts {
        unpacker.take(part).await?;
    }
    unpacker.finish()
}

#[tokio::test]
async fn parts_of_any_size_give_the_same_body() {
    let room = Arc::new(Semaphore::new(4 * LIMIT));
    let body: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let gzipped = gzip(&body);
    for size in [1, 7, 1000, gzipped.len()] {
        let parts: Vec<&[u8]> = gzipped.chunks(size).collect();
        let held = unpacked(Coding::Gzip, &parts, &room).await.unwrap();
        assert!(held.bytes == body, "in parts of {size}");
    }
    let parts: Vec<&[u8]> = body.chunks(999).collect();
    assert!(unpacked(Coding::Identity, &parts, &room).await.unwrap().bytes == body);
    assert_eq!(room.available_permits(), 4 * LIMIT, "every share was given back");
}

#[tokio::test]
async fn a_bomb_is_held_no_further_than_the_limit() {
    let room = Arc::new(Semaphore::new(LIMIT));
    let bomb = gzip(&vec![0; 16 * LIMIT]);
    let refused = unpacked(Coding::Gzip, &[&bomb], &room).await.unwrap_err();
    assert_eq!(refused, Fault::TooLarge { limit_bytes: LIMIT });
    assert_eq!(room.available_permits(), LIMIT);
    let just = gzip(&vec![0; LIMIT]);
    let held = unpacked(Coding::Gzip, &[&just], &room).await.unwrap();
    assert_eq!((held.bytes.len(), room.available_permits()), (LIMIT, 0));
}

#[tokio::test]
async fn what_finds_no_room_is_refused_for_now() {
    let room = Arc::new(Semaphore::new(LIMIT));
    let first = unpacked(Coding::Identity, &[&vec![0; LIMIT / 2 + 1]], &room).await.unwrap();
    let second = unpacked(Coding::Identity, &[&vec![0; LIMIT / 2]], &room).await;
    assert_eq!(second.unwrap_err(), Fault::Busy);
    drop(first);
    unpacked(Coding::Identity, &[&vec![0; LIMIT / 2]], &room).await.unwrap();
}

#[tokio::test]
async fn a_long_inflation_gives_way() {
    let room = Arc::new(Semaphore::new(LIMIT));
    let body = gzip(&vec![0; LIMIT]);
    let mut unpacker = Unpacker::new(Coding::Gzip, LIMIT, &room);
    let mut taking = std::pin::pin!(unpacker.take(&body));
    let mut pauses = 0;
    std::future::poll_fn(|cx| {
        let polled = taking.as_mut().poll(cx);
        pauses += usize::from(polled.is_pending());
        polled
    })
    .await
    .unwrap();
    assert!(pauses >= LIMIT / YIELD_BYTES - 1, "{pauses}");
}
