//! The operations of a program.

use super::{RangeFunction, SelectorId};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// Pushes a constant.
    Number(f64),
    /// Pushes the evaluation times, in seconds.
    Time,
    /// Pushes each series' latest sample within the lookback.
    Lookup(SelectorId),
    /// Pushes a function of each series' window.
    Windowed(SelectorId, RangeFunction),
    Negate,
    /// Makes a scalar a vector of one series without labels.
    VectorOf,
    Binary {
        op: BinaryOp,
        /// Comparisons only: answer 0 or 1 in place of filtering.
        to_bool: bool,
        matching: Matching,
    },
    Set {
        op: SetOp,
        matching: Matching,
    },
    Aggregate {
        op: AggregateOp,
        grouping: Grouping,
    },
    /// Takes the quantile, then the buckets.
    HistogramQuantile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOp {
    And,
    Or,
    Unless,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

/// Which labels an aggregation tells its groups apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// Which labels have to agree for two series to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    On(Vec<String>),
    Ignoring(Vec<String>),
}
