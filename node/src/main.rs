//! `tributary`: one binary, its role is the first argument.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tributary_node::config::{Config, Format};
use tributary_node::{dev, logs};

#[global_allocator]
static ALLOCATOR: tributary_node::memory::Counted = tributary_node::memory::Counted;

#[derive(Parser)]
#[command(version, about = "Span metrics for every region, answered from one place")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Edge and core in one process, on loopback: to try, to develop against
    Dev(DevArgs),
    /// Reads a configuration file and says what is wrong with it
    CheckConfig {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(clap::Args)]
struct DevArgs {
    /// Where everything is kept; made when it is not there
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Plays the traffic of a small shop from two further edges
    #[arg(long)]
    demo: bool,
    /// Seed of the demo's traffic
    #[arg(long, value_name = "N", default_value_t = 1, requires = "demo")]
    demo_seed: u64,
    /// Added to every port
    #[arg(long, value_name = "N", default_value_t = 0)]
    port_offset: u16,
    /// A configuration file: docs/configuration.md has its fields
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the whole configuration, with the defaults of what the file leaves out, and ends
    #[arg(long)]
    print_config: bool,
    /// Of the log on standard error: text or json; wins over the file
    #[arg(long, value_name = "FORMAT", env = "TRIBUTARY_LOG_FORMAT")]
    log_format: Option<Format>,
}

fn main() -> ExitCode {
    let ended = match Cli::parse().role {
        Role::Dev(args) => dev(args),
        Role::CheckConfig { file } => check_config(&file),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("tributary: {error:#}");
        ExitCode::FAILURE
    })
}

fn check_config(file: &Path) -> Result<ExitCode> {
    Config::load(file)?;
    println!("{} is sound", file.display());
    Ok(ExitCode::SUCCESS)
}

/// In a build for `make chaos-plants` alone.
#[cfg(feature = "plants")]
fn plant_a_bug() -> Result<()> {
    const PLANT: &str = "TRIBUTARY_PLANT";
    let Some(name) = std::env::var_os(PLANT) else { return Ok(()) };
    let name = name.to_string_lossy();
    tributary_store::plants::sow(&name).with_context(|| format!("{PLANT} is set"))?;
    tracing::warn!(plant = %name, "A BUG IS PLANTED ON PURPOSE: this process loses or doubles spans");
    Ok(())
}

fn dev(args: DevArgs) -> Result<ExitCode> {
    let mut config = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    config.log.format = args.log_format.unwrap_or(config.log.format);
    if args.print_config {
        print!("{}", config.page());
        return Ok(ExitCode::SUCCESS);
    }
    logs::start(&config.log)?;
    #[cfg(feature = "plants")]
    plant_a_bug()?;
    let format = config.log.format;
    let options = dev::Options {
        data: args.data,
        demo: args.demo.then_some(args.demo_seed),
        port_offset: args.port_offset,
        config,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime did not start")?;
    let ended = runtime.block_on(dev::run(options));
    // Whatever still blocks has nothing left to lose: all that was acked is on disk.
    runtime.shutdown_background();
    match (ended, format) {
        (Ok(()), _) => Ok(ExitCode::SUCCESS),
        (Err(error), Format::Text) => Err(error),
        // The last line is as all before it were.
        (Err(error), Format::Json) => {
            let error = format!("{error:#}");
            tracing::error!(error, "tributary has failed");
            Ok(ExitCode::FAILURE)
        }
    }
}
