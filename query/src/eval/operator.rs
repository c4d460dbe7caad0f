//! What the operations of a program become while they run.

use super::frame::Frame;
use crate::annotations::Annotations;
use crate::error::Error;

/// What an operation takes and leaves.
#[derive(Debug)]
pub(crate) enum Operand {
    /// A value for each evaluation time.
    Scalar(Vec<f64>),
    Vector(Frame),
}

/// An operation with its operands, done in units so that it can be paused between any two.
pub(crate) trait Operator: Send {
    fn units(&self) -> usize;

    /// Does one unit; each is done once, in order. Answers about how many cells it touched.
    fn run(&mut self, unit: usize) -> Result<usize, Error>;

    fn finish(self: Box<Self>, notes: &mut Annotations) -> Result<Operand, Error>;
}
