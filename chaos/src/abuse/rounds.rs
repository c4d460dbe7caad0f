//! The rounds: without the crowd, with it, and again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::crowd::{Counted, Crowd};
use super::healthy::{Acked, Healthy};
use super::latency::Latency;
use super::options::{Kind, Options};
use super::process::{Memory, Process, Watch, allow_open_files};
use super::report::Report;
use crate::judge::{Bounds, Judge};
use crate::load::Groups;
use crate::server::Server;

/// Until caches are warm and the first windows are sealed.
const WARM_UP: Duration = Duration::from_secs(12);
/// After abuse, for what it left to be sealed and stored; nothing of it is measured as quiet.
const CALM: Duration = Duration::from_secs(12);

/// One half of a round, with or without abuse.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) number: u32,
    pub(super) is_abuse: bool,
    pub(super) latency: Latency,
    /// Tries of the healthy client that were refused or not answered.
    pub(super) in_vain: u64,
    pub(super) memory: Memory,
    pub(super) edge_cpu: Duration,
    pub(super) crowd_cpu: Duration,
    pub(super) answers: Counted,
}

/// Runs all rounds, and then compares what was counted.
pub async fn run(options: &Options, dir: &Path) -> anyhow::Result<Report> {
    allow_open_files()?;
    let config = dir.join("config.yaml");
    std::fs::write(&config, configuration(options.ceiling_mib))?;
    let (data, log) = (dir.join("data"), dir.join("server.log"));
    let server = Server::new(options.binary.clone(), data, log, None)?;
    let mut server = server.with_config(config);
    server.spawn()?;
    if let Err(not_ready) = server.ready().await? {
        anyhow::bail!(not_ready);
    }
    let ended = measure(options, &server).await;
    let tail = server.log_tail();
    if let Some(status) = server.kill(|| ()).await? {
        anyhow::bail!("the product ended by itself with {status}; its last words:\n{tail}");
    }
    ended
}

async fn measure(options: &Options, server: &Server) -> anyhow::Result<Report> {
    let edge = Process { pid: server.pid().context("the product is running")? };
    let watch = Watch::begin(edge);
    let mut crowd = Crowd::gather(&options.kinds, server.ports(), options.groups_rate()).await?;
    let groups = Groups::new(&format!("abuse-{}-{:08x}", options.seed, rand::random::<u32>()));
    let mut stage = Stage {
        edge,
        watch,
        half: options.half,
        healthy: Healthy::begin(server.ports(), &groups, options.seed),
    };
    tokio::time::sleep(WARM_UP).await;
    let mut report = Report::new(options);
    for number in 1..=options.rounds {
        let quiet = stage.quiet(number).await?;
        println!("{}", report.take(quiet));
        let abuse = stage.abuse(number, &mut crowd).await?;
        println!("{}", report.take(abuse));
        tokio::time::sleep(CALM).await;
    }
    drop(crowd);
    report.note_peak(edge.memory()?);
    let seen = stage.healthy.stop().await?;
    let tally = seen.tally.clone();
    report.healthy = seen;
    let judge = Judge::new(server.api_port(), groups);
    let bounds = Bounds { least: tally.clone(), most: tally };
    report.verdict = judge.judge(&bounds).await.context("asking the product")?;
    report.peak_with_queries = edge.memory()?.peak;
    Ok(report)
}

/// What every half needs.
struct Stage {
    edge: Process,
    watch: Watch,
    half: Duration,
    healthy: Healthy,
}

impl Stage {
    async fn quiet(&mut self, number: u32) -> anyhow::Result<Half> {
        let (began, cpu) = self.begin()?;
        tokio::time::sleep(self.half).await;
        self.end(number, began, cpu, None).await
    }

    async fn abuse(&mut self, number: u32, crowd: &mut Crowd) -> anyhow::Result<Half> {
        let (began, cpu) = self.begin()?;
        let crowd_cpu = crowd.process()?.cpu()?;
        crowd.go().await?;
        tokio::time::sleep(self.half).await;
        let answers = crowd.stop().await?;
        let crowd_cpu = crowd.process()?.cpu()? - crowd_cpu;
        self.end(number, began, cpu, Some((answers, crowd_cpu))).await
    }

    fn begin(&mut self) -> anyhow::Result<(Instant, Duration)> {
        self.edge.forget_peak()?;
        self.healthy.take();
        Ok((Instant::now(), self.edge.cpu()?))
    }

    /// Requests that were due in this half count as its own, whenever they are acked.
    async fn end(
        &mut self,
        number: u32,
        began: Instant,
        cpu: Duration,
        abuse: Option<(Counted, Duration)>,
    ) -> anyhow::Result<Half> {
        let ended = Instant::now();
        let edge_cpu = self.edge.cpu()?.saturating_sub(cpu);
        let memory = self.watch.most_since(began);
        let memory = Memory { peak: self.edge.memory()?.peak, ..memory };
        let acked = self.healthy.acked_by(ended).await;
        let of_half = |acked: &Acked| (began..ended).contains(&acked.due);
        let acked: Vec<_> = acked.into_iter().filter(of_half).collect();
        let in_vain = acked.iter().map(|acked| acked.in_vain).sum();
        let latency = acked.into_iter().map(|acked| acked.took).collect();
        let is_abuse = abuse.is_some();
        let (answers, crowd_cpu) = abuse.unwrap_or_default();
        let latency = Latency::of(latency);
        Ok(Half { number, is_abuse, latency, in_vain, memory, edge_cpu, crowd_cpu, answers })
    }
}

/// Requests are shed from three quarters of the ceiling on; all else is as shipped.
fn configuration(ceiling_mib: u64) -> String {
    let soft_mib = ceiling_mib * 3 / 4;
    format!("edge:\n  memory:\n    soft: {soft_mib}MiB\n    hard: {ceiling_mib}MiB\n")
}

impl Kind {
    /// All, when none is named.
    pub fn chosen(named: &[Kind]) -> Vec<Kind> {
        if named.is_empty() { Kind::ALL.to_vec() } else { named.to_vec() }
    }
}
