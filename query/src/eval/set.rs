//! `and`, `or`, `unless`: vectors as sets of what they match on.

use super::frame::Frame;
use super::matches::{MatchGroup, match_groups};
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;
use crate::plan::{Matching, SetOp};

pub(crate) struct Set {
    left: Frame,
    right: Frame,
    op: SetOp,
    groups: Vec<MatchGroup>,
    /// Whether the side that decides has any row of the group, for each step.
    there: Vec<bool>,
}

impl Set {
    pub(crate) fn new(left: Frame, right: Frame, op: SetOp, matching: &Matching) -> Self {
        let groups = match_groups(&left.labels, &right.labels, matching);
        let there = vec![false; left.columns.width()];
        Set { left, right, op, groups, there }
    }
}

impl Operator for Set {
    fn units(&self) -> usize {
        self.groups.len()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let MatchGroup { left, right } = &self.groups[unit];
        let cells = (left.len() + right.len()) * self.there.len();
        // The side that decides, the one that is cut, and by what.
        let (deciding, rows, cut, cut_rows, wanted) = match self.op {
            SetOp::And => (&self.right, right, &mut self.left, left, true),
            SetOp::Unless => (&self.right, right, &mut self.left, left, false),
            SetOp::Or => (&self.left, left, &mut self.right, right, false),
        };
        self.there.fill(false);
        for &row in rows {
            let (_, present) = deciding.columns.row(row);
            self.there.iter_mut().zip(present).for_each(|(there, present)| *there |= present);
        }
        for &row in cut_rows {
            let (_, present) = cut.columns.row_mut(row);
            let cells = present.iter_mut().zip(&self.there);
            cells.for_each(|(present, &there)| *present &= there == wanted);
        }
        Ok(cells)
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        let Set { mut left, right, op, .. } = *self;
        if op != SetOp::Or {
            return Ok(Operand::Vector(left));
        }
        left.labels.extend(right.labels);
        left.columns.append(right.columns);
        Ok(Operand::Vector(left.united()?))
    }
}
