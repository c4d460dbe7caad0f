//! The tributary binary's parts: what wires the engines of the lower floors to sockets and signals.
//!
//! - [`dev`]: edge and core in one process, on loopback.
//! - [`api`]: the Prometheus HTTP API. [`web`]: the page at `/`.
//! - [`config`]: the file that it is told by. [`logs`]: what it says on standard error.
//! - [`scrape`]: the span metrics for someone else's Prometheus.
//! - [`health`], [`self_metrics`], [`probe`]: what a node says of itself. [`memory`]: what it uses.
//! - [`demo`]: a small shop's traffic.
//!
//! Later roles (edge, core, ctl) are wirings of the same parts.

pub mod api;
mod clock;
pub mod config;
pub mod demo;
pub mod dev;
mod escape;
pub mod health;
pub mod http;
pub mod logs;
pub mod memory;
pub mod probe;
pub mod scrape;
pub mod self_metrics;
pub mod web;

pub use clock::SystemClock;
