//! How many entries share a sync in a log of streams, on the real disk: each writer appends to a stream of its
//! own, waits until that is durable, and purges what is behind. One stream has a single record and is idle throughout.
//!
//! `cargo bench -p tributary-bench --bench log_streams -- [--writers 1,8,64] [--bytes N] [--seconds N] [--dir DIR]`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use mimalloc::MiMalloc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tributary_store::disk::real::{self, RealDisk};
use tributary_store::log::Index;
use tributary_store::log::streams::{Options, StreamId, StreamsHandle, StreamsService};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// A run for each
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,512")]
    writers: Vec<u32>,
    /// Of a record
    #[arg(long, default_value_t = 400)]
    bytes: usize,
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Of a segment, in KiB
    #[arg(long, default_value_t = 1024)]
    segment_kib: u64,
    /// Where the log is made; it is removed afterwards. Default: the folder for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Records that a writer's stream keeps.
const KEPT: u64 = 16;
const IDLE: StreamId = StreamId(u32::MAX);

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "| writers | B an entry | entries/s | entries a sync | syncs/s | ack p50 | p99 | copied entries | \
         log, most | CPU-s per M entries |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for writers in &arguments.writers {
        let above = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
        let dir = above.join(format!("tributary-log-streams-{}", std::process::id()));
        let ran = runtime.block_on(measure(&arguments, *writers, &dir));
        std::fs::remove_dir_all(&dir).context("remove the log")?;
        println!("{}", ran?);
    }
    Ok(())
}

async fn measure(arguments: &Arguments, writers: u32, dir: &Path) -> anyhow::Result<String> {
    let disk = RealDisk::open(dir.to_owned(), real::Options::default())?;
    let segment_bytes = arguments.segment_kib << 10;
    let options = Options { segment_bytes, ..Options::default() };
    let (service, handle, _) = StreamsService::open(Arc::new(disk), "log", options).await?;
    let (stop, stopped) = watch::channel(false);
    let service = tokio::spawn(service.run(stopped));
    handle.append(IDLE, Index(0), vec![Bytes::from_static(b"idle")]).await?;

    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    let until = began + Duration::from_secs(arguments.seconds);
    let record = Bytes::from(vec![0x5a; arguments.bytes]);
    let mut running = JoinSet::new();
    for stream in (0..writers).map(StreamId) {
        running.spawn(write(handle.clone(), stream, record.clone(), until));
    }
    let (mut acks, mut most) = (Vec::new(), 0);
    while let Some(of_writer) = running.join_next().await {
        let (mut of_writer, bytes) = of_writer??;
        acks.append(&mut of_writer);
        most = most.max(bytes);
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let usage = handle.reader().usage();
    let idle = handle.reader().read(IDLE, Index(0)..Index(1), 100).await?;
    anyhow::ensure!(idle.len() == 1, "the idle stream has its record");
    stop.send_replace(true);
    service.await?;

    acks.sort_unstable();
    let at = |part: usize| acks.get(acks.len() * part / 100).copied().unwrap_or_default();
    let entries = acks.len() as f64;
    Ok(format!(
        "| {writers} | {} | {:.0} | {:.1} | {:.0} | {:.1?} | {:.1?} | {} | {:.1} MiB | {:.1} |",
        arguments.bytes,
        entries / seconds,
        entries / usage.syncs as f64,
        usage.syncs as f64 / seconds,
        at(50),
        at(99),
        usage.copied_records,
        most as f64 / f64::from(1 << 20),
        cpu / entries * 1e6,
    ))
}

/// Answers how long each entry took, and the most bytes of the log that it saw.
async fn write(
    handle: StreamsHandle,
    stream: StreamId,
    record: Bytes,
    until: Instant,
) -> anyhow::Result<(Vec<Duration>, u64)> {
    let (mut acks, mut most) = (Vec::new(), 0);
    for index in 0.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        handle.append(stream, Index(index), vec![record.clone()]).await?;
        acks.push(begun.elapsed());
        if index % KEPT == 0 {
            handle.purge_lazily(stream, Index(index.saturating_sub(KEPT))).await?;
            most = most.max(handle.reader().usage().bytes);
        }
    }
    Ok((acks, most))
}

/// Of this process, user and system.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks as f64 / 100.0)
}
