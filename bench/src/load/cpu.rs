//! What this process has used of the processors, by Linux's own count.

use anyhow::Context;

/// Of `utime` and `stime`: the same on every Linux that user programs see.
const TICKS_A_SECOND: f64 = 100.0;

pub(super) fn seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("CPU time is read from /proc")?;
    // The second field may hold anything, also blanks: what counts begins behind its bracket.
    let fields = stat.rsplit_once(')').context("/proc/self/stat has another form")?.1;
    let ticks: f64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().unwrap_or_default())
        .sum();
    Ok(ticks / TICKS_A_SECOND)
}
