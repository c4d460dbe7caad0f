//! Aggregations: many rows into one for each group.

mod average;
mod count;
mod extremum;
mod sum;

use std::collections::HashMap;

use tributary_spanmetrics::Labels;

use self::average::Average;
use self::count::Count;
use self::extremum::Extremum;
use self::sum::Sum;
use super::frame::{Columns, Frame};
use super::key::KeyOf;
use super::meter::Meter;
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;
use crate::plan::{AggregateOp, Grouping};

/// The aggregates of all groups, a row for each. Rows come in the order of their labels, so that
/// rounding does not depend on anything else.
trait Accumulator: Send {
    fn add(&mut self, group: usize, values: &[f64], present: &[bool]);

    fn finish(self: Box<Self>) -> Columns;
}

pub(crate) struct Aggregate {
    input: Frame,
    /// For each row of the input.
    group_of: Vec<usize>,
    /// For each group.
    labels: Vec<Labels>,
    accumulator: Box<dyn Accumulator>,
}

impl Aggregate {
    pub(crate) fn new(
        input: Frame,
        op: AggregateOp,
        grouping: &Grouping,
        meter: &mut Meter,
    ) -> Result<Self, Error> {
        let rule = KeyOf::from(grouping);
        let mut known = HashMap::new();
        let mut labels = Vec::new();
        let mut group_of = Vec::with_capacity(input.rows());
        for row in &input.labels {
            let key = rule.key(row);
            let group = *known.entry(key).or_insert_with_key(|key| {
                labels.push(Labels::from_pairs(key.iter().copied()));
                labels.len() - 1
            });
            group_of.push(group);
        }
        let (groups, width) = (labels.len(), input.columns.width());
        let accumulator: Box<dyn Accumulator> = match op {
            AggregateOp::Sum => Box::new(Sum::new(groups, width, meter)?),
            AggregateOp::Avg => Box::new(Average::new(groups, width, meter)?),
            AggregateOp::Min => Box::new(Extremum::least(groups, width, meter)?),
            AggregateOp::Max => Box::new(Extremum::greatest(groups, width, meter)?),
            AggregateOp::Count => Box::new(Count::new(groups, width, meter)?),
        };
        Ok(Aggregate { input, group_of, labels, accumulator })
    }
}

impl Operator for Aggregate {
    fn units(&self) -> usize {
        self.input.rows()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let (values, present) = self.input.columns.row(unit);
        self.accumulator.add(self.group_of[unit], values, present);
        Ok(values.len())
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        Ok(Operand::Vector(Frame { labels: self.labels, columns: self.accumulator.finish() }))
    }
}
