//! What the kernel says of a process: its memory and its time on the cores.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Connections of the crowd, of the product, and a thousand besides.
const OPEN_FILES: u64 = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
}

/// In KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) resident: u64,
    pub(super) peak: u64,
    pub(super) anonymous: u64,
    pub(super) file: u64,
}

impl Process {
    pub(super) fn memory(self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let field = |name: &str| kib(name).with_context(|| format!("{path} has no {name}"));
        Ok(Memory {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
            anonymous: field("RssAnon:")?,
            file: field("RssFile:")?,
        })
    }

    /// From here on the peak is a new one.
    pub(super) fn forget_peak(self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.pid);
        std::fs::write(&path, "5").with_context(|| format!("writing {path}"))
    }

    /// Time on the cores, in the kernel and outside it.
    pub(super) fn cpu(self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.pid);
        let stat = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        // The name in front may hold anything, and ends with the last parenthesis.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks = ticks.sum::<Result<u64, _>>().with_context(|| format!("{path}: {stat}"))?;
        Ok(Duration::from_millis(ticks * 1000 / clock_ticks_per_second()))
    }
}

/// Looks at a process's memory again and again.
pub(super) struct Watch {
    seen: Arc<Mutex<Vec<(Instant, Memory)>>>,
    looking: JoinHandle<()>,
}

impl Watch {
    pub(super) fn begin(process: Process) -> Watch {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        let looking = tokio::spawn(async move {
            let mut due = tokio::time::interval(LOOK_EVERY);
            loop {
                due.tick().await;
                let Ok(memory) = process.memory() else { return };
                into.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), memory));
            }
        });
        Watch { seen, looking }
    }

    /// The largest of each since then.
    pub(super) fn most_since(&self, since: Instant) -> Memory {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.iter().filter(|(at, _)| *at >= since).map(|(_, memory)| memory);
        since.fold(Memory::default(), |most, memory| Memory {
            resident: most.resident.max(memory.resident),
            peak: most.peak.max(memory.peak),
            anonymous: most.anonymous.max(memory.anonymous),
            file: most.file.max(memory.file),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// Of this process, and of those that it starts.
pub(super) fn allow_open_files() -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < OPEN_FILES) {
        let wanted = maximum.map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
        anyhow::ensure!(
            wanted >= OPEN_FILES / 2,
            "a process may open {wanted} files here: raise the hard limit (ulimit -Hn) to {OPEN_FILES}"
        );
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_itself() {
        let this = Process { pid: std::process::id() };
        let memory = this.memory().unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident, "{memory:?}");
        let began = Instant::now();
        let mut sum = 0u64;
        while this.cpu().unwrap() < Duration::from_millis(30) {
            assert!(began.elapsed() < Duration::from_secs(60), "the time does not move");
            sum = std::hint::black_box(sum + 1);
        }
    }
}
