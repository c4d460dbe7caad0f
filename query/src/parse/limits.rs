//! How large a query's text may be.

/// Bounds on text, checked before it is parsed.
///
/// The depth of a syntax tree is at most `nesting + operators`, and the parser recurses that deep:
/// the defaults keep it within a small part of a 2 MiB stack, in a debug build too.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    /// Brackets of all kinds, open at one time.
    pub nesting: usize,
    /// Binary and unary operators and modifiers, in the whole query.
    pub operators: usize,
    /// Regular expression matchers; each may compile to a megabyte.
    pub regexes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 10, nesting: 100, operators: 500, regexes: 64 }
    }
}
