//! What ordered families promise.

use std::sync::Arc;

use super::{Rig, on_every_disk};
use crate::disk::{Batch, ErrorKind, Families, Row, Snapshot};

on_every_disk!(
    a_batch_over_several_families_is_seen_whole,
    a_later_operation_wins,
    a_deleted_range_ends_before_its_end,
    a_snapshot_does_not_move,
    a_scan_gives_each_range_in_order,
    pages_go_on_behind_the_last_key,
    flushed_batches_survive,
    unflushed_batches_survive_as_a_prefix,
    families_are_opened_once_at_a_time,
    a_family_can_be_added,
    an_unknown_family_is_an_error,
    a_failed_flush_stays_failed_until_families_are_opened_anew,
);

const NAMES: [&str; 2] = ["left", "right"];

async fn open(rig: &dyn Rig) -> Arc<dyn Families> {
    rig.disk().families("shards/1", &NAMES).await.unwrap()
}

fn puts(rows: &[(usize, &str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (family, key, value) in rows {
        batch.put(*family, *key, *value);
    }
    batch
}

async fn get(families: &dyn Families, family: usize, key: &str) -> Option<String> {
    let value = families.snapshot().get(family, key.as_bytes()).await.unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn text(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|(key, _)| str::from_utf8(key).unwrap()).collect()
}

async fn keys(snapshot: &dyn Snapshot, from: &str, to: &str) -> Vec<String> {
    let ranges = vec![(from.into(), to.into())];
    let rows = snapshot.scan(0, ranges).await.unwrap();
    text(&rows[0]).into_iter().map(str::to_owned).collect()
}

async fn a_batch_over_several_families_is_seen_whole(rig: &mut dyn Rig) {
    let families = open(rig).await;
    families.write(puts(&[(0, "k", "0"), (1, "k", "1")])).await.unwrap();
    assert_eq!(get(&*families, 0, "k").await.unwrap(), "0");
    assert_eq!(get(&*families, 1, "k").await.unwrap(), "1");
    assert_eq!(get(&*families, 0, "absent").await, None);
    families.write(Batch::default()).await.unwrap();
}

async fn a_later_operation_wins(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let mut batch = puts(&[(0, "a", "1"), (0, "a", "2"), (0, "b", "1"), (0, "c", "1")]);
    batch.delete(0, "b");
    batch.delete_range(0, "c", "d");
    batch.put(0, "c", "after");
    batch.delete_range(1, "a", "z");
    families.write(batch).await.unwrap();
    assert_eq!(get(&*families, 0, "a").await.unwrap(), "2");
    assert_eq!(get(&*families, 0, "b").await, None);
    assert_eq!(get(&*families, 0, "c").await.unwrap(), "after");
    families.write(puts(&[(0, "a", "3")])).await.unwrap();
    assert_eq!(get(&*families, 0, "a").await.unwrap(), "3");
}

async fn a_deleted_range_ends_before_its_end(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let rows = ["a", "b", "ba", "c", "d"].map(|key| (0, key, "x"));
    families.write(puts(&rows)).await.unwrap();
    let mut batch = Batch::default();
    batch.delete_range(0, "b", "c");
    batch.delete_range(0, "d", "d");
    batch.delete_range(0, "z", "a");
    families.write(batch).await.unwrap();
    assert_eq!(keys(&*families.snapshot(), "", "z").await, ["a", "c", "d"]);
}

async fn a_snapshot_does_not_move(rig: &mut dyn Rig) {
    let families = open(rig).await;
    families.write(puts(&[(0, "a", "1"), (0, "b", "1")])).await.unwrap();
    let before = families.snapshot();
    let mut batch = puts(&[(0, "a", "2"), (0, "c", "2")]);
    batch.delete(0, "b");
    families.write(batch).await.unwrap();
    families.flush().await.unwrap();
    assert_eq!(keys(&*before, "", "z").await, ["a", "b"]);
    assert_eq!(&before.get(0, b"a").await.unwrap().unwrap()[..], b"1");
    assert_eq!(keys(&*families.snapshot(), "", "z").await, ["a", "c"]);
    drop(families);
    assert_eq!(keys(&*before, "", "z").await, ["a", "b"], "it holds what it was taken from");
}

async fn a_scan_gives_each_range_in_order(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let rows = ["d", "a", "c", "b", "e"].map(|key| (0, key, "x"));
    families.write(puts(&rows)).await.unwrap();
    families.flush().await.unwrap();
    families.write(puts(&[(0, "bb", "x"), (1, "zz", "x")])).await.unwrap();
    let range = |from: &str, to: &str| (from.into(), to.into());
    let ranges = vec![
        range("c", "e"),
        range("a", "c"),
        range("x", "z"),
        range("c", "c"),
        range("d", "b"),
        range("", "b"),
    ];
    let found = families.snapshot().scan(0, ranges).await.unwrap();
    let found: Vec<_> = found.iter().map(|rows| text(rows)).collect();
    assert_eq!(found, [vec!["c", "d"], vec!["a", "b", "bb"], vec![], vec![], vec![], vec!["a"]]);
    assert!(families.snapshot().scan(0, Vec::new()).await.unwrap().is_empty());
}

async fn pages_go_on_behind_the_last_key(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let names: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
    let rows: Vec<_> = names.iter().map(|key| (0, key.as_str(), "x")).collect();
    families.write(puts(&rows)).await.unwrap();
    let snapshot = families.snapshot();
    let (mut from, mut found) = (b"k".to_vec(), Vec::new());
    loop {
        let page = snapshot.page(0, (from.clone(), b"k20".to_vec()), 7).await.unwrap();
        assert!(page.len() <= 7);
        found.extend(text(&page).into_iter().map(str::to_owned));
        match page.last() {
            Some((key, _)) => from = [&key[..], &[0]].concat(),
            None => break,
        }
    }
    assert_eq!(found, names[..20]);
    assert!(snapshot.page(0, (b"k".to_vec(), b"l".to_vec()), 0).await.unwrap().is_empty());
    assert!(snapshot.page(0, (b"z".to_vec(), b"a".to_vec()), 5).await.unwrap().is_empty());
}

async fn flushed_batches_survive(rig: &mut dyn Rig) {
    for round in 0..10 {
        let families = open(rig).await;
        let key = format!("k{round}");
        families.write(puts(&[(0, &key, "0"), (1, &key, "1")])).await.unwrap();
        families.flush().await.unwrap();
        drop(families);
        rig.restart();
        let families = open(rig).await;
        assert_eq!(get(&*families, 0, &key).await.unwrap(), "0");
        assert_eq!(get(&*families, 1, &key).await.unwrap(), "1");
    }
}

async fn unflushed_batches_survive_as_a_prefix(rig: &mut dyn Rig) {
    for round in 0..20 {
        let families = open(rig).await;
        let key = |n: usize| format!("{round:02}-{n:02}");
        for n in 0..10 {
            families
                .write(puts(&[(n % 2, &key(n), "x"), (1 - n % 2, &key(n), "x")]))
                .await
                .unwrap();
            if n == 3 {
                families.flush().await.unwrap();
            }
        }
        drop(families);
        rig.restart();
        let families = open(rig).await;
        let mut kept = [0; 2];
        for (family, kept) in kept.iter_mut().enumerate() {
            while *kept < 10 && get(&*families, family, &key(*kept)).await.is_some() {
                *kept += 1;
            }
            for n in *kept..10 {
                let hole = get(&*families, family, &key(n)).await;
                assert_eq!(hole, None, "a hole in the prefix");
            }
        }
        assert!(kept[0] >= 4, "a flushed batch is gone");
        assert_eq!(kept[0], kept[1], "a batch is torn");
    }
}

async fn families_are_opened_once_at_a_time(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let disk = rig.disk();
    let error = disk.families("shards/1", &NAMES).await.map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Locked, "{error}");
    disk.families("shards/2", &NAMES).await.unwrap();
    let snapshot = families.snapshot();
    drop(families);
    assert!(disk.families("shards/1", &NAMES).await.is_err(), "a snapshot still reads them");
    drop(snapshot);
    disk.families("shards/1", &NAMES).await.unwrap();
}

async fn a_family_can_be_added(rig: &mut dyn Rig) {
    let families = open(rig).await;
    families.write(puts(&[(1, "k", "old")])).await.unwrap();
    families.flush().await.unwrap();
    drop(families);
    rig.restart();
    let disk = rig.disk();
    let families = disk.families("shards/1", &["first", "right", "left"]).await.unwrap();
    assert_eq!(get(&*families, 1, "k").await.unwrap(), "old");
    assert_eq!(get(&*families, 0, "k").await, None);
    drop(families);
    assert!(disk.families("shards/1", &["first"]).await.is_err(), "a family was forgotten");
}

async fn an_unknown_family_is_an_error(rig: &mut dyn Rig) {
    let families = open(rig).await;
    let error = families.write(puts(&[(0, "k", "x"), (2, "k", "x")])).await.unwrap_err();
    assert!(error.to_string().contains("family 2 of 2"), "{error}");
    assert_eq!(get(&*families, 0, "k").await, None);
    assert!(families.snapshot().get(2, b"k").await.is_err());
}

async fn a_failed_flush_stays_failed_until_families_are_opened_anew(rig: &mut dyn Rig) {
    for round in 0..3 {
        let [flushed, failed] = ["flushed", "failed"].map(|key| format!("{round}-{key}"));
        let families = open(rig).await;
        families.write(puts(&[(0, &flushed, "x"), (1, &flushed, "x")])).await.unwrap();
        families.flush().await.unwrap();
        families.write(puts(&[(0, &failed, "x"), (1, &failed, "x")])).await.unwrap();
        rig.fail_flushes("shards/1", true);
        let error = families.flush().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Io, "{error}");
        rig.fail_flushes("shards/1", false);
        families.flush().await.expect_err("the disk is well, and the flush stays failed");
        families.write(puts(&[(0, "later", "x")])).await.expect_err("nothing can be flushed");
        assert_eq!(get(&*families, 0, &flushed).await.unwrap(), "x", "readers go on");
        drop(families);
        let families = open(rig).await;
        assert_eq!(get(&*families, 0, &flushed).await.unwrap(), "x");
        let kept = [get(&*families, 0, &failed).await, get(&*families, 1, &failed).await];
        assert_eq!(kept[0], kept[1], "a batch is torn");
        assert_eq!(get(&*families, 0, "later").await, None);
        families.write(puts(&[(0, &failed, "again")])).await.unwrap();
        families.flush().await.unwrap();
    }
}
