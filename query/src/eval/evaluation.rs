//! The machine that runs a program.

use std::collections::VecDeque;
use std::sync::Arc;

use super::aggregate::Aggregate;
use super::elementwise::Elementwise;
use super::frame::{Columns, Frame};
use super::histogram_quantile::HistogramQuantile;
use super::lookup::Lookup;
use super::meter::Meter;
use super::negate::Negate;
use super::operator::{Operand, Operator};
use super::samples::{Samples, is_stale};
use super::set::Set;
use super::vector_match::VectorMatch;
use super::windowed::Windowed;
use super::windows::Frames;
use super::with_scalar::WithScalar;
use crate::annotations::Annotations;
use crate::answer::RangeSeries;
use crate::error::Error;
use crate::plan::{BinaryOp, Matching, Op, Plan, Root, Selector, SelectorId};
use crate::steps::Steps;

/// Cells to touch before pausing: some milliseconds of work.
const PORTION: usize = 1 << 19;

pub(crate) struct Evaluation {
    steps: Steps,
    lookback: i64,
    selectors: Vec<Selector>,
    /// For each selector.
    data: Vec<Arc<[Samples]>>,
    root: RootState,
    meter: Meter,
    notes: Annotations,
}

enum RootState {
    Program { ops: VecDeque<Op>, stack: Vec<Operand>, running: Option<Running> },
    Samples(SelectorId),
    Text(String),
}

struct Running {
    operator: Box<dyn Operator>,
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

/// What a query comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Operand(Operand),
    /// Samples as they are stored.
    Matrix(Vec<RangeSeries>),
    Text(String),
}

impl Evaluation {
    pub(crate) fn new(
        plan: Plan,
        data: Vec<Arc<[Samples]>>,
        steps: Steps,
        lookback: i64,
        meter: Meter,
    ) -> Self {
        let root = match plan.root {
            Root::Program(ops) => {
                RootState::Program { ops: ops.into(), stack: Vec::new(), running: None }
            }
            Root::Samples(id) => RootState::Samples(id),
            Root::Text(text) => RootState::Text(text),
        };
        let (selectors, notes) = (plan.selectors, Annotations::default());
        Evaluation { steps, lookback, selectors, data, root, meter, notes }
    }

    /// Does a portion of the work.
    pub(crate) fn advance(&mut self) -> Result<Progress, Error> {
        let mut touched = 0;
        while touched < PORTION {
            let RootState::Program { ops, stack, running } = &mut self.root else {
                return Ok(Progress::Done);
            };
            match running.take() {
                Some(Running { mut operator, next }) if next < operator.units() => {
                    touched += operator.run(next)?;
                    *running = Some(Running { operator, next: next + 1 });
                }
                Some(Running { operator, .. }) => stack.push(operator.finish(&mut self.notes)?),
                None => match ops.pop_front() {
                    None => return Ok(Progress::Done),
                    Some(op) => self.start(op)?,
                },
            }
        }
        Ok(Progress::More)
    }

    /// To be called when `advance` is done.
    pub(crate) fn finish(self) -> Result<(Outcome, Annotations), Error> {
        let outcome = match self.root {
            RootState::Text(text) => Outcome::Text(text),
            RootState::Samples(id) => {
                let frames = frames(&self.selectors[id.0], self.steps, self.lookback);
                Outcome::Matrix(raw_samples(&self.data[id.0], frames))
            }
            RootState::Program { mut stack, .. } => match (stack.pop(), stack.is_empty()) {
                (Some(operand), true) => Outcome::Operand(operand),
                _ => return Err(imbalance()),
            },
        };
        Ok((outcome, self.notes))
    }

