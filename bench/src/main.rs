//! - `tributary-bench load`: sends spans to a receiver and says, in one line of JSON, what was acknowledged.
//! - `tributary-bench series`: writes remote-write requests to its standard output, each behind its length as four
//!   bytes, the most significant first; then a length of 0 and one line of JSON on what was in them.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tributary_bench::load::{Options, prepare};
use tributary_bench::series::{Requests, Shape};

#[derive(Parser)]
#[command(name = "tributary-bench", version, about = "Load for OTLP receivers and for stores")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends spans and prints what was acknowledged
    Load(Options),
    /// Writes what a store of span metrics gets as Prometheus remote-write requests
    Series(SeriesOptions),
}

#[derive(Args)]
struct SeriesOptions {
    #[command(flatten)]
    shape: Shape,
    /// In one request
    #[arg(long, default_value_t = 8)]
    windows: usize,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Load(options) => load(options),
        Command::Series(options) => series(&options),
    }
}

fn series(options: &SeriesOptions) -> anyhow::Result<ExitCode> {
    options.shape.check()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut requests = Requests::of(&options.shape, options.windows);
    for request in requests.by_ref() {
        out.write_all(&u32::try_from(request.len())?.to_be_bytes())?;
        out.write_all(&request)?;
    }
    out.write_all(&0u32.to_be_bytes())?;
    serde_json::to_writer(&mut out, &requests.survey().summary())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn load(options: Options) -> anyhow::Result<ExitCode> {
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
