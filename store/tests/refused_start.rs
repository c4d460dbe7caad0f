//! A store that is refused has let go of everything: nothing of it is still being opened.

#![cfg(feature = "rocksdb")]

use tributary_store::disk::real::RealDisk;
use tributary_store::{Options, Store};

#[tokio::test]
async fn no_shard_is_still_being_opened_when_one_was_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk::open(folder.path().to_owned(), Default::default()).expect("opens");
    drop(Store::open(&disk, Options::default()).await.expect("opens"));
    let current = folder.path().join("shards/00000/CURRENT");
    for _ in 0..3 {
        let sound = std::fs::read(&current).expect("reads");
        std::fs::write(&current, "damaged").expect("writes");
        let refused = Store::open(&disk, Options::default()).await.map(drop).expect_err("damaged");
        assert!(refused.to_string().contains("bring the folder back"), "{refused}");
        std::fs::write(&current, &sound).expect("writes");
        drop(Store::open(&disk, Options::default()).await.expect("nobody holds a shard"));
    }
}
