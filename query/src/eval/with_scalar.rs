//! Binary operators between a vector and a scalar.

use super::elementwise::{Elementwise, truth};
use super::frame::Frame;
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;

pub(crate) struct WithScalar {
    pub(crate) frame: Frame,
    pub(crate) scalar: Vec<f64>,
    pub(crate) scalar_is_left: bool,
    pub(crate) op: Elementwise,
}

impl Operator for WithScalar {
    fn units(&self) -> usize {
        self.frame.rows()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let (values, present) = self.frame.columns.row_mut(unit);
        let swap = self.scalar_is_left;
        let sides = |value, scalar| {
            if swap { (scalar, value) } else { (value, scalar) }
        };
        // Absent cells are computed too: that is cheaper than to tell them apart.
        let cells = values.iter_mut().zip(present).zip(&self.scalar);
        match self.op {
            Elementwise::Compute(f) => cells.for_each(|((value, _), &scalar)| {
                let (left, right) = sides(*value, scalar);
                *value = f(left, right);
            }),
            // A filter lets the vector's value through, whichever side it is on.
            Elementwise::Filter(holds) => cells.for_each(|((value, present), &scalar)| {
                let (left, right) = sides(*value, scalar);
                *present &= holds(left, right);
            }),
            Elementwise::Test(holds) => cells.for_each(|((value, _), &scalar)| {
                let (left, right) = sides(*value, scalar);
                *value = truth(holds(left, right));
            }),
        }
        Ok(values.len())
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        let frame = if self.op.keeps_name() { self.frame } else { self.frame.without_names()? };
        Ok(Operand::Vector(frame))
    }
}
