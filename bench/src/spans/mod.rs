//! OTLP trace requests like those of an agent that batches HTTP services, as protobuf bytes.
//!
//! ```text
//! Shape ─▶ Catalogue (groups, resources) ─▶ Generator ─▶ Request: bytes, and where ids and times lie
//!                      │                                    │ stamp(number, end): in place
//!                      └───────────▶ Tally ◀── add(request) ┘
//! ```
//!
//! - The same shape and seed give the same requests. Only a stamp brings in numbers and times from outside.
//! - A stamp gives every span new ids and an end of its own within the second before the given end, so
//!   that each send is unique and current, while names, attributes and durations stay.
//! - A [`Tally`] says what must come out of the requests that were added to it.
//!
//! Spans of one request come from several resources, each drawn from a shuffled deck, so that every group
//! occurs about as often as every other: a table of groups gets no help from a few that are hot.

mod catalogue;
mod deck;
mod generator;
mod pairs;
mod piece;
mod request;
mod shape;
mod tally;

pub use catalogue::{Catalogue, Group, GroupIndex, Kind, Status};
pub use generator::{Batch, Generator, requests};
pub use request::{GRPC_HEAD_BYTES, Request};
pub use shape::{BadShape, Shape};
pub use tally::{Delta, Tally, Totals};
