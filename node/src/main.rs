//! `tributary`: one binary, its role is the first argument.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tributary_node::dev;

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
}

fn main() -> ExitCode {
    let Role::Dev(args) = Cli::parse().role;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let options = dev::Options {
        data: args.data,
        demo: args.demo.then_some(args.demo_seed),
        port_offset: args.port_offset,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(dev::run(options));
            // Whatever still blocks has nothing left to lose: all that was acked is on disk.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(anyhow::anyhow!("the runtime did not start: {error}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            ExitCode::FAILURE
        }
    }
}
