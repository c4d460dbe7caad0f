//! Requests that were answered before: a repeat gets the first answer again and is not counted (law 3).
//!
//! ```text
//!   all connections                  Dedup, one lock                       sequencer
//!   register(fingerprint) ──▶ ┌ Table ──────────────────────┐
//!        New: a guard ◀───────┤ in flight: fingerprints     │◀── guard.complete(answer), after the sync
//!        InFlight: a waiter ◀─┤ History: answers of the     │◀── guard dropped: the next try starts afresh
//!        Known: the answer ◀──┤   window, oldest first      │──▶ copied(places): for the log
//!                             └─────────────────────────────┘
//!   start: FingerprintLog, then the journal ──▶ remember      trim: FingerprintLog, then the journal
//! ```
//!
//! - A fingerprint is looked up and registered in one step, so of any number of repeats one is [`New`].
//! - An answer is remembered for a window of [`Uptime`], counted from the uptime that was recorded with
//!   its request. A clock that steps and a time that the edge was down change nothing.
//! - Memory is bounded by bytes. Beyond it the oldest answers go early, and are counted (laws 5, 9).
//! - The journal carries the fingerprints of its requests; before it is trimmed, the [`FingerprintLog`]
//!   takes them over.
//!
//! Not here: what a fingerprint is made of, and who may refuse a request; the ingest's business. When to
//! trim; the sequencer's.
//!
//! [`New`]: Registration::New

mod fingerprint;
mod history;
mod log;
mod pages;
mod shared;
mod table;
mod uptime;

pub(crate) use fingerprint::{Fingerprint, Remembered};
pub(crate) use history::Place;
pub(crate) use log::FingerprintLog;
pub(crate) use shared::{Dedup, Outcome, Registered, Registration};
pub(crate) use table::Options;
pub(crate) use uptime::{RunningTime, Uptime};
