//! Unary minus on a vector.

use super::frame::Frame;
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;

pub(crate) struct Negate {
    pub(crate) frame: Frame,
}

impl Operator for Negate {
    fn units(&self) -> usize {
        self.frame.rows()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let (values, _) = self.frame.columns.row_mut(unit);
        values.iter_mut().for_each(|value| *value = -*value);
        Ok(values.len())
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        Ok(Operand::Vector(self.frame.without_names_at_any_time()?))
    }
}
