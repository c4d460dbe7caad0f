//! The mount as a process meets it, through the kernel. Needs root and /dev/fuse, as all of this crate.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;

use super::*;

struct Mounted {
    disk: Disk,
    _dir: tempfile::TempDir,
}

fn mounted() -> Mounted {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&dir.path().join("disk"), 1).unwrap();
    Mounted { disk, _dir: dir }
}

fn sync_folder(path: &Path) {
    fs::File::open(path).unwrap().sync_all().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_work_as_on_any_disk() {
    let mut mounted = mounted();
    let point = mounted.disk.point().to_owned();
    fs::create_dir_all(point.join("a/b")).unwrap();
    let long: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    fs::write(point.join("a/b/long"), &long).unwrap();
    assert_eq!(fs::read(point.join("a/b/long")).unwrap(), long);
    fs::hard_link(point.join("a/b/long"), point.join("a/second")).unwrap();
    fs::rename(point.join("a/b/long"), point.join("a/b/new")).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(point.join("a/second")).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(fs::read(point.join("a/b/new")).unwrap().len(), 3_000_004);
    file.set_len(3).unwrap();
    assert_eq!(fs::read(point.join("a/b/new")).unwrap(), long[..3]);
    for n in 0..500 {
        fs::write(point.join(format!("a/b/f{n}")), b"x").unwrap();
    }
    assert_eq!(fs::read_dir(point.join("a/b")).unwrap().count(), 501);
    assert_eq!(fs::remove_dir(point.join("a")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(point.join("a")).unwrap();
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
    drop(file);
    mounted.disk.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_locks_hold() {
    use rustix::fs::{FlockOperation, fcntl_lock, flock};
    let mut mounted = mounted();
    let path = mounted.disk.point().join("LOCK");
    let open = || fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let (first, second) = (open().unwrap(), open().unwrap());
    flock(&first, FlockOperation::NonBlockingLockExclusive).unwrap();
    let refused = flock(&second, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(refused, Err(rustix::io::Errno::WOULDBLOCK));
    fcntl_lock(&first, FlockOperation::NonBlockingLockExclusive).unwrap();
    drop((first, second));
    mounted.disk.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_keeps_what_was_synced_and_not_all_of_the_rest() {
    let mut mounted = mounted();
    let point = mounted.disk.point().to_owned();
    fs::write(point.join("kept"), b"kept").unwrap();
    fs::File::open(point.join("kept")).unwrap().sync_all().unwrap();
    sync_folder(&point);
    let file = fs::OpenOptions::new().write(true).open(point.join("kept")).unwrap();
    for n in 0..64u64 {
        fs::write(point.join(format!("lost{n}")), b"x").unwrap();
        file.write_all_at(b"!", 10 + n).unwrap();
    }
    drop(file);
    mounted.disk.cut(7).await.unwrap();
    let kept = fs::read(point.join("kept")).unwrap();
    assert!(kept.starts_with(b"kept") && kept.iter().filter(|byte| **byte == b'!').count() < 64);
    assert!(fs::read_dir(&point).unwrap().count() < 65);
    mounted.disk.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_answer_as_the_kernel_would() {
    let mut mounted = mounted();
    let point = mounted.disk.point().to_owned();
    fs::create_dir(point.join("journal")).unwrap();
    let file = fs::File::create(point.join("journal/1")).unwrap();
    let power = mounted.disk.power().clone();
    power.faults(|faults| faults.fail_sync = Some(Failing { within: "journal/", syncs: 1 }));
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(5), "EIO");
    file.sync_data().unwrap();
    power.faults(|faults| faults.room_bytes = Some(10));
    file.write_all_at(&[0; 10], 0).unwrap();
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    drop(file);
    mounted.disk.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sprung_trap_holds_its_step_and_nothing_of_it_happens() {
    let mut mounted = mounted();
    let point = mounted.disk.point().to_owned();
    fs::write(point.join("journal"), b"synced").unwrap();
    fs::File::open(point.join("journal")).unwrap().sync_all().unwrap();
    sync_folder(&point);
    let power = mounted.disk.power().clone();
    power.faults(|faults| faults.trap = Some(Trap { within: "journal", steps: 2 }));
    let writer = std::thread::spawn(move || {
        let file = fs::OpenOptions::new().write(true).open(point.join("journal"))?;
        file.write_all_at(b"SYNCED", 0)?;
        file.sync_all()
    });
    power.sprung().await;
    assert!(!writer.is_finished());
    power.release();
    assert_eq!(writer.join().unwrap().unwrap_err().raw_os_error(), Some(5), "EIO");
    assert_eq!(power.seen().syncs, 1, "the second never came");
    mounted.disk.unmount().await.unwrap();
}
