//! Two edges and a core in one deterministic world.
//!
//! ```text
//!  clients ─▶ edge north ─┐   wire: delays, losses,      ┌▶ core: Store on its disk
//!          ─▶ edge south ─┴─▶ repeats that come late ────┘
//!                │                                          │
//!             its disk                                   its disk
//!  oracle ◀─ what was sent and acked      what a View or a query says ─▶ invariants
//! ```
//!
//! What runs is the code of production: ingest, journal, seals, slices, shards, PromQL. Time, chance
//! and the network are the simulator's, disks are the memory twin of `store`'s seam. Everything that
//! happens goes into a trace; a seed gives one trace, in every process.
//!
//! Not here: OTLP's receivers and RocksDB, which have tests on real sockets and real files.

#![cfg(madsim)]

mod clients;
mod clock;
mod cluster;
mod disk;
mod execution;
mod invariants;
mod oracle;
mod plant;
mod scenarios;
mod trace;
mod traffic;
mod wire;

pub use execution::{Outcome, run};
pub use plant::{Course, Plant};
