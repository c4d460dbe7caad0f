//! A ceiling of memory, a steady client, and clients who mean harm.
//!
//! ```text
//!  healthy: 512 spans each, in time ──▶ the product under its ceiling ◀── crowd: a process of its own,
//!     │ latency from the due moment        │ VmRSS, VmHWM, CPU              at a lower priority
//!     ▼                                    ▼
//!   rounds: quiet, abuse, quiet, abuse … ─▶ report: the medians of both, the highest memory, exact sums
//! ```
//!
//! The crowd has a process of its own, so that it can be nice to the machine: what it keeps from the healthy
//! client is to be the product's doing, not a want of cores. Its bodies are made before it begins, and it sends
//! at the rates that `crowd` names.

mod crowd;
mod healthy;
mod latency;
mod options;
mod process;
mod report;
mod rounds;

pub use self::crowd::{CrowdOptions, join};
pub use self::options::{Kind, Options};
pub use self::report::Report;
pub use self::rounds::run;
