//! What the benchmarks share: spans like those of real services, what is counted of them, and a sender that is
//! cheap enough to run beside what it measures.
//!
//! - [`spans`] makes OTLP trace requests and tells, by its own arithmetic, what must come out of them.
//! - [`load`] sends them over loopback and counts what was acknowledged.
//! - [`series`] makes what is counted of spans, for stores, and tells what they must answer.
//! - [`cpu`] tells what a process used.
//!
//! Nothing here uses the code under test: a mistake in it cannot hide in both.

pub mod cpu;
pub mod load;
mod rng;
pub mod series;
pub mod spans;
