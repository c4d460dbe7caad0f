//! From a syntax tree to a program.
//!
//! A plan is a postfix program over a stack of columns: each operation takes its operands from the
//! stack and leaves its result. So neither building nor running it recurses, the order of evaluation
//! is that of the text, and between any two operations there is a place to pause.
//!
//! What the engine does not know yet is refused here, by name, before anything is read.

mod compile;
mod function;
mod op;
mod selector;

pub(crate) use compile::compile;
pub(crate) use function::RangeFunction;
pub(crate) use op::{AggregateOp, Arithmetic, BinaryOp, Comparison, Grouping, Matching, Op, SetOp};
pub(crate) use selector::{Reach, Selector};

/// The place of a selector in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelectorId(pub(crate) usize);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: Root,
    /// Each selection once, however often the query names it.
    pub(crate) selectors: Vec<Selector>,
}

#[derive(Debug)]
pub(crate) enum Root {
    /// Leaves one scalar or vector on the stack.
    Program(Vec<Op>),
    /// A range selector alone: the samples as they are.
    Samples(SelectorId),
    Text(String),
}
