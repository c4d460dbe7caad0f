//! What this process has used of the processors, by Linux's own count.

use anyhow::Context;

/// Of `utime` and `stime`: the same on every Linux that user programs see.
const TICKS_A_SECOND: f64 = 100.0;

pub fn of_process() -> anyhow::Result<f64> {
    seconds("/proc/self/stat")
}

/// Of all threads but the one that asks. A runtime's tasks run on its workers, never on the thread that waits for
/// them in `block_on`.
pub fn of_other_threads() -> anyhow::Result<f64> {
    Ok(of_process()? - seconds("/proc/thread-self/stat")?)
}

fn seconds(path: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(path).context("CPU time is read from /proc")?;
    // The second field may hold anything, also blanks: what counts begins behind its bracket.
    let fields = stat.rsplit_once(')').with_context(|| format!("{path} has another form"))?.1;
    let fields = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(ticks as f64 / TICKS_A_SECOND)
}
