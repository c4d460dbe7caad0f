//! From text to a syntax tree, without trusting the text.
//!
//! The grammar is promql-parser's. It checks types by walking whole subtrees at every node, and
//! frees and copies trees by recursion, so a long or deep query overflows the stack, which aborts
//! the process, or keeps it busy for minutes. Its actions also panic on some durations. Hence:
//!
//! 1. [`guard`] reads the text as the parser's lexer would and refuses what is too large for it;
//! 2. [`tree`] calls the parser, a panic of which becomes an error;
//! 3. [`selector`] turns its matchers into ours.

mod guard;
mod limits;
mod selector;
mod tree;

pub use limits::Limits;
pub(crate) use selector::matchers;
pub use selector::parse_selector;
pub(crate) use tree::parse;
