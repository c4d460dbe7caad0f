//! Binary operators between two vectors, one to one.
//!
//! The result is written over the left side. Which rows match is known from the labels; whether they
//! do so one to one can change from step to step, since a series can end where another begins.

use super::elementwise::Elementwise;
use super::frame::{Frame, drop_metadata};
use super::key::KeyOf;
use super::matches::{MatchGroup, match_groups};
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;
use crate::plan::Matching;

pub(crate) struct VectorMatch {
    left: Frame,
    right: Frame,
    matching: Matching,
    op: Elementwise,
    groups: Vec<MatchGroup>,
    /// Whether the left side has any value, for each step; only looked at where the right side may
    /// be ambiguous, which is no error while there is nothing to match it with.
    left_is_there: Vec<bool>,
    /// The failure that Prometheus, going step by step, would have met first.
    failure: Option<Failure>,
}

struct Failure {
    step: usize,
    /// Ambiguity on the right is found before the left side is looked at.
    on_the_left: bool,
    row: usize,
    error: Error,
}

impl VectorMatch {
    pub(crate) fn new(left: Frame, right: Frame, op: Elementwise, matching: Matching) -> Self {
        let groups = match_groups(&left.labels, &right.labels, &matching);
        let mut left_is_there = Vec::new();
        if groups.iter().any(|group| group.right.len() > 1) {
            left_is_there = vec![false; left.columns.width()];
            for row in 0..left.rows() {
                let (_, present) = left.columns.row(row);
                left_is_there.iter_mut().zip(present).for_each(|(any, present)| *any |= present);
            }
        }
        VectorMatch { left, right, matching, op, groups, left_is_there, failure: None }
    }

    /// The common case: nothing to be ambiguous.
    fn one_to_one(&mut self, left: usize, right: usize) {
        let (values, present) = self.left.columns.row_mut(left);
        let (others, others_present) = self.right.columns.row(right);
        let cells = values.iter_mut().zip(present);
        for ((value, present), (&other, &other_present)) in
            cells.zip(others.iter().zip(others_present))
        {
            let result = self.op.apply(*value, other, *value);
            *present &= other_present && result.is_some();
            *value = result.unwrap_or_default();
        }
    }

    fn step_by_step(&mut self, group: &MatchGroup) {
        for step in 0..self.left.columns.width() {
            let right = &self.right.columns;
            let mut there = group.right.iter().filter(|&&row| right.cell(row, step).is_some());
            let one = there.next();
            if let (Some(&one), Some(&other)) = (one, there.next()) {
                if self.left_is_there[step] {
                    let error = self.many_to_many(one, other);
                    self.fail(Failure { step, on_the_left: false, row: other, error });
                }
                return;
            }
            let other = one.and_then(|&row| right.cell(row, step));
            let mut matched = false;
            for &row in &group.left {
                let result = other
                    .zip(self.left.columns.cell(row, step))
                    .and_then(|(other, value)| self.op.apply(value, other, value));
                if matched && result.is_some() {
                    self.fail(Failure { step, on_the_left: true, row, error: Error::ManyToOne });
                    return;
                }
                matched |= result.is_some();
                let (values, present) = self.left.columns.row_mut(row);
                values[step] = result.unwrap_or_default();
                present[step] = result.is_some();
            }
        }
    }

    fn many_to_many(&self, one: usize, other: usize) -> Error {
        let labels = &self.right.labels;
        let group = KeyOf::from(&self.matching).key(&labels[other]);
        Error::ManyToMany {
            group: written(group),
            side: "right",
            one: written(labels[other].iter()),
            other: written(labels[one].iter()),
        }
    }

    fn fail(&mut self, failure: Failure) {
        let rank = |f: &Failure| (f.step, f.on_the_left, f.row);
        if self.failure.as_ref().is_none_or(|known| rank(&failure) < rank(known)) {
            self.failure = Some(failure);
        }
    }
}

/// Labels as Prometheus writes them in errors.
fn written<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = labels.into_iter().map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

impl Operator for VectorMatch {
    fn units(&self) -> usize {
        self.groups.len()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let group = std::mem::take(&mut self.groups[unit]);
        match (group.left.as_slice(), group.right.as_slice()) {
            (&[left], &[right]) => self.one_to_one(left, right),
            (_, &[]) => {
                group.left.iter().for_each(|&row| self.left.columns.row_mut(row).1.fill(false));
            }
            ([], [_]) => {}
            _ => self.step_by_step(&group),
        }
        Ok((group.left.len() + group.right.len()) * self.left.columns.width())
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        if let Some(failure) = self.failure {
            return Err(failure.error);
        }
        let mut frame = self.left;
        for labels in &mut frame.labels {
            if !self.op.keeps_name() {
                drop_metadata(labels);
            }
            match &self.matching {
                Matching::On(names) => labels.retain(|name| names.iter().any(|n| n == name)),
                Matching::Ignoring(names) => labels.retain(|name| names.iter().all(|n| n != name)),
            }
        }
        let matched: Vec<bool> =
            (0..frame.rows()).map(|row| !frame.columns.is_empty_row(row)).collect();
        if matched.contains(&false) {
            frame.retain(&matched);
        }
        Ok(Operand::Vector(frame.united()?))
    }
}
