//! The traffic of a small shop: ten services that call each other, with errors and slow tails.
//!
//! - `shop`: what one visit to the shop looks like, as spans. Pure, from a seed.
//! - [`Traffic`]: sends visits to an edge at a steady rate, over OTLP like anybody else.

mod shop;
mod traffic;

pub use traffic::Traffic;

/// Where the shop runs.
pub const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
