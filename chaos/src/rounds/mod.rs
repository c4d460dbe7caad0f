//! A run: rounds of load and fault on one data folder, and a comparison after every few of them.
//!
//! ```text
//! round:  start ▸ send again what got no answer ▸ load ─┬─ fault, by mode ▸ the clients stop
//!                                                       └─ every N rounds, instead: stop ▸ drain ▸ judge
//! ```
//!
//! Nothing of the product is repeatable to the microsecond, so a seed repeats what is drawn (what is
//! sent, how long, where the power goes) and not the run.

mod eio;
mod full;
mod kill;
mod power;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::judge::{self, Bounds, Judge};
use crate::load::{Crew, Groups};
use crate::options::{Mode, Options, Plant};
use crate::place::Place;
use crate::report::Report;
use crate::server::Server;

/// By then the product must have taken everything that waits, with a good disk.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// A seal that comes this soon is worth waiting for.
const NEAR_SEAL: Duration = Duration::from_millis(2500);
/// Rounds that wait for one end between so long before it and a moment after.
const BEFORE_SEAL: Duration = Duration::from_millis(100);
/// A small head, so that shards write rows many times in a life.
const CONFIGURATION: &str = "store:\n  head: 16KiB\n";
const DUPLICATES: &str = "tributary_edge_requests_duplicate_total";

/// Runs one mode to its end, or until something is wrong.
pub async fn run(options: &Options, dir: &Path) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut run = Run::new(options, dir)?;
    let ended = run.rounds(options).await;
    run.report.took = began.elapsed();
    run.finish(dir, ended.is_err()).await?;
    ended?;
    Ok(run.report)
}

/// The server first: it must be gone before its disk is.
struct Run {
    server: Server,
    place: Place,
    crew: Option<Crew>,
    judge: Judge,
    rng: StdRng,
    at_least_once: bool,
    /// What this life of the product recognized, when it was asked last.
    duplicates: Option<u64>,
    report: Report,
}

