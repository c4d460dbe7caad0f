//! What span metrics take in the store: fed in time order, a slice for each shard and flush, into RocksDB in a
//! folder of its own. Then every value is read back; one that differs fails the run.
//!
//! `cargo bench -p tributary-bench --bench store_bytes -- [--groups N] [--hours N] [--seed N]
//! [--variant usual|full|sparse] [--flush-windows N] [--dir DIR] [--json]`

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use mimalloc::MiMalloc;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_bench::series::{Shape, Summary};
use tributary_store::disk::real::{self, RealDisk};
use tributary_store::{Home, Options, Store, StoreHandle};

mod feeding;
mod groups;
mod reading;
mod report;
mod sizes;

use groups::Groups;
use sizes::Sizes;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    shape: Shape,
    /// Windows that a slice holds
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    flush_windows: u32,
    /// Where the data folder is made, and removed in the end [default: the system's folder for such files]
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
    /// One line of JSON in place of tables
    #[arg(long)]
    json: bool,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Report {
    flush_windows: u32,
    load: Summary,
    feeding: feeding::Used,
    /// When the last slice was answered.
    fed: Sizes,
    /// After what the engine does by itself, and a clean stop.
    stopped: Sizes,
    /// (group, window) pairs that were read back and compared.
    read_back: u64,
}

/// For how long nothing on disk changes before the engine counts as idle.
const QUIET: Duration = Duration::from_secs(5);
/// It gets this long to become so.
const AT_MOST: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    arguments.shape.check()?;
    let folder = match &arguments.dir {
        Some(above) => tempfile::tempdir_in(above),
        None => tempfile::tempdir(),
    }
    .context("no folder for the data")?;
    let report = measure(&arguments, folder.path()).await?;
    match arguments.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => report::print(&arguments.shape, &report),
    }
    Ok(())
}

async fn measure(arguments: &Arguments, folder: &Path) -> anyhow::Result<Report> {
    let groups = Groups::of(&arguments.shape)?;
    let store = Running::open(folder).await?;
    let (load, feeding) =
        feeding::feed(&store.handle, &groups, &arguments.shape, arguments.flush_windows).await?;
    let mut fed = Sizes::of(folder)?;
    fed.families = store.disk.table_bytes().await?;
    let mut stopped = store.stop(folder).await?;
    let store = Running::open(folder).await?;
    stopped.families = store.disk.table_bytes().await?;
    let read_back = reading::compare(&store.handle, &groups, &arguments.shape).await?;
    anyhow::ensure!(read_back == load.filled, "{read_back} of {} windows were found", load.filled);
    store.stop(folder).await?;
    let flush_windows = arguments.flush_windows;
    Ok(Report { flush_windows, load, feeding, fed, stopped, read_back })
}

/// A store as the node has it.
struct Running {
    disk: RealDisk,
    handle: StoreHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    _home: Home,
}

impl Running {
    async fn open(folder: &Path) -> anyhow::Result<Self> {
        let disk = RealDisk::open(folder.join("data"), real::Options::default())?;
        let home = Home::take(&disk).await?;
        let (store, handle) = Store::open(&disk, Options::default()).await?;
        let (stop, stopped) = watch::channel(false);
        Ok(Running { disk, handle, stop, task: tokio::spawn(store.run(stopped)), _home: home })
    }

    /// Once it is idle. What the folder takes then.
    async fn stop(self, folder: &Path) -> anyhow::Result<Sizes> {
        let began = Instant::now();
        let mut last = Sizes::of(folder)?;
        let mut unchanged_since = Instant::now();
        while unchanged_since.elapsed() < QUIET && began.elapsed() < AT_MOST {
            tokio::time::sleep(QUIET / 10).await;
            let now = Sizes::of(folder)?;
            if now != last {
                (last, unchanged_since) = (now, Instant::now());
            }
        }
        self.stop.send_replace(true);
        self.task.await.context("the store did not end in peace")?;
        drop((self.handle, self.disk));
        Sizes::of(folder)
    }
}
