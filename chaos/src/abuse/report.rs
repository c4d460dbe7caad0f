//! What was measured, for people and for programs, and what it says.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::crowd::{MOST_OPEN, shortfalls};
use super::healthy::Seen;
use super::latency::{Latency, median};
use super::options::{Kind, Options};
use super::process::Memory;
use super::rounds::Half;
use crate::judge::Verdict;

/// What abuse may cost a healthy client in any case.
const ALLOWED_P99: Duration = Duration::from_millis(50);
const SHOWN_DIFFERENCES: usize = 20;

#[derive(Debug)]
pub struct Report {
    kinds: Vec<Kind>,
    groups_rate: u64,
    half: Duration,
    ceiling_mib: u64,
    halves: Vec<Half>,
    pub(super) healthy: Seen,
    pub(super) verdict: Verdict,
    /// In KiB, with what came between and after the halves.
    peak: u64,
    pub(super) peak_with_queries: u64,
}

const HEAD: &str = "| round | | requests | tries in vain | p50 ms | p99 ms | max ms | RSS peak MiB | of it files | edge CPU s | abusers' CPU s |\n\
    |---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

impl Report {
    pub(super) fn new(options: &Options) -> Report {
        println!("{HEAD}");
        Report {
            kinds: options.kinds.clone(),
            groups_rate: options.groups_rate(),
            half: options.half,
            ceiling_mib: options.ceiling_mib,
            halves: Vec::new(),
            healthy: Seen::default(),
            verdict: Verdict::default(),
            peak: 0,
            peak_with_queries: 0,
        }
    }

    /// Answers its row of the table.
    pub(super) fn take(&mut self, half: Half) -> String {
        let row = half.row();
        self.peak = self.peak.max(half.memory.peak);
        self.halves.push(half);
        row
    }

    pub(super) fn note_peak(&mut self, memory: Memory) {
        self.peak = self.peak.max(memory.peak);
    }

    pub fn is_sound(&self) -> bool {
        self.is_below_ceiling()
            && self.is_in_time()
            && self.is_exact()
            && self.shortfalls().is_empty()
    }

    fn is_below_ceiling(&self) -> bool {
        self.peak > 0 && self.peak < self.ceiling_mib * 1024
    }

    fn is_in_time(&self) -> bool {
        match (self.p99(false), self.p99(true), self.allowed()) {
            (Some(_), Some(with), Some(allowed)) => with <= allowed,
            _ => false,
        }
    }

    /// Abuse that did not take place as it was meant to.
    fn shortfalls(&self) -> Vec<String> {
        let mut all = Vec::new();
        for half in self.halves.iter().filter(|half| half.is_abuse) {
            for kind in &self.kinds {
                let counted = half.answers.get(kind.name());
                let short = shortfalls(*kind, self.half, self.groups_rate, counted);
                all.extend(short.into_iter().map(|what| format!("round {}: {what}", half.number)));
            }
        }
        all
    }

    /// Every request of the healthy client counts once and as it is.
    fn is_exact(&self) -> bool {
        self.healthy.wrong.is_empty()
            && self.verdict.differences.is_empty()
            && self.verdict.values > 0
    }

    /// The median over the halves with abuse, or without.
    fn p99(&self, is_abuse: bool) -> Option<Duration> {
        let halves = self.halves.iter().filter(|half| half.is_abuse == is_abuse);
        median(halves.map(|half| half.latency.p99))
    }

    fn allowed(&self) -> Option<Duration> {
        Some((2 * self.p99(false)?).max(ALLOWED_P99))
    }

    pub fn json(&self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let half = |half: &Half| {
            let Latency { samples, p50, p99, max } = half.latency;
            json!({
                "round": half.number, "abuse": half.is_abuse, "requests": samples,
                "tries_in_vain": half.in_vain,
                "p50_ms": ms(p50), "p99_ms": ms(p99), "max_ms": ms(max),
                "rss_peak_kib": half.memory.peak, "rss_file_kib": half.memory.file,
                "edge_cpu_seconds": half.edge_cpu.as_secs_f64(),
                "crowd_cpu_seconds": half.crowd_cpu.as_secs_f64(), "answers": half.answers,
            })
        };
        json!({
            "sound": self.is_sound(), "kinds": self.names(), "shortfalls": self.shortfalls(),
            "ceiling_mib": self.ceiling_mib,
            "half_seconds": self.half.as_secs_f64(), "rss_peak_kib": self.peak,
            "rss_peak_with_queries_kib": self.peak_with_queries,
            "p99_without_ms": self.p99(false).map(ms), "p99_with_ms": self.p99(true).map(ms),
            "p99_allowed_ms": self.allowed().map(ms), "acked": self.healthy.acked,
            "refused": self.healthy.refused, "unanswered": self.healthy.unanswered,
            "wrong": self.healthy.wrong, "values_compared": self.verdict.values,
            "lost_spans": self.verdict.lost_spans, "surplus_spans": self.verdict.surplus_spans,
            "halves": self.halves.iter().map(half).collect::<Vec<_>>(),
        })
    }

    fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.name()).collect()
    }

    /// What the crowd was answered in all rounds.
    fn answers(&self) -> String {
        let mut lines = String::new();
        for kind in self.names() {
            let mut all = std::collections::BTreeMap::<&str, u64>::new();
            let of_kind = self.halves.iter().filter_map(|half| half.answers.get(kind));
            for (answer, times) in of_kind.flatten() {
                let of_all = all.entry(answer).or_default();
                *of_all = if answer == MOST_OPEN { (*times).max(*of_all) } else { *of_all + times };
            }
            let told: Vec<_> =
                all.iter().map(|(answer, times)| format!("{answer}: {times}")).collect();
            writeln!(lines, "- {kind}: {}", told.join(", "))
                .expect("a string takes what is written");
        }
        lines
    }
}

impl Half {
    fn row(&self) -> String {
        let Latency { samples, p50, p99, max } = self.latency;
        let kind = if self.is_abuse { "abuse" } else { "quiet" };
        let [p50, p99, max] = [p50, p99, max].map(|time| time.as_secs_f64() * 1000.0);
        let [peak, file] = [self.memory.peak, self.memory.file].map(|kib| kib as f64 / 1024.0);
        format!(
            "| {} | {kind} | {samples} | {} | {p50:.1} | {p99:.1} | {max:.1} | {peak:.1} | {file:.1} | {:.2} | {:.2} |",
            self.number,
            self.in_vain,
            self.edge_cpu.as_secs_f64(),
            self.crowd_cpu.as_secs_f64(),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |is_good: bool| if is_good { "holds" } else { "**BROKEN**" };
        let mib = |kib: u64| kib as f64 / 1024.0;
        let ms = |time: Option<Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0);
        writeln!(f, "### abuse: {}", self.names().join(", "))?;
        writeln!(f, "\nHalves of {} s, interleaved.\n\n{HEAD}", self.half.as_secs_f64())?;
        for half in &self.halves {
            writeln!(f, "{}", half.row())?;
        }
        writeln!(
            f,
            "\nWhat the abusers were answered, all rounds together:\n\n{}",
            self.answers()
        )?;
        writeln!(
            f,
            "- memory {}: RSS was at most {:.1} MiB (VmHWM), the ceiling is {} MiB; with the judge's \
             queries {:.1} MiB",
            verdict(self.is_below_ceiling()),
            mib(self.peak),
            self.ceiling_mib,
            mib(self.peak_with_queries)
        )?;
        writeln!(
            f,
            "- latency {}: the healthy client's p99 is {:.1} ms with abuse, {:.1} ms without; allowed are \
             {:.1} ms (medians of the rounds)",
            verdict(self.is_in_time()),
            ms(self.p99(true)),
            ms(self.p99(false)),
            ms(self.allowed())
        )?;
        let Seen { acked, refused, unanswered, .. } = &self.healthy;
        writeln!(
            f,
            "- sums {}: {acked} healthy requests acked (tries refused {refused}, unanswered {unanswered}); \
             {} values compared, spans lost {}, counted too often {}",
            verdict(self.is_exact()),
            self.verdict.values,
            self.verdict.lost_spans,
            self.verdict.surplus_spans
        )?;
        let shortfalls = self.shortfalls();
        writeln!(
            f,
            "- abuse {}: each kind did in each half what it has to do at the least",
            verdict(shortfalls.is_empty())
        )?;
        for short in shortfalls {
            writeln!(f, "- TOO LITTLE: {short}")?;
        }
        for wrong in &self.healthy.wrong {
            writeln!(f, "- WRONG: {wrong}")?;
        }
        for difference in self.verdict.differences.iter().take(SHOWN_DIFFERENCES) {
            writeln!(f, "- DIFFERENCE: {difference}")?;
        }
        for warning in &self.verdict.warnings {
            writeln!(f, "- a query warned: {warning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn half(is_abuse: bool, answers: &[(&str, u64)]) -> Half {
        let answers = answers.iter().map(|(said, times)| ((*said).to_owned(), *times));
        let memory = Memory { peak: 1024, ..Memory::default() };
        Half {
            number: 1,
            is_abuse,
            latency: Latency::default(),
            in_vain: 0,
            memory,
            edge_cpu: Duration::ZERO,
            crowd_cpu: Duration::ZERO,
            answers: BTreeMap::from([(Kind::Deep.name().to_owned(), answers.collect())]),
        }
    }

    fn is_sound(answers: &[(&str, u64)]) -> bool {
        let options = Options {
            binary: "tributary".into(),
            kinds: vec![Kind::Deep],
            rounds: 1,
            half: Duration::from_secs(10),
            ceiling_mib: 256,
            groups: 0,
            seed: 1,
        };
        let mut report = Report::new(&options);
        report.take(half(false, &[]));
        report.take(half(true, answers));
        report.verdict.values = 1;
        report.is_sound()
    }

    #[test]
    fn a_run_whose_abuse_did_not_take_place_is_not_sound() {
        assert!(is_sound(&[("HTTP 400", 200)]));
        assert!(!is_sound(&[("HTTP 400", 2)]));
        assert!(!is_sound(&[]));
    }
}