impl Run {
    fn new(options: &Options, dir: &Path) -> anyhow::Result<Run> {
        let mut rng = StdRng::seed_from_u64(options.seed ^ options.mode as u64);
        let groups = Groups::new(&format!("chaos-{}-{:08x}", options.seed, rand::random::<u32>()));
        let place = Place::make(options, dir, rng.r#gen())?;
        let plant = match options.plant {
            Some(Plant::InProduct(name)) => Some(name.to_owned()),
            _ => None,
        };
        let (binary, log) = (options.binary.clone(), dir.join("server.log"));
        let config = dir.join("config.yaml");
        std::fs::write(&config, CONFIGURATION)?;
        let server = Server::new(binary, place.data(), log, plant)?.with_config(config);
        let crew = Some(Crew::new(options.clients, rng.r#gen(), &groups, !options.at_least_once));
        let judge = Judge::new(server.api_port(), groups);
        let report = Report { mode: options.mode.name(), seed: options.seed, ..Report::default() };
        let at_least_once = options.at_least_once;
        Ok(Run { server, place, crew, judge, rng, at_least_once, duplicates: None, report })
    }

    async fn rounds(&mut self, options: &Options) -> anyhow::Result<()> {
        let began = Instant::now();
        for number in 1..=options.rounds {
            self.report.rounds = number;
            let is_over = options.limit.is_some_and(|limit| began.elapsed() > limit);
            let is_last = is_over || number == options.rounds;
            let is_check = is_last || number % options.check_every == 0;
            let round = async {
                if is_check {
                    return self.check().await;
                }
                match options.mode {
                    Mode::Kill => kill::round(self).await,
                    Mode::Power => power::round(self).await,
                    Mode::Full => full::round(self).await,
                    Mode::Eio => eio::round(self).await,
                }
            };
            round.await.with_context(|| format!("{} round {number}", options.mode.name()))?;
            let wrong = self.crew()?.take_wrong();
            self.report.violations.extend(wrong);
            if is_check || !self.report.is_sound() {
                self.progress(number, options)?;
            }
            if is_last || !self.report.is_sound() {
                break;
            }
        }
        Ok(())
    }

    /// Everything sent is acked, then compared, in the life that took it.
    async fn check(&mut self) -> anyhow::Result<()> {
        if !self.begin().await? {
            return Ok(());
        }
        let load = self.take_crew()?.load(self.server.ports());
        self.pause(200, 600).await;
        self.crew = Some(load.stop().await?);
        self.drain().await?;
        let crew = self.crew()?;
        let acked = crew.acked();
        let tries = (crew.acked_tries(), crew.tried());
        (self.report.spans, self.report.cells) = (acked.spans(), acked.cells());
        let (least, most) = if self.at_least_once { tries } else { (acked.clone(), acked) };
        let bounds = Bounds { least, most };
        let verdict = self.judge.judge(&bounds).await.context("asking the product")?;
        self.report.take(verdict);
        self.report.checks += 1;
        self.note_duplicates().await;
        Ok(())
    }

    /// Has the product running and ready; false when it does not come up.
    async fn begin(&mut self) -> anyhow::Result<bool> {
        if self.server.is_running() {
            return Ok(true);
        }
        self.server.spawn()?;
        let ready = self.server.ready().await?;
        self.server.check_plant()?;
        match ready {
            Ok(took) => self.report.slowest_start = self.report.slowest_start.max(took),
            Err(not_ready) => {
                self.violate(not_ready.to_string());
                return Ok(false);
            }
        }
        if self.rng.gen_bool(0.7) {
            self.retry_first().await?;
        }
        Ok(true)
    }

    /// Nothing else is sent yet, so whatever the product recognizes it had on disk without an ack.
    async fn retry_first(&mut self) -> anyhow::Result<()> {
        let ports = self.server.ports();
        let waiting = self.crew()?.waiting();
        self.crew()?.retry(ports).await?;
        let answered = waiting - self.crew()?.waiting().min(waiting);
        self.report.retried_after_restart += answered as u64;
        if let Some(met) = self.server.counter(DUPLICATES).await {
            *self.report.met_on_disk.get_or_insert(0) += met as u64;
        }
        Ok(())
    }

    /// `kill -9`, whatever it is at. It must not have ended by itself.
    async fn kill(&mut self, between: impl FnOnce()) -> anyhow::Result<()> {
        if let Some(status) = self.server.kill(between).await? {
            let tail = self.server.log_tail();
            self.violate(format!("it ended by itself with {status}; its last words:\n{tail}"));
        }
        self.report.kills += 1;
        self.end_life();
        Ok(())
    }

    /// Before a kill, since the product's counters begin anew.
    async fn note_duplicates(&mut self) {
        if let Some(duplicates) = self.server.counter(DUPLICATES).await {
            self.duplicates = Some(duplicates as u64);
        }
    }

    fn end_life(&mut self) {
        if let Some(duplicates) = self.duplicates.take() {
            *self.report.duplicates.get_or_insert(0) += duplicates;
        }
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        let ports = self.server.ports();
        self.crew()?.drain(ports, DRAIN_LIMIT).await
    }

    /// A drawn moment of the fault, not a wait for a state.
    async fn pause(&mut self, from_ms: u64, to_ms: u64) {
        let drawn = Duration::from_millis(self.rng.gen_range(from_ms..=to_ms));
        tokio::time::sleep(drawn).await;
    }

    /// How long a round's load lasts: mostly short, and until about a seal where one is near.
    async fn pause_for_load(&mut self) {
        let to_seal = judge::until_seal();
        if to_seal < NEAR_SEAL && self.rng.gen_bool(0.5) {
            tokio::time::sleep(to_seal.saturating_sub(BEFORE_SEAL)).await;
            self.pause(0, 500).await;
        } else if self.rng.gen_bool(0.5) {
            self.pause(50, 400).await;
        } else {
            self.pause(400, 1500).await;
        }
    }

    fn violate(&mut self, what: String) {
        self.report.violations.push(what);
    }

    fn crew(&mut self) -> anyhow::Result<&mut Crew> {
        self.crew.as_mut().context("the clients are at work")
    }

    fn take_crew(&mut self) -> anyhow::Result<Crew> {
        self.crew.take().context("the clients are at work")
    }

    fn progress(&mut self, number: u64, options: &Options) -> anyhow::Result<()> {
        let (mode, rounds) = (options.mode.name(), options.rounds);
        let verdict = if self.report.is_sound() { "sound" } else { "BROKEN" };
        let seen = self.crew()?.seen();
        println!(
            "{mode}: round {number} of {rounds}: {verdict}; {} requests acked, {} of them after no answer, \
             refused {}, {} values compared",
            seen.acked, seen.acked_after_unanswered, seen.refused, self.report.values
        );
        Ok(())
    }

    async fn finish(&mut self, dir: &Path, failed: bool) -> anyhow::Result<()> {
        if let Some(disk) = self.place.disk() {
            disk.power().hold();
            let power = disk.power().clone();
            self.server.kill(|| power.release()).await?;
        } else {
            self.server.kill(|| ()).await?;
        }
        self.end_life();
        self.report.lives = self.server.lives;
        if let Some(crew) = &self.crew {
            self.report.requests = crew.seen();
        }
        let is_bad = failed || !self.report.is_sound();
        if let Some(disk) = self.place.disk() {
            self.report.disk = Some(disk.power().seen());
            disk.unmount().await?;
            if is_bad {
                disk.power().copy_out(&dir.join("disk-after"))?;
            }
        }
        if is_bad {
            let log = self.server.log().display();
            self.report.kept = Some(format!("{} (log: {log})", dir.display()));
        }
        Ok(())
    }
}
