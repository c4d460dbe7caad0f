//! Operators on single values.

use crate::plan::{Arithmetic, BinaryOp, Comparison};

/// What an operator does to two values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Elementwise {
    Compute(fn(f64, f64) -> f64),
    /// Keeps an element, or drops it.
    Filter(fn(f64, f64) -> bool),
    /// One for true, zero for false.
    Test(fn(f64, f64) -> bool),
}

impl Elementwise {
    pub(crate) fn new(op: BinaryOp, to_bool: bool) -> Self {
        match op {
            BinaryOp::Arithmetic(op) => Elementwise::Compute(arithmetic(op)),
            BinaryOp::Comparison(op) if to_bool => Elementwise::Test(comparison(op)),
            BinaryOp::Comparison(op) => Elementwise::Filter(comparison(op)),
        }
    }

    /// Whether the result still is a value of the metric that its left operand is.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Elementwise::Filter(_))
    }

    /// `kept` is the value that a filter lets through.
    pub(crate) fn apply(self, left: f64, right: f64, kept: f64) -> Option<f64> {
        match self {
            Elementwise::Compute(f) => Some(f(left, right)),
            Elementwise::Filter(holds) => holds(left, right).then_some(kept),
            Elementwise::Test(holds) => Some(truth(holds(left, right))),
        }
    }
}

pub(crate) fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

fn arithmetic(op: Arithmetic) -> fn(f64, f64) -> f64 {
    match op {
        Arithmetic::Add => |a, b| a + b,
        Arithmetic::Sub => |a, b| a - b,
        Arithmetic::Mul => |a, b| a * b,
        Arithmetic::Div => |a, b| a / b,
        // Both have the sign of the dividend, as Go's math.Mod.
        Arithmetic::Mod => |a, b| a % b,
        Arithmetic::Pow => f64::powf,
    }
}

fn comparison(op: Comparison) -> fn(f64, f64) -> bool {
    match op {
        Comparison::Equal => |a, b| a == b,
        Comparison::NotEqual => |a, b| a != b,
        Comparison::Greater => |a, b| a > b,
        Comparison::Less => |a, b| a < b,
        Comparison::GreaterOrEqual => |a, b| a >= b,
        Comparison::LessOrEqual => |a, b| a <= b,
    }
}
