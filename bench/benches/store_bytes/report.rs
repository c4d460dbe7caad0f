//! The report as Markdown.

use std::collections::BTreeMap;

use tributary_bench::series::Shape;

use super::Report;
use super::sizes::Sizes;

pub(crate) fn print(shape: &Shape, report: &Report) {
    let (load, feeding) = (&report.load, &report.feeding);
    println!(
        "{} groups × {} h × 15 s, {:?}, seed {}: {} (group, window) pairs with calls ({:.1} %), {:.1} calls each, \
         {:.1} of 17 buckets used, most of them in {:.0} %",
        shape.groups,
        shape.hours,
        shape.variant,
        shape.seed,
        load.filled,
        100.0 * load.filled_share,
        load.calls,
        load.used_buckets,
        100.0 * load.mostly_used_share
    );
    println!(
        "{} slices of {} windows, {:.1} B a pair; fed in {:.1} s, {:.2} CPU-s a million pairs; {} read back equal\n",
        feeding.slices,
        report.flush_windows,
        feeding.slice_bytes as f64 / load.filled as f64,
        feeding.seconds,
        1e6 * feeding.store_cpu_seconds / load.filled as f64,
        report.read_back
    );
    println!("| bytes | whole folder | by length | a sample | a pair |\n|---|---|---|---|---|");
    row("at the end of the feed", &report.fed, report);
    row("idle, stopped", &report.stopped, report);
    println!("\n| stopped, bytes | all | a sample | a pair |\n|---|---|---|---|");
    parts("files", &report.stopped.kinds, report);
    parts("family", &report.stopped.families, report);
}

fn row(when: &str, sizes: &Sizes, report: &Report) {
    let (sample, pair) = each(sizes.taken, report);
    println!("| {when} | {} | {} | {sample:.3} | {pair:.2} |", sizes.taken, sizes.long);
}

fn parts(what: &str, parts: &BTreeMap<String, u64>, report: &Report) {
    for (name, bytes) in parts {
        let (sample, pair) = each(*bytes, report);
        println!("| {what} {name} | {bytes} | {sample:.3} | {pair:.2} |");
    }
}

fn each(bytes: u64, report: &Report) -> (f64, f64) {
    let bytes = bytes as f64;
    (bytes / report.load.samples as f64, bytes / report.load.filled as f64)
}
