//! A vector over all evaluation times: a row for each series, a cell for each time.

use std::collections::{HashMap, HashSet};

use tributary_spanmetrics::{Labels, METRIC_NAME};

use super::meter::Meter;
use crate::error::Error;

/// The labels that tell what a metric is, and stop being true of a value computed from it.
const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// One allocation for all rows, with the width of the query.
#[derive(Debug)]
pub(crate) struct Columns {
    width: usize,
    values: Vec<f64>,
    present: Vec<bool>,
}

#[derive(Debug)]
pub(crate) struct Frame {
    /// One for each row, no two alike.
    pub(crate) labels: Vec<Labels>,
    pub(crate) columns: Columns,
}

impl Columns {
    pub(crate) fn absent(rows: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        let cells = rows.saturating_mul(width);
        meter.take(cells)?;
        Ok(Columns { width, values: vec![0.0; cells], present: vec![false; cells] })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn row(&self, row: usize) -> (&[f64], &[bool]) {
        let cells = row * self.width..(row + 1) * self.width;
        (&self.values[cells.clone()], &self.present[cells])
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> (&mut [f64], &mut [bool]) {
        let cells = row * self.width..(row + 1) * self.width;
        (&mut self.values[cells.clone()], &mut self.present[cells])
    }

    pub(crate) fn cell(&self, row: usize, step: usize) -> Option<f64> {
        let cell = row * self.width + step;
        self.present[cell].then(|| self.values[cell])
    }

    pub(crate) fn is_empty_row(&self, row: usize) -> bool {
        !self.row(row).1.contains(&true)
    }

    pub(crate) fn append(&mut self, mut other: Columns) {
        self.values.append(&mut other.values);
        self.present.append(&mut other.present);
    }

    /// Moves the cells of one row to where another has none; both having one is an error.
    fn unite(&mut self, into: usize, from: usize) -> Result<(), Error> {
        for step in 0..self.width {
            let Some(value) = self.cell(from, step) else {
                continue;
            };
            let cell = into * self.width + step;
            if self.present[cell] {
                return Err(Error::SameLabels);
            }
            self.values[cell] = value;
            self.present[cell] = true;
        }
        Ok(())
    }

    fn retain(&mut self, keep: &[bool]) {
        let mut kept = 0;
        for row in (0..keep.len()).filter(|&row| keep[row]) {
            let from = row * self.width..(row + 1) * self.width;
            self.values.copy_within(from.clone(), kept * self.width);
            self.present.copy_within(from, kept * self.width);
            kept += 1;
        }
        self.values.truncate(kept * self.width);
        self.present.truncate(kept * self.width);
    }
}

impl Frame {
    pub(crate) fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Drops the names. Rows that become alike are one series from then on.
    pub(crate) fn without_names(mut self) -> Result<Frame, Error> {
        if self.drop_names() { self.united() } else { Ok(self) }
    }

    /// Drops the names of a function's results, which may not become alike even where they have
    /// values at different times.
    pub(crate) fn without_names_at_any_time(mut self) -> Result<Frame, Error> {
        if self.drop_names() {
            let mut seen = HashSet::with_capacity(self.rows());
            let mut rows = self.labels.iter().enumerate();
            if rows.any(|(row, l)| !self.columns.is_empty_row(row) && !seen.insert(l)) {
                return Err(Error::SameLabels);
            }
            return self.united();
        }
        Ok(self)
    }

    /// Makes rows with the same labels one; they may not have values at the same time.
    pub(crate) fn united(mut self) -> Result<Frame, Error> {
        let mut first = HashMap::with_capacity(self.rows());
        let mut keep = vec![true; self.rows()];
        for (row, labels) in self.labels.iter().enumerate() {
            let into = *first.entry(labels).or_insert(row);
            if into != row {
                self.columns.unite(into, row)?;
                keep[row] = false;
            }
        }
        if keep.contains(&false) {
            self.retain(&keep);
        }
        Ok(self)
    }

    pub(crate) fn retain(&mut self, keep: &[bool]) {
        self.columns.retain(keep);
        let mut keep = keep.iter();
        self.labels.retain(|_| keep.next() == Some(&true));
    }

    /// Whether rows may be alike afterwards: rows that agree in what is dropped differ in what stays.
    fn drop_names(&mut self) -> bool {
        let differ = self
            .labels
            .windows(2)
            .any(|pair| METADATA.iter().any(|name| pair[0].get(name) != pair[1].get(name)));
        self.labels.iter_mut().for_each(drop_metadata);
        differ
    }
}

pub(crate) fn drop_metadata(labels: &mut Labels) {
    labels.retain(|name| !METADATA.contains(&name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(rows: &[(&str, [Option<f64>; 2])]) -> Frame {
        let mut meter = Meter::new(100);
        let mut columns = Columns::absent(rows.len(), 2, &mut meter).expect("within the limit");
        for (row, (_, cells)) in rows.iter().enumerate() {
            let (values, present) = columns.row_mut(row);
            for (step, cell) in cells.iter().enumerate() {
                values[step] = cell.unwrap_or(0.0);
                present[step] = cell.is_some();
            }
        }
        let labels = rows.iter().map(|(name, _)| Labels::from_pairs([(METRIC_NAME, *name)]));
        Frame { labels: labels.collect(), columns }
    }

    #[test]
    fn rows_that_take_turns_become_one() {
        let taking_turns = frame(&[("a", [Some(1.0), None]), ("b", [None, Some(2.0)])]);
        let united = taking_turns.without_names().expect("no conflict");
        assert_eq!(united.rows(), 1);
        assert_eq!(united.columns.row(0), (&[1.0, 2.0][..], &[true, true][..]));
    }

    #[test]
    fn rows_with_the_same_labels_at_the_same_time_are_an_error() {
        let conflict = || frame(&[("a", [Some(1.0), None]), ("b", [Some(1.0), None])]);
        assert!(matches!(conflict().without_names(), Err(Error::SameLabels)));
        let taking_turns = frame(&[("a", [Some(1.0), None]), ("b", [None, Some(2.0)])]);
        assert!(matches!(taking_turns.without_names_at_any_time(), Err(Error::SameLabels)));
    }

    #[test]
    fn columns_are_counted_before_they_are_made() {
        let too_many = Columns::absent(usize::MAX, 3, &mut Meter::new(100));
        assert!(matches!(too_many, Err(Error::TooManySamples { .. })));
    }
}
