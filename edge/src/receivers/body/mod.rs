//! A request's body: taken in part by part, decompressed, capped, and paid for before it is held.
//!
//! ```text
//! Body ─ part ─▶ Unpacker ┬ identity ───────▶ Output ─▶ Held
//!   ▲              │      ├ inflate  ──────▶    │ Room: a permit for each byte
//!   └── release ───┘      └ unzstd  ───────▶    └ limit
//! ```
//!
//! A part counts against its connection's window until it is released, which is when it was copied or
//! decompressed; what comes out counts against the [`Room`]. So no byte is held that nobody counts.

mod coding;
mod inflate;
mod output;
mod parts;
mod room;
mod unpacker;
mod unzstd;

pub(crate) use coding::Coding;
pub(crate) use parts::{Body, Released};
pub(crate) use room::Room;
pub(crate) use unpacker::{Held, Unpacker};
