//! What a run did and found, for people and for programs.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use crate::disk;
use crate::judge::Verdict;
use crate::load;

const SHOWN_DIFFERENCES: usize = 20;

#[derive(Debug, Default)]
pub struct Report {
    pub(crate) mode: &'static str,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    pub(crate) lives: u64,
    pub(crate) kills: u64,
    pub(crate) checks: u64,
    pub(crate) took: Duration,
    pub(crate) slowest_start: Duration,
    pub(crate) requests: load::Seen,
    pub(crate) spans: u64,
    pub(crate) cells: usize,
    pub(crate) values: u64,
    pub(crate) disk: Option<disk::Seen>,
    /// Requests without an answer that were sent again first thing after a restart.
    pub(crate) retried_after_restart: u64,
    /// How many of those the product had on disk; `None` where it does not say.
    pub(crate) met_on_disk: Option<u64>,
    /// Requests that the product recognized, as far as it could be asked before each kill.
    pub(crate) duplicates: Option<u64>,
    pub(crate) lost_spans: u64,
    pub(crate) surplus_spans: u64,
    pub(crate) differences: Vec<String>,
    pub(crate) more_differences: usize,
    /// What went wrong besides the sums.
    pub(crate) violations: Vec<String>,
    /// Queries' warnings, which change no verdict.
    pub(crate) warnings: Vec<String>,
    /// Where to look at what was left.
    pub(crate) kept: Option<String>,
}

impl Report {
    /// What `findings` tells.
    pub const FINDINGS: &str = "rounds | s | spans lost | too often | else";

    pub fn is_sound(&self) -> bool {
        self.differences.is_empty() && self.violations.is_empty()
    }

    pub(crate) fn take(&mut self, verdict: Verdict) {
        self.values += verdict.values;
        self.lost_spans += verdict.lost_spans;
        self.surplus_spans += verdict.surplus_spans;
        let all = verdict.differences.len();
        let shown = verdict.differences.iter().take(SHOWN_DIFFERENCES).map(ToString::to_string);
        self.differences.extend(shown);
        self.more_differences += all.saturating_sub(SHOWN_DIFFERENCES);
        for warning in verdict.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// In a table's cells.
    pub fn findings(&self) -> String {
        let Report { rounds, lost_spans, surplus_spans, violations, .. } = self;
        let (seconds, violations) = (self.took.as_secs(), violations.len());
        format!("{rounds} | {seconds} | {lost_spans} | {surplus_spans} | {violations}")
    }

    pub fn json(&self) -> Value {
        let requests = &self.requests;
        json!({
            "mode": self.mode, "seed": self.seed, "sound": self.is_sound(),
            "rounds": self.rounds, "lives": self.lives, "kills": self.kills,
            "cuts": self.disk.map(|disk| disk.cuts), "checks": self.checks,
            "seconds": self.took.as_secs_f64(), "slowest_start_seconds": self.slowest_start.as_secs_f64(),
            "requests_acked": requests.acked, "tries": requests.tries, "refused": requests.refused,
            "unanswered": requests.unanswered, "hung_up": requests.hung_up, "twice": requests.twice,
            "again": requests.again, "partly_rejected": requests.partly_rejected,
            "acked_after_unanswered": requests.acked_after_unanswered,
            "retried_after_restart": self.retried_after_restart, "met_on_disk": self.met_on_disk,
            "duplicates": self.duplicates, "spans": self.spans, "cells": self.cells,
            "values_compared": self.values, "lost_spans": self.lost_spans,
            "surplus_spans": self.surplus_spans, "differences": self.differences,
            "more_differences": self.more_differences, "violations": self.violations,
            "warnings": self.warnings, "kept": self.kept,
        })
    }

    /// One line of the summary's table.
    fn row(&self) -> String {
        let verdict = if self.is_sound() { "sound" } else { "**BROKEN**" };
        let Report { mode, rounds, lives, checks, spans, values, .. } = self;
        let (acked, sent_again) = (self.requests.acked, self.requests.acked_after_unanswered);
        let cuts = self.disk.map_or("–".into(), |disk| disk.cuts.to_string());
        let (lost, surplus) = (self.lost_spans, self.surplus_spans);
        let seconds = self.took.as_secs();
        format!(
            "| {mode} | {verdict} | {rounds} | {lives} | {cuts} | {checks} | {acked} | {spans} | \
             {sent_again} | {values} | {lost} | {surplus} | {seconds} |"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = &self.requests;
        let said = |value: Option<u64>| match value {
            Some(value) => value.to_string(),
            None => "not said by the product".into(),
        };
        writeln!(f, "### {}, seed {}", self.mode, self.seed)?;
        writeln!(f)?;
        writeln!(
            f,
            "- {} rounds, {} lives, {} kills, {} checks in {:.0} s; slowest start {:.2} s",
            self.rounds,
            self.lives,
            self.kills,
            self.checks,
            self.took.as_secs_f64(),
            self.slowest_start.as_secs_f64()
        )?;
        if let Some(disk) = &self.disk {
            writeln!(
                f,
                "- the disk: {} power cuts, {} of them at a step of the disk; {} writes (without room: {}), {} \
                 syncs of files (failed: {}), {} of folders",
                disk.cuts,
                disk.sprung,
                disk.writes,
                disk.refused_writes,
                disk.syncs,
                disk.failed_syncs,
                disk.folder_syncs
            )?;
        }
        writeln!(
            f,
            "- {} requests acked with {} spans in {} cells (group, window), {} tries; refused {}, \
             unanswered {}, hung up on {}, sent twice at a time {}, sent again after the ack {}, partly \
             rejected {}",
            requests.acked,
            self.spans,
            self.cells,
            requests.tries,
            requests.refused,
            requests.unanswered,
            requests.hung_up,
            requests.twice,
            requests.again,
            requests.partly_rejected
        )?;
        writeln!(
            f,
            "- {} requests were acked after a try without an answer; {} were sent again first thing \
             after a restart, of which the product had on disk: {}; it recognized in all: {}",
            requests.acked_after_unanswered,
            self.retried_after_restart,
            said(self.met_on_disk),
            said(self.duplicates)
        )?;
        writeln!(
            f,
            "- {} values compared; spans lost: {}, counted too often: {}",
            self.values, self.lost_spans, self.surplus_spans
        )?;
        for warning in &self.warnings {
            writeln!(f, "- a query warned: {warning}")?;
        }
        for violation in &self.violations {
            writeln!(f, "- VIOLATION: {violation}")?;
        }
        for difference in &self.differences {
            writeln!(f, "- DIFFERENCE: {difference}")?;
        }
        if self.more_differences > 0 {
            writeln!(f, "- and {} more differences", self.more_differences)?;
        }
        if let Some(kept) = &self.kept {
            writeln!(f, "- left for a look: {kept}")?;
        }
        Ok(())
    }
}

/// The table of several runs.
pub fn summary(reports: &[Report]) -> String {
    let mut text = String::from(
        "| mode | verdict | rounds | lives | cuts | checks | requests acked | spans | acked after no answer \
         | values compared | spans lost | too often | s |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for report in reports {
        writeln!(text, "{}", report.row()).expect("writing to a string does not fail");
    }
    text
}
