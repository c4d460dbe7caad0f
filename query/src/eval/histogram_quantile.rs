//! `histogram_quantile` over classic histograms: rows that differ in `le` alone are one histogram.

use std::collections::{BTreeSet, HashMap};

use tributary_spanmetrics::Labels;

use super::bucket_quantile::{Bucket, bucket_quantile};
use super::frame::{Columns, Frame};
use super::meter::Meter;
use super::operator::{Operand, Operator};
use crate::annotations::Annotations;
use crate::error::Error;

const BOUND: &str = "le";

pub(crate) struct HistogramQuantile {
    quantiles: Vec<f64>,
    buckets: Frame,
    histograms: Vec<Histogram>,
    /// The `le` of rows that are no bucket.
    not_buckets: BTreeSet<String>,
    forced_monotonic: bool,
    at_hand: Vec<Bucket>,
    out: Columns,
}

struct Histogram {
    /// Those of its buckets, without the bound.
    labels: Labels,
    /// Upper bounds with their rows, ascending.
    rows: Vec<(f64, usize)>,
}

impl HistogramQuantile {
    pub(crate) fn new(
        quantiles: Vec<f64>,
        buckets: Frame,
        meter: &mut Meter,
    ) -> Result<Self, Error> {
        let mut not_buckets = BTreeSet::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        let mut known = HashMap::new();
        for (row, labels) in buckets.labels.iter().enumerate() {
            let written = labels.get(BOUND).unwrap_or_default();
            let Ok(bound) = written.parse::<f64>() else {
                if !buckets.columns.is_empty_row(row) {
                    not_buckets.insert(written.to_owned());
                }
                continue;
            };
            let key: Vec<_> = labels.iter().filter(|(name, _)| *name != BOUND).collect();
            let histogram = *known.entry(key).or_insert_with_key(|key| {
                let labels = Labels::from_pairs(key.iter().copied());
                histograms.push(Histogram { labels, rows: Vec::new() });
                histograms.len() - 1
            });
            histograms[histogram].rows.push((bound, row));
        }
        for histogram in &mut histograms {
            histogram.rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let out = Columns::absent(histograms.len(), buckets.columns.width(), meter)?;
        Ok(HistogramQuantile {
            quantiles,
            buckets,
            histograms,
            not_buckets,
            forced_monotonic: false,
            at_hand: Vec::new(),
            out,
        })
    }
}

impl Operator for HistogramQuantile {
    fn units(&self) -> usize {
        self.histograms.len()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let rows = &self.histograms[unit].rows;
        let columns = &self.buckets.columns;
        let (values, present) = self.out.row_mut(unit);
        for (step, &q) in self.quantiles.iter().enumerate() {
            self.at_hand.clear();
            self.at_hand.extend(rows.iter().filter_map(|&(upper, row)| {
                columns.cell(row, step).map(|count| Bucket { upper, count })
            }));
            if self.at_hand.is_empty() {
                continue;
            }
            let quantile = bucket_quantile(q, &mut self.at_hand);
            self.forced_monotonic |= quantile.forced_monotonic;
            values[step] = quantile.value;
            present[step] = true;
        }
        Ok(rows.len() * self.quantiles.len())
    }

    fn finish(self: Box<Self>, notes: &mut Annotations) -> Result<Operand, Error> {
        let invalid = |q: &&f64| !(0.0..=1.0).contains(*q);
        self.quantiles.iter().filter(invalid).for_each(|&q| notes.invalid_quantile(q));
        self.not_buckets.iter().for_each(|bound| notes.bad_bucket_label(bound));
        if self.forced_monotonic {
            notes.forced_monotonicity();
        }
        let labels = self.histograms.into_iter().map(|histogram| histogram.labels).collect();
        Ok(Operand::Vector(Frame { labels, columns: self.out }.without_names()?))
    }
}
