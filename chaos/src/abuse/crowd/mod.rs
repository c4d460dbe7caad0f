//! Those who mean harm, in a process of their own.
//!
//! ```text
//! parent                      crowd
//!   │ starts it                 │ makes its bodies
//!   │ ◀──────── "ready" ────────┤
//!   ├───────────  "go" ───────▶ │ every kind at its rate
//!   ├───────────  "stop" ─────▶ │ hangs up on everything
//!   │ ◀─ what it was answered ──┤   … and again, until its input ends
//! ```

mod answers;
mod bodies;
mod frames;
mod groups;
mod handle;
mod heads;
mod least;
mod link;
mod resets;
mod senders;
mod slow;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::task::JoinSet;

use self::answers::Answers;
pub(super) use self::answers::Counted;
pub(super) use self::answers::MOST_OPEN;
use self::bodies::Bodies;
pub(super) use self::handle::Crowd;
pub(super) use self::least::shortfalls;
use crate::abuse::Kind;
use crate::abuse::process;
use crate::load::Ports;

/// The kernel gives such a process a ninth of what it gives others.
const NICE: i32 = 10;

/// What the parent says on the command line.
#[derive(Clone, Debug)]
pub struct CrowdOptions {
    pub kinds: Vec<Kind>,
    pub grpc_port: u16,
    pub http_port: u16,
    /// New groups a second.
    pub groups_rate: u64,
}

/// The crowd's own process, until its input ends.
pub async fn join(options: CrowdOptions) -> anyhow::Result<()> {
    rustix::process::nice(NICE).context("making room for others")?;
    process::allow_open_files()?;
    let bodies = Bodies::make(&options.kinds);
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let next_group = Arc::new(AtomicU64::new(0));
    println!("ready");
    while next(&mut orders, "go").await? {
        let answers = Answers::default();
        let mut crowd = JoinSet::new();
        gather(&options, &bodies, &next_group, &answers, &mut crowd);
        let go_on = next(&mut orders, "stop").await?;
        crowd.shutdown().await;
        if !go_on {
            break;
        }
        println!("{}", answers.line());
    }
    Ok(())
}

/// False when the input ends.
async fn next(orders: &mut Lines<BufReader<Stdin>>, expected: &str) -> anyhow::Result<bool> {
    match orders.next_line().await? {
        Some(line) if line == expected => Ok(true),
        Some(line) => anyhow::bail!("{expected:?} was to come, and not {line:?}"),
        None => Ok(false),
    }
}

fn gather(
    options: &CrowdOptions,
    bodies: &Bodies,
    next_group: &Arc<AtomicU64>,
    answers: &Answers,
    crowd: &mut JoinSet<()>,
) {
    let ports = Ports { grpc: options.grpc_port, http: options.http_port };
    for kind in &options.kinds {
        let answers = answers.of(*kind);
        match kind {
            Kind::Slow => slow::join(ports, &answers, crowd),
            Kind::Bombs => senders::join(ports, senders::BOMBS, &bodies.bombs, &answers, crowd),
            Kind::Deep => senders::join(ports, senders::DEEP, &bodies.deep, &answers, crowd),
            Kind::Wide => senders::join(ports, senders::WIDE, &bodies.wide, &answers, crowd),
            Kind::Heads => heads::join(ports, &answers, crowd),
            Kind::Resets => resets::join(ports, &answers, crowd),
            Kind::Groups => {
                groups::join(ports, options.groups_rate, next_group, &answers, crowd);
            }
        }
    }
}
