//! Each seed in two processes of its own, which must tell the same story.
//!
//! A process is the only place where nothing is shared: addresses, hash keys and thread locals differ
//! between two of them, so whatever of these leaks into the simulation shows as two trace hashes.

use std::io::Write as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use tributary_sim::{Course, Outcome, Plant};

use crate::arguments::Arguments;
use crate::minima::Happened;

/// One seed, here. The last line is the trace's hash and the verdict.
pub(crate) fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    println!("seed {seed}");
    let plant = if arguments.unplanted { None } else { arguments.plants.first().copied() };
    let course = Course { plant, is_damaged: arguments.damaged };
    let outcome = tributary_sim::run(seed, course, arguments.print);
    let Outcome { trace, events, summary, .. } = &outcome;
    println!("{trace:016x} {events} events; {summary}; {}", outcome.verdict());
    // Nothing of the simulated world has to be taken down in order.
    let _ = std::io::stdout().flush();
    if outcome.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub(crate) fn many(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut good = true;
    if arguments.unplanted && !arguments.damaged {
        good &= holds(arguments, false)?;
    }
    if arguments.unplanted && (arguments.damaged || !arguments.plants.is_empty()) {
        good &= holds(arguments, true)?;
    }
    for plant in &arguments.plants {
        good &= catches(arguments, *plant)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether no seed breaks anything, and enough happened in them.
fn holds(arguments: &Arguments, is_damaged: bool) -> anyhow::Result<bool> {
    let course = Course { plant: None, is_damaged };
    let (name, flags) =
        if is_damaged { ("damage", "--damage") } else { ("crash and heal", "--plant none") };
    let began = Instant::now();
    let (mut failed, mut happened) = (Vec::new(), Happened::default());
    for seed in seeds(arguments) {
        let story = twice(seed, course, arguments.print)?;
        println!("seed {seed}: {}", story.last);
        happened.add(story.last.split("; ").nth(1).unwrap_or_default());
        if !story.is_good {
            failed.push(seed);
        }
    }
    println!(
        "{name}: {} seeds, {} failed {failed:?}, {:.1?}",
        arguments.seeds,
        failed.len(),
        began.elapsed()
    );
    for seed in &failed {
        println!("  again: make sim ARGS=\"--one {seed} {flags} --print\"");
    }
    let too_rare = happened.too_rare(is_damaged);
    too_rare.iter().for_each(|what| println!("  too little happened: {what}"));
    Ok(failed.is_empty() && too_rare.is_empty())
}

/// Whether one of the seeds catches the bug; the first that does is enough.
fn catches(arguments: &Arguments, plant: Plant) -> anyhow::Result<bool> {
    let began = Instant::now();
    let course = Course { plant: Some(plant), is_damaged: false };
    for seed in seeds(arguments) {
        let story = twice(seed, course, arguments.print)?;
        if story.panicked {
            println!("{}: seed {seed} {}", plant.name(), story.last);
        } else if !story.is_good {
            println!(
                "{}: caught by seed {seed} after {:.1?}: {}",
                plant.name(),
                began.elapsed(),
                story.last
            );
            return Ok(true);
        }
    }
    println!("{}: not caught by {} seeds", plant.name(), arguments.seeds);
    Ok(false)
}

fn seeds(arguments: &Arguments) -> std::ops::Range<u64> {
    arguments.start..arguments.start + arguments.seeds
}

struct Story {
    is_good: bool,
    /// Which says nothing of what the invariants see.
    panicked: bool,
    last: String,
}

fn twice(seed: u64, course: Course, print: bool) -> anyhow::Result<Story> {
    let children = [start(seed, course, print)?, start(seed, course, false)?];
    let [first, second] = children.map(finish);
    let (first, second) = (first?, second?);
    if first.last != second.last {
        bail!("seed {seed} is not deterministic:\n  {}\n  {}", first.last, second.last);
    }
    Ok(first)
}

fn start(seed: u64, course: Course, print: bool) -> anyhow::Result<Child> {
    let myself = std::env::current_exe().context("where this binary is")?;
    let mut command = Command::new(myself);
    command.args(["--one", &seed.to_string(), "--plant", course.plant.map_or("none", Plant::name)]);
    if course.is_damaged {
        command.arg("--damage");
    }
    if print {
        command.arg("--print");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("starting a process for one seed")
}

fn finish(child: Child) -> anyhow::Result<Story> {
    let output = child.wait_with_output().context("waiting for a seed's process")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = text.lines().collect();
    let panic = String::from_utf8_lossy(&output.stderr);
    let finished = lines.last().is_some_and(|line| line.contains(" events; "));
    let last = if finished {
        lines.pop().unwrap_or_default().to_owned()
    } else {
        let said = panic.lines().find(|line| !line.is_empty() && !line.starts_with("thread '"));
        format!("panicked: {}", said.unwrap_or("and said nothing"))
    };
    lines.iter().skip(1).for_each(|line| println!("{line}"));
    Ok(Story { is_good: output.status.success(), panicked: !finished, last })
}
