//! What is checked of any bytes, target by target; libFuzzer draws the bytes and sees which edges they reach.
//!
//! ```text
//! seeds (a real generator, a real edge) ─▶ corpus ─▶ libFuzzer ─▶ targets/*.rs ─▶ check(bytes)
//!                                             ▲ new edges │
//!                                             └───────────┘
//! ```
//!
//! A check decides by its bytes alone, so that an input that fails does so again, alone. What it must hold
//! against is another reading of the same bytes wherever there is one: prost's, serde's, a plain decoder's,
//! a checksum worked out here.
//!
//! - [`protobuf`], [`json`]: a trace request, walked.
//! - [`decompressors`]: a body as it comes in, in every coding.
//! - [`records`]: the files of a segment log, and the journal's records in them.
//! - [`seeds`]: where the corpora begin.
//!
//! Not here: sockets and framing (h2 and hyper have fuzz targets of their own), PromQL.

pub mod decompressors;
pub mod json;
pub mod protobuf;
pub mod records;
pub mod seeds;
mod settled;
mod tally;
mod walks;
