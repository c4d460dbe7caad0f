//! What files, names and locks promise.

use bytes::Bytes;

use super::{Rig, on_every_disk};
use crate::disk::{ErrorKind, Files};

on_every_disk!(
    appended_bytes_are_read_back,
    appends_go_on_behind_a_truncation,
    synced_bytes_and_names_survive,
    a_replaced_file_is_whole_and_durable,
    a_removed_name_is_gone_once_synced,
    a_renamed_file_keeps_its_bytes,
    a_linked_file_has_two_names_for_the_same_bytes,
    names_are_listed_in_order,
    a_lock_is_held_until_it_is_dropped,
    a_lock_ends_with_its_process,
    a_file_needs_its_folder,
    a_removed_file_is_read_through_its_handle,
    a_folder_goes_with_all_that_is_in_it,
);

async fn file(disk: &dyn Files, path: &str, bytes: &'static [u8]) {
    let file = disk.open(path).await.unwrap();
    file.append_sync(Bytes::from_static(bytes)).await.unwrap();
}

async fn read(disk: &dyn Files, path: &str) -> Option<Vec<u8>> {
    disk.read(path).await.unwrap().map(|bytes| bytes.to_vec())
}

async fn appended_bytes_are_read_back(rig: &mut dyn Rig) {
    let disk = rig.disk();
    let file = disk.open("a").await.unwrap();
    assert!(file.is_empty());
    file.append(Bytes::from_static(b"hello ")).await.unwrap();
    file.append(Bytes::from_static(b"world")).await.unwrap();
    assert_eq!(file.len(), 11);
    assert_eq!(&file.read_at(6, 5).await.unwrap()[..], b"world");
    assert_eq!(&file.read_at(9, 50).await.unwrap()[..], b"ld");
    assert_eq!(file.read_at(11, 1).await.unwrap().len(), 0);
    assert_eq!(file.read_at(50, 1).await.unwrap().len(), 0);
    assert_eq!(disk.open("a").await.unwrap().len(), 11);
    assert_eq!(read(&*disk, "a").await.unwrap(), b"hello world");
    assert_eq!(read(&*disk, "b").await, None);
}

async fn appends_go_on_behind_a_truncation(rig: &mut dyn Rig) {
    let disk = rig.disk();
    let file = disk.open("a").await.unwrap();
    file.append_sync(Bytes::from_static(b"hello world")).await.unwrap();
    file.truncate(5).await.unwrap();
    file.append(Bytes::from_static(b"!")).await.unwrap();
    file.rewrite(2).await.unwrap();
    file.sync().await.unwrap();
    disk.sync_dir("").await.unwrap();
    assert_eq!(file.len(), 6);
    rig.restart();
    assert_eq!(read(&*rig.disk(), "a").await.unwrap(), b"hello!");
}

async fn synced_bytes_and_names_survive(rig: &mut dyn Rig) {
    for round in 0..20 {
        let disk = rig.disk();
        let (dir, path) = (format!("d{round}/e"), format!("d{round}/e/f"));
        disk.create_dir(&dir).await.unwrap();
        let file = disk.open(&path).await.unwrap();
        file.append_sync(Bytes::from_static(b"kept")).await.unwrap();
        for dir in ["", &format!("d{round}"), &dir] {
            disk.sync_dir(dir).await.unwrap();
        }
        file.append(Bytes::from_static(b"tail")).await.unwrap();
        rig.restart();
        let left = read(&*rig.disk(), &path).await.unwrap();
        assert!(left.starts_with(b"kept") && left.len() <= 8, "{left:?}");
    }
}

async fn a_replaced_file_is_whole_and_durable(rig: &mut dyn Rig) {
    for round in 0..10u8 {
        rig.disk().replace("small", Bytes::from(vec![round; 100])).await.unwrap();
        rig.restart();
        assert_eq!(read(&*rig.disk(), "small").await.unwrap(), [round; 100]);
    }
    assert_eq!(rig.disk().list("").await.unwrap(), ["small"]);
}

async fn a_removed_name_is_gone_once_synced(rig: &mut dyn Rig) {
    file(&*rig.disk(), "a", b"a").await;
    rig.disk().sync_dir("").await.unwrap();
    rig.disk().remove("a").await.unwrap();
    assert_eq!(read(&*rig.disk(), "a").await, None);
    rig.disk().remove("a").await.unwrap();
    rig.disk().sync_dir("").await.unwrap();
    rig.restart();
    assert_eq!(read(&*rig.disk(), "a").await, None);
}

