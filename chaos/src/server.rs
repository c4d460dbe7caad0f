//! The binary under test as a process, on one data folder, through many lives.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::Rng;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::http_link;
use crate::load::Ports;

const STANDARD_PORTS: [u16; 6] = [4317, 4318, 9090, 8428, 8888, 13133];
const READY_LIMIT: Duration = Duration::from_secs(60);
const SCRAPE_LIMIT: Duration = Duration::from_millis(500);
/// The variable by which a build with planted bugs is told which to have.
const PLANT_VARIABLE: &str = "TRIBUTARY_PLANT";
const LOG_TAIL_LINES: usize = 12;

/// The product did not get ready.
#[derive(Debug, Error)]
pub(crate) enum NotReady {
    #[error("it ended with {status} instead of getting ready; its last words:\n{tail}")]
    Ended { status: ExitStatus, tail: String },
    #[error("it was not ready within {READY_LIMIT:?}; its last words:\n{tail}")]
    Late { tail: String },
}

pub(crate) struct Server {
    binary: PathBuf,
    data: PathBuf,
    log: PathBuf,
    offset: u16,
    plant: Option<String>,
    config: Option<PathBuf>,
    running: Option<Running>,
    pub(crate) lives: u64,
}

struct Running {
    child: Child,
    /// Until it is ready.
    banner: Option<Lines<BufReader<ChildStdout>>>,
    /// What it prints after that goes to the log.
    printed: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(
        binary: PathBuf,
        data: PathBuf,
        log: PathBuf,
        plant: Option<String>,
    ) -> anyhow::Result<Server> {
        // Not by the seed: two runs of one seed may go side by side.
        let offset = free_offset(&mut rand::thread_rng())?;
        Ok(Server { binary, data, log, offset, plant, config: None, running: None, lives: 0 })
    }

    /// Runs it by a configuration file.
    pub(crate) fn with_config(mut self, config: PathBuf) -> Server {
        self.config = Some(config);
        self
    }

    /// Of the process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports { grpc: 4317 + self.offset, http: 4318 + self.offset }
    }

    pub(crate) fn api_port(&self) -> u16 {
        9090 + self.offset
    }

    pub(crate) fn log(&self) -> &PathBuf {
        &self.log
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn spawn(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        let offset = OsString::from(self.offset.to_string());
        command.args(["dev".into(), "--data".into(), self.data.clone().into_os_string()]);
        command.args(["--port-offset".into(), offset]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        match &self.plant {
            Some(plant) => command.env(PLANT_VARIABLE, plant),
            None => command.env_remove(PLANT_VARIABLE),
        };
        let name = self.binary.display();
        let mut child = command.spawn().with_context(|| {
            format!("starting {name}: name the product's binary with --bin or TRIBUTARY_BIN")
        })?;
        let banner = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        self.lives += 1;
        self.running = Some(Running { child, banner, printed: None });
        Ok(())
    }

    /// Waits for the banner, which promises that every port answers. Says how long that took.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Result<Duration, NotReady>> {
        let began = Instant::now();
        let Some(running) = &mut self.running else { anyhow::bail!("nothing was started") };
        let Some(mut lines) = running.banner.take() else { return Ok(Ok(Duration::ZERO)) };
        let found = tokio::time::timeout(READY_LIMIT, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.to_lowercase().starts_with("tributary") {
                    return true;
                }
            }
            false
        })
        .await;
        match found {
            Ok(true) => {
                let log = self.log.clone();
                running.printed = Some(tokio::spawn(keep(lines, log)));
                Ok(Ok(began.elapsed()))
            }
            Ok(false) => {
                let status = running.child.wait().await?;
                self.running = None;
                Ok(Err(NotReady::Ended { status, tail: self.log_tail() }))
            }
            Err(_) => Ok(Err(NotReady::Late { tail: self.log_tail() })),
        }
    }

    /// A product that has no such bug, and one that refuses its name, must not pass for one that has it.
    pub(crate) fn check_plant(&self) -> anyhow::Result<()> {
        let Some(plant) = &self.plant else { return Ok(()) };
        let log = std::fs::read_to_string(&self.log)?;
        let is_told = log.contains(&format!("plant={plant}"));
        anyhow::ensure!(is_told, "{} has no bug {plant}", self.binary.display());
        Ok(())
    }

    /// `kill -9`. `Some` when it had ended by itself. `between` happens once the signal is under way.
    pub(crate) async fn kill(
        &mut self,
        between: impl FnOnce(),
    ) -> anyhow::Result<Option<ExitStatus>> {
        let Some(mut running) = self.running.take() else { return Ok(None) };
        let ended = running.child.try_wait()?;
        if ended.is_none() {
            running.child.start_kill()?;
        }
        between();
        running.child.wait().await?;
        if let Some(printed) = running.printed {
            printed.await?;
        }
        Ok(ended)
    }

    /// The sum of a self-metric over its labels; `None` where it is not there or nobody answers.
    pub(crate) async fn counter(&self, name: &str) -> Option<f64> {
        let page = http_link::get(8888 + self.offset, "/metrics");
        let (_, page) = tokio::time::timeout(SCRAPE_LIMIT, page).await.ok()?.ok()?;
        sum_of(&String::from_utf8_lossy(&page), name)
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

async fn keep(mut lines: Lines<BufReader<ChildStdout>>, log: PathBuf) {
    let Ok(mut log) = tokio::fs::OpenOptions::new().append(true).open(log).await else { return };
    while let Ok(Some(line)) = lines.next_line().await {
        // The log is for people; a line that it lacks changes no verdict.
        let _ = log.write_all(format!("{line}\n").as_bytes()).await;
    }
}

fn sum_of(page: &str, name: &str) -> Option<f64> {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        rest.split_whitespace().next()?.parse::<f64>().ok()
    });
    values.reduce(|sum, value| sum + value)
}

/// Below the range that the kernel hands out to clients, so that no outgoing connection sits there.
fn free_offset(rng: &mut impl Rng) -> anyhow::Result<u16> {
    let is_free = |offset: u16| {
        STANDARD_PORTS.iter().all(|port| TcpListener::bind(("127.0.0.1", port + offset)).is_ok())
    };
    (0..200)
        .map(|_| rng.gen_range(1000..19000))
        .find(|offset| is_free(*offset))
        .context("no free set of ports was found in 200 tries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_the_sum_over_its_labels() {
        let page =
            "# HELP a_total x\na_total{edge=\"x\"} 2\na_total{edge=\"y\"} 3\na_totals 7\nb 1\n";
        assert_eq!(sum_of(page, "a_total"), Some(5.0));
        assert_eq!(sum_of(page, "b"), Some(1.0));
        assert_eq!(sum_of(page, "c"), None);
    }
}
