//! What the operating system says of the process, under the names that every Prometheus client
//! library uses. Read from `/proc`; where there is none, these metrics are missing.

use std::fs;

use tributary_proto::{Metric, MetricValue};

/// `/proc` counts CPU time in these; the kernel's interface fixes it, whatever its own clock runs at.
const TICKS_PER_SECOND: f64 = 100.0;

pub fn process() -> Vec<Metric> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let gauge: fn(f64) -> MetricValue = MetricValue::Gauge;
    [
        ("process_resident_memory_bytes", "Memory in RAM.", gauge, bytes(&status, "VmRSS:")),
        ("process_virtual_memory_bytes", "Address space in use.", gauge, bytes(&status, "VmSize:")),
        ("process_threads", "Threads.", gauge, field(&status, "Threads:")),
        ("process_open_fds", "Open file descriptors.", gauge, open),
        (
            "process_cpu_seconds_total",
            "CPU time, user and system.",
            MetricValue::Counter,
            cpu_seconds(&stat),
        ),
    ]
    .into_iter()
    .filter_map(|(name, help, kind, value)| {
        Some(Metric { name, help, labels: Vec::new(), value: kind(value?) })
    })
    .collect()
}

fn bytes(status: &str, key: &str) -> Option<f64> {
    field(status, key).map(|kib| kib * 1024.0)
}

fn field(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The command's name comes before, in brackets, and may hold blanks and brackets itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_an_odd_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn memory_is_stated_in_bytes() {
        assert_eq!(bytes("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12_288.0));
    }
}
