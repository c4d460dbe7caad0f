//! Sends spans and counts what was acknowledged.
//!
//! ```text
//! Supply: prepared requests ─stamp─▶ worker ─▶ Channel (gRPC or HTTP) ─▶ the receiver
//!     ▲                                │ ▲ UNAVAILABLE: the same bytes again
//!     └──── bytes back, ack logged ────┘ └──────────────────────────────┘
//! ```
//!
//! - Each request is sent as a new one (its ids and times are patched in place), but a retry has the same bytes.
//! - One thread does everything, so that the receiver has the rest of the machine.
//! - While it runs, an ack only leaves a line in a log; the [`Tally`](crate::spans::Tally) is made of the log afterwards.
//!
//! A request whose connection broke, or whose answer never came, is unknown: it may have been counted or not,
//! and it is not sent again.

mod answer;
mod channel;
mod grpc;
mod http;
mod loader;
mod options;
mod pace;
mod packing;
mod report;
mod supply;

pub use loader::{Prepared, prepare};
pub use options::{Options, Protocol};
pub use report::Report;
