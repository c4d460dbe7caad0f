//! Many histories, from one seed on, on all cores; the first that fails is made short and told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tributary_store::disk::memory::MemoryDisk;

use crate::history::History;
use crate::names::Names;
use crate::shrink::shrink;
use crate::subject::Ground;
use crate::tally::Tally;
use crate::{pair, run};

/// For the gate: on the memory twin, and on RocksDB, which waits for a real disk.
const HISTORIES: u64 = 200;
#[cfg(feature = "rocksdb")]
const ON_ROCKSDB: u64 = 4;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    /// Judged after each step.
    Alone,
    /// Two stores that are fed alike.
    Pair,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Twin,
    #[cfg(feature = "rocksdb")]
    RocksDb,
}

/// `HISTORIES` of the environment, and a twentieth of them on RocksDB.
pub(crate) fn histories(kind: Kind) -> u64 {
    match (kind, number("HISTORIES")) {
        (Kind::Twin, given) => given.unwrap_or(HISTORIES),
        #[cfg(feature = "rocksdb")]
        (Kind::RocksDb, given) => given.map_or(ON_ROCKSDB, |many| many.div_ceil(20)),
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}

pub(crate) fn judge(course: Course, kind: Kind, histories: u64) -> Tally {
    let first = number("SEED").unwrap_or(1);
    println!("{course:?} on {kind:?}: seeds {first} to {}", first + histories - 1);
    let (began, names) = (Instant::now(), Names::new());
    let seeds = Seeds { next: AtomicU64::new(first), end: AtomicU64::new(first + histories) };
    let work = || work(&seeds, |history| one(history, course, kind, &names));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (tally, failed) = thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = (Tally::default(), None);
        for worker in working {
            let (tally, failed) = worker.join().expect("what panics in a history is caught");
            all.0 += tally;
            all.1 = all.1.or(failed);
        }
        all
    });
    if let Some(Failed { history, wrong }) = failed {
        let seed = history.seed;
        println!("seed {seed} fails, the {}. of them: {wrong}", seed - first + 1);
        let (history, wrong) =
            shrink(history, wrong, 400, |shorter| one(shorter, course, kind, &names).err());
        panic!("{history}{wrong}\nagain, all of it: make histories HISTORIES=1 SEED={seed}");
    }
    println!("{course:?} on {kind:?}: {tally}, {:.1?}", began.elapsed());
    tally
}

/// Until none is left, or one failed.
struct Seeds {
    next: AtomicU64,
    end: AtomicU64,
}

struct Failed {
    history: History,
    wrong: String,
}

fn work(
    seeds: &Seeds,
    judge: impl Fn(&History) -> Result<Tally, String>,
) -> (Tally, Option<Failed>) {
    let (mut sum, names) = (Tally::default(), Names::new());
    loop {
        let seed = seeds.next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end.load(Ordering::Relaxed) {
            return (sum, None);
        }
        let history = History::draw(seed, &names);
        match judge(&history) {
            Ok(tally) => sum += tally,
            Err(wrong) => {
                seeds.end.store(0, Ordering::Relaxed);
                return (sum, Some(Failed { history, wrong }));
            }
        }
    }
}

pub(crate) fn one(
    history: &History,
    course: Course,
    kind: Kind,
    names: &Names,
) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let ground = match kind {
            Kind::Twin => Ground::Twin(MemoryDisk::new()),
            #[cfg(feature = "rocksdb")]
            Kind::RocksDb => Ground::RocksDb(tempfile::tempdir().expect("a folder")),
        };
        match course {
            Course::Alone => runtime.block_on(run::run(history, ground, names)),
            Course::Pair => runtime.block_on(pair::run(history, ground, names)),
        }
    }));
    judged.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("it panicked: {}", said.unwrap_or_default()))
    })
}
