//! `tributary-chaos run`, `tributary-chaos plants` and `tributary-chaos abuse`.

mod arguments;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tributary_chaos::abuse;
use tributary_chaos::options::{Mode, Options};
use tributary_chaos::plants::{self, Planted};
use tributary_chaos::report::{Report, summary};
use tributary_chaos::rounds;

use crate::arguments::{AbuseArguments, Arguments, Common, PlantsArguments, RunArguments, Task};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(until_a_signal(async {
        match arguments.task {
            Task::Run(task) => run(&task).await,
            Task::Plants(task) => run_plants(&task).await,
            Task::Abuse(task) => run_abuse(&task).await,
            Task::Crowd(task) => abuse::join(task.options()).await.map(|()| true),
        }
    }));
    Ok(if ended? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A signal drops what runs, so that its process and its mounts go too.
async fn until_a_signal(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = work => ended,
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn run(task: &RunArguments) -> anyhow::Result<bool> {
    let common = &task.common;
    let mut reports = Vec::new();
    let modes = if task.modes.is_empty() { &Mode::ALL[..] } else { &task.modes };
    for mode in modes {
        let options = Options {
            mode: *mode,
            at_least_once: task.at_least_once,
            ..common.options(*mode, task.rounds)
        };
        println!("{}: {} rounds, seed {}", mode.name(), options.rounds, options.seed);
        reports.push(
            in_folder(common, mode.name(), async |dir| rounds::run(&options, dir).await).await?,
        );
    }
    println!();
    for report in &reports {
        println!("{report}");
    }
    println!("{}", summary(&reports));
    if let Some(path) = &common.setup.markdown {
        let parts: Vec<_> = reports.iter().map(ToString::to_string).collect();
        let text = format!("{}\n{}", summary(&reports), parts.join("\n"));
        write(path, text.as_bytes())?;
    }
    if let Some(path) = &common.setup.json {
        let all: Vec<_> = reports.iter().map(Report::json).collect();
        write(path, &serde_json::to_vec_pretty(&all)?)?;
    }
    Ok(reports.iter().all(Report::is_sound))
}

async fn run_plants(task: &PlantsArguments) -> anyhow::Result<bool> {
    let common = &task.common;
    let chosen: Vec<&Planted> = plants::ALL
        .iter()
        .filter(|planted| task.only.is_empty() || task.only.iter().any(|name| name == planted.name))
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "no plant is named so: {}", task.only.join(", "));
    let mut lines = Vec::new();
    let mut is_good = true;
    let mut modes: Vec<Mode> = chosen.iter().map(|planted| planted.mode).collect();
    modes.dedup();
    for mode in Mode::ALL.into_iter().filter(|mode| modes.contains(mode)) {
        let options = task.options(mode);
        println!("without a plant: {}, seed {}", mode.name(), options.seed);
        let report =
            in_folder(common, mode.name(), async |dir| rounds::run(&options, dir).await).await?;
        is_good &= report.is_sound();
        let verdict =
            if report.is_sound() { "sound, as it must be" } else { "BROKEN WITHOUT A PLANT" };
        lines.push(format!("| – | {} | {verdict} | {} |", mode.name(), report.findings()));
        if !report.is_sound() {
            println!("{report}");
        }
    }
    for planted in chosen {
        println!("planted: {}", planted.name);
        let options = task.options(planted.mode);
        let report =
            in_folder(common, planted.name, async |dir| planted.run(&options, dir).await).await?;
        is_good &= !report.is_sound();
        let verdict = if report.is_sound() { "**NOT CAUGHT**" } else { "caught" };
        let mode = planted.mode.name();
        lines.push(format!("| {} | {mode} | {verdict} | {} |", planted.name, report.findings()));
        println!("{report}");
    }
    println!("| plant | mode | verdict | {} |", Report::FINDINGS);
    println!("|---|---|---|---:|---:|---:|---:|---:|\n{}", lines.join("\n"));
    Ok(is_good)
}

async fn run_abuse(task: &AbuseArguments) -> anyhow::Result<bool> {
    let options = task.options();
    println!("abuse: {} rounds, seed {}", options.rounds, options.seed);
    let (mut folder, path) = folder(task.setup.dir.as_deref(), "abuse")?;
    let ended = abuse::run(&options, &path).await;
    if !ended.as_ref().is_ok_and(abuse::Report::is_sound) {
        folder.disable_cleanup(true);
    }
    let report = ended.with_context(|| format!("see {}", path.display()))?;
    println!("\n{report}");
    if let Some(path) = &task.setup.markdown {
        write(path, report.to_string().as_bytes())?;
    }
    if let Some(path) = &task.setup.json {
        write(path, &serde_json::to_vec_pretty(&report.json())?)?;
    }
    Ok(report.is_sound())
}

/// In a folder that goes when all was well.
async fn in_folder(
    common: &Common,
    name: &str,
    work: impl AsyncFnOnce(&Path) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let (mut folder, path) = folder(common.setup.dir.as_deref(), name)?;
    let ended = work(&path).await;
    if !ended.as_ref().is_ok_and(Report::is_sound) {
        folder.disable_cleanup(true);
    }
    ended.with_context(|| format!("see {}", path.display()))
}

fn folder(within: Option<&Path>, name: &str) -> anyhow::Result<(TempDir, PathBuf)> {
    let mut folder = tempfile::Builder::new();
    let prefix = format!("tributary-chaos-{name}-");
    let folder = folder.prefix(&prefix);
    let folder = match within {
        Some(dir) => folder.tempdir_in(dir)?,
        None => folder.tempdir()?,
    };
    let path = folder.path().to_owned();
    Ok((folder, path))
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
