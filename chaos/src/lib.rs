//! Kills, power cuts, full and failing disks against the real binary, judged by the loader's own sums.
//!
//! ```text
//!   load ──OTLP, each request until it is acked──▶ the product ──▶ folder | disk (FUSE) | tmpfs
//!    │ tally: by group and window                     ▲ │                      ▲
//!    ▼                                    kill, start │ │ queries              │ cut, EIO, full
//!   judge ◀───────────────────────────────────────────┼─┘                      │
//!                                                   rounds ────────────────────┘
//! ```
//!
//! Since every request is sent until it is acked, what must be there is exact: each count, sum and
//! bucket of every group at every window's end equals the tally. The crate shares no code with the
//! product, and meets it only as a process with ports and a data folder.
//!
//! It needs root, for its mounts; `--mode kill` does without, and so does `abuse`, which leaves disks alone.

pub mod abuse;
mod disk;
mod http_link;
mod judge;
mod load;
pub mod options;
mod place;
pub mod plants;
pub mod report;
pub mod rounds;
mod server;
mod tally;
mod tmpfs;
