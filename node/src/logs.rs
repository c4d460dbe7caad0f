//! What the process says on standard error: lines for people, or one JSON object a line.
//!
//! A line in JSON holds `timestamp`, `level`, `target`, the event's fields beside them, and `message`. Panics are
//! told as such lines too, so that all of standard error reads as JSON from here on.

use std::io::{self, IsTerminal};

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;

use crate::config::{Format, Level, Log};

/// The environment's variable that wins over the configured level.
const FILTER: &str = "RUST_LOG";

/// Once a process.
pub fn start(log: &Log) -> Result<()> {
    let set = std::env::var(FILTER).ok();
    let filter = filter(log, set.as_deref())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log.format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => {
            std::panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(ToString::to_string);
                let reason = panic.payload_as_str().unwrap_or("no reason given");
                tracing::error!(place, reason, "a task panicked");
            }));
            lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .try_init()
        }
    };
    started.map_err(|error| anyhow!("logs did not start: {error}"))
}

fn filter(log: &Log, set: Option<&str>) -> Result<EnvFilter> {
    match set.filter(|set| !set.is_empty()) {
        Some(set) => EnvFilter::try_new(set).map_err(|error| {
            let wanted = "give levels, as in info or warn,tributary_edge=debug";
            anyhow!("{FILTER}={set} is not accepted ({error}); {wanted}")
        }),
        None => Ok(EnvFilter::new(configured(log.level))),
    }
}

/// Of libraries no more than `info`: in greater detail they may quote what clients send, credentials too.
fn configured(level: Level) -> String {
    match level {
        Level::Error | Level::Warn | Level::Info => level.word().to_owned(),
        Level::Debug | Level::Trace => format!("info,tributary={}", level.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_configured_level() {
        let log = Log { level: Level::Warn, ..Log::default() };
        assert_eq!(filter(&log, None).expect("is sound").to_string(), "warn");
        assert_eq!(filter(&log, Some("")).expect("is sound").to_string(), "warn");
        assert_eq!(filter(&log, Some("debug")).expect("is sound").to_string(), "debug");
    }

    #[test]
    fn details_are_told_of_tributary_alone() {
        assert_eq!(configured(Level::Debug), "info,tributary=debug");
        assert_eq!(configured(Level::Error), "error");
    }

    #[test]
    fn an_environment_that_is_no_filter_is_refused() {
        let told =
            filter(&Log::default(), Some("tributary=loud")).expect_err("no level").to_string();
        assert!(told.contains("RUST_LOG=tributary=loud"), "{told}");
    }
}