    /// Makes an operation's operator, or its result where it needs no work.
    fn start(&mut self, op: Op) -> Result<(), Error> {
        let width = self.steps.count();
        match op {
            Op::Number(value) => self.push_scalar(vec![value; width]),
            Op::Time => {
                self.push_scalar(self.steps.iter().map(|time| time as f64 / 1_000.0).collect())
            }
            Op::Lookup(id) => {
                let (series, frames) = self.selected(id);
                let lookup = Lookup::new(series, frames, &mut self.meter)?;
                self.run(lookup)
            }
            Op::Windowed(id, function) => {
                let (series, frames) = self.selected(id);
                let windowed = Windowed::new(series, frames, function, &mut self.meter)?;
                self.run(windowed)
            }
            Op::Negate => match self.pop()? {
                Operand::Scalar(values) => {
                    self.push_scalar(values.into_iter().map(|value| -value).collect())
                }
                Operand::Vector(frame) => self.run(Negate { frame }),
            },
            Op::VectorOf => {
                let values = self.pop_scalar()?;
                let mut columns = Columns::absent(1, width, &mut self.meter)?;
                columns.row_mut(0).0.copy_from_slice(&values);
                columns.row_mut(0).1.fill(true);
                self.push(Operand::Vector(Frame { labels: vec![Default::default()], columns }))
            }
            Op::Binary { op, to_bool, matching } => self.binary(op, to_bool, matching),
            Op::Set { op, matching } => {
                let right = self.pop_vector()?;
                let left = self.pop_vector()?;
                self.run(Set::new(left, right, op, &matching))
            }
            Op::Aggregate { op, grouping } => {
                let input = self.pop_vector()?;
                let aggregate = Aggregate::new(input, op, &grouping, &mut self.meter)?;
                self.run(aggregate)
            }
            Op::HistogramQuantile => {
                let buckets = self.pop_vector()?;
                let quantiles = self.pop_scalar()?;
                let operator = HistogramQuantile::new(quantiles, buckets, &mut self.meter)?;
                self.run(operator)
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, to_bool: bool, matching: Matching) -> Result<(), Error> {
        let op = Elementwise::new(op, to_bool);
        let right = self.pop()?;
        let left = self.pop()?;
        match (left, right) {
            (Operand::Scalar(left), Operand::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                let results = pairs.map(|(l, r)| op.apply(l, r, l)).collect::<Option<Vec<_>>>();
                // The parser lets scalars be compared only with `bool`, so none is filtered out.
                self.push_scalar(results.ok_or_else(imbalance)?)
            }
            (Operand::Vector(frame), Operand::Scalar(scalar)) => {
                self.run(WithScalar { frame, scalar, scalar_is_left: false, op })
            }
            (Operand::Scalar(scalar), Operand::Vector(frame)) => {
                self.run(WithScalar { frame, scalar, scalar_is_left: true, op })
            }
            (Operand::Vector(left), Operand::Vector(right)) => {
                self.run(VectorMatch::new(left, right, op, matching))
            }
        }
    }

    fn selected(&self, id: SelectorId) -> (Arc<[Samples]>, Frames) {
        let frames = frames(&self.selectors[id.0], self.steps, self.lookback);
        (Arc::clone(&self.data[id.0]), frames)
    }

    fn run(&mut self, operator: impl Operator + 'static) -> Result<(), Error> {
        if let RootState::Program { running, .. } = &mut self.root {
            *running = Some(Running { operator: Box::new(operator), next: 0 });
        }
        Ok(())
    }

    fn push(&mut self, operand: Operand) -> Result<(), Error> {
        if let RootState::Program { stack, .. } = &mut self.root {
            stack.push(operand);
        }
        Ok(())
    }

    fn push_scalar(&mut self, values: Vec<f64>) -> Result<(), Error> {
        self.meter.take(values.len())?;
        self.push(Operand::Scalar(values))
    }

    fn pop(&mut self) -> Result<Operand, Error> {
        match &mut self.root {
            RootState::Program { stack, .. } => stack.pop().ok_or_else(imbalance),
            _ => Err(imbalance()),
        }
    }

    fn pop_vector(&mut self) -> Result<Frame, Error> {
        match self.pop()? {
            Operand::Vector(frame) => Ok(frame),
            Operand::Scalar(_) => Err(imbalance()),
        }
    }

    fn pop_scalar(&mut self) -> Result<Vec<f64>, Error> {
        match self.pop()? {
            Operand::Scalar(values) => Ok(values),
            Operand::Vector(_) => Err(imbalance()),
        }
    }
}

fn frames(selector: &Selector, steps: Steps, lookback: i64) -> Frames {
    Frames { steps, offset: selector.offset, length: selector.reach.length(lookback) }
}

/// The windows of the first, and only, evaluation time.
fn raw_samples(series: &[Samples], frames: Frames) -> Vec<RangeSeries> {
    let mut matrix = Vec::new();
    for Samples { labels, times, values, complete_to } in series {
        let Some(window) = frames.over(times, *complete_to).next() else {
            continue;
        };
        let samples = times[window.from..window.until].iter().zip(&values[window.from..]);
        let points: Vec<_> =
            samples.filter(|&(_, &value)| !is_stale(value)).map(|(&t, &v)| (t, v)).collect();
        if !points.is_empty() {
            matrix.push(RangeSeries { labels: labels.clone(), points });
        }
    }
    matrix
}

/// The types of operands are checked while parsing.
fn imbalance() -> Error {
    Error::Internal("a program does not fit its operands".into())
}