async fn a_renamed_file_keeps_its_bytes(rig: &mut dyn Rig) {
    file(&*rig.disk(), "old", b"bytes").await;
    file(&*rig.disk(), "new", b"there before").await;
    rig.disk().sync_dir("").await.unwrap();
    for round in 0..20 {
        let (from, to) = if round % 2 == 0 { ("old", "new") } else { ("new", "old") };
        let disk = rig.disk();
        disk.rename(from, to).await.unwrap();
        assert_eq!(read(&*disk, from).await, None);
        assert_eq!(read(&*disk, to).await.unwrap(), b"bytes");
        if round % 3 != 0 {
            rig.restart();
            let disk = rig.disk();
            let left = [read(&*disk, from).await, read(&*disk, to).await];
            assert!(left.contains(&Some(b"bytes".to_vec())), "a rename lost the file: {left:?}");
            if read(&*disk, to).await != Some(b"bytes".to_vec()) {
                disk.rename(from, to).await.unwrap();
            }
            disk.remove(from).await.unwrap();
        }
        rig.disk().sync_dir("").await.unwrap();
        rig.restart();
        assert_eq!(rig.disk().list("").await.unwrap(), [to]);
    }
    assert!(rig.disk().rename("absent", "new").await.is_err());
}

async fn a_linked_file_has_two_names_for_the_same_bytes(rig: &mut dyn Rig) {
    let disk = rig.disk();
    file(&*disk, "a", b"one").await;
    disk.link("a", "b").await.unwrap();
    assert!(disk.link("a", "b").await.is_err(), "the name is taken");
    file(&*disk, "a", b" two").await;
    assert_eq!(read(&*disk, "b").await.unwrap(), b"one two");
    disk.remove("a").await.unwrap();
    disk.sync_dir("").await.unwrap();
    rig.restart();
    assert_eq!(rig.disk().list("").await.unwrap(), ["b"]);
    assert_eq!(read(&*rig.disk(), "b").await.unwrap(), b"one two");
}

async fn names_are_listed_in_order(rig: &mut dyn Rig) {
    let disk = rig.disk();
    disk.create_dir("d/below").await.unwrap();
    disk.create_dir("d").await.unwrap();
    for name in ["d/c", "d/a", "d/b"] {
        disk.open(name).await.unwrap();
    }
    assert_eq!(disk.list("d").await.unwrap(), ["a", "b", "below", "c"]);
    assert!(disk.list("absent").await.unwrap().is_empty());
}

async fn a_lock_is_held_until_it_is_dropped(rig: &mut dyn Rig) {
    let disk = rig.disk();
    let held = disk.lock("lock").await.unwrap();
    let error = disk.lock("lock").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Locked);
    assert!(error.to_string().contains("another tributary process"), "{error}");
    disk.lock("another").await.unwrap();
    drop(held);
    disk.lock("lock").await.unwrap();
}

async fn a_lock_ends_with_its_process(rig: &mut dyn Rig) {
    let held = rig.disk().lock("lock").await.unwrap();
    // A real process that dies drops it; the twin's crash breaks it, held or not.
    let mut held = Some(held);
    if cfg!(feature = "rocksdb") {
        held.take();
    }
    rig.restart();
    let again = rig.disk().lock("lock").await.unwrap();
    drop(held);
    assert!(rig.disk().lock("lock").await.is_err(), "an old guard let go of a new lock");
    drop(again);
}

async fn a_file_needs_its_folder(rig: &mut dyn Rig) {
    assert!(rig.disk().open("absent/file").await.is_err());
    assert!(rig.disk().open("../file").await.is_err(), "a path left the disk's root");
    assert!(rig.disk().replace("absent/file", Bytes::new()).await.is_err());
    assert!(rig.disk().sync_dir("absent").await.is_err());
}

async fn a_removed_file_is_read_through_its_handle(rig: &mut dyn Rig) {
    let disk = rig.disk();
    let file = disk.open("a").await.unwrap();
    file.append(Bytes::from_static(b"bytes")).await.unwrap();
    disk.remove("a").await.unwrap();
    assert_eq!(&file.read_at(0, 9).await.unwrap()[..], b"bytes");
    assert!(disk.open("a").await.unwrap().is_empty());
}

async fn a_folder_goes_with_all_that_is_in_it(rig: &mut dyn Rig) {
    let disk = rig.disk();
    disk.create_dir("d/below").await.unwrap();
    file(&*disk, "d/below/a", b"a").await;
    disk.families("d/rows", &["rows"]).await.unwrap();
    disk.remove_dir("d").await.unwrap();
    disk.remove_dir("d").await.unwrap();
    assert!(disk.list("").await.unwrap().is_empty());
    disk.sync_dir("").await.unwrap();
    rig.restart();
    assert!(rig.disk().list("").await.unwrap().is_empty());
}
