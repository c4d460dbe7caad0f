//! `tributary-bench load`: sends spans to a receiver and says, in one line of JSON, what was acknowledged.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tributary_bench::load::{Options, prepare};

#[derive(Parser)]
#[command(name = "tributary-bench", version, about = "Load for OTLP receivers")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends spans and prints what was acknowledged
    Load(Options),
}

fn main() -> anyhow::Result<ExitCode> {
    let Command::Load(options) = Arguments::parse().command;
    // One thread: the receiver has the rest of the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wait = options.wait;
    let report = runtime.block_on(async {
        let prepared = prepare(options).await?;
        if wait {
            await_line()?;
        }
        prepared.run().await
    })?;
    println!("{}", serde_json::to_string(&report)?);
    let sound = report.failed_requests + report.unknown_requests + report.rejected_spans == 0;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nothing else is under way: the connections may wait too.
fn await_line() -> anyhow::Result<()> {
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
