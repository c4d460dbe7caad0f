//! The driver: plans, fetches, evaluates, within the limits.
//!
//! All that waits is here. Selections are fetched some at a time, evaluation is interrupted by a
//! yield after each portion, so that other tasks of the executor get their turn, and the timeout
//! covers both.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use promql_parser::parser::Expr;
use promql_parser::parser::value::ValueType;
use tributary_spanmetrics::Tenant;

use crate::annotations::Annotations;
use crate::answer::{QueryAnswer, RangeSeries, Sample, Value};
use crate::error::Error;
use crate::eval::{Evaluation, Meter, Outcome, Progress, Samples, prepare};
use crate::eval::{Frame, Operand};
use crate::options::Options;
use crate::parse::parse;
use crate::plan::{Plan, compile};
use crate::source::{MAX_HOLD_MS, SeriesSource, TimeMs};
use crate::steps::Steps;

/// What a client may ask of one query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params {
    /// Takes series up to their raw edge, complete or not.
    pub latency_offset_zero: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
}

impl Engine {
    pub fn new(options: Options) -> Self {
        Engine { options }
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Evaluates a query at one moment.
    pub async fn instant(
        &self,
        source: &dyn SeriesSource,
        tenant: &Tenant,
        query: &str,
        time: TimeMs,
        params: &Params,
    ) -> Result<QueryAnswer, Error> {
        let steps = Steps::instant(time);
        steps.check(self.options.max_points)?;
        let expr = parse(query, &self.options.limits)?;
        let (outcome, notes) = self.evaluate(source, tenant, &expr, steps, params).await?;
        let value = match outcome {
            Outcome::Text(text) => Value::String(time, text),
            Outcome::Matrix(matrix) => Value::Matrix(matrix),
            Outcome::Operand(Operand::Scalar(values)) => {
                Value::Scalar(time, values.first().copied().unwrap_or(f64::NAN))
            }
            Outcome::Operand(Operand::Vector(frame)) => Value::Vector(vector(frame, time)),
        };
        Ok(answer(value, notes))
    }

    /// Evaluates a query at each step.
    pub async fn range(
        &self,
        source: &dyn SeriesSource,
        tenant: &Tenant,
        query: &str,
        steps: Steps,
        params: &Params,
    ) -> Result<QueryAnswer, Error> {
        steps.check(self.options.max_points)?;
        let expr = parse(query, &self.options.limits)?;
        match expr.value_type() {
            ValueType::Matrix => return Err(Error::RangeQueryType("range vector")),
            ValueType::String => return Err(Error::RangeQueryType("string")),
            ValueType::Scalar | ValueType::Vector => {}
        }
        let (outcome, notes) = self.evaluate(source, tenant, &expr, steps, params).await?;
        let matrix = match outcome {
            Outcome::Operand(Operand::Scalar(values)) => {
                let points = steps.iter().zip(values).collect();
                vec![RangeSeries { labels: Default::default(), points }]
            }
            Outcome::Operand(Operand::Vector(frame)) => matrix(&frame, steps),
            Outcome::Matrix(_) | Outcome::Text(_) => {
                return Err(Error::Internal("a range query came to neither numbers".into()));
            }
        };
        Ok(answer(Value::Matrix(matrix), notes))
    }

    async fn evaluate(
        &self,
        source: &dyn SeriesSource,
        tenant: &Tenant,
        expr: &Expr,
        steps: Steps,
        params: &Params,
    ) -> Result<(Outcome, Annotations), Error> {
        let plan = compile(expr)?;
        let work = async {
            let mut meter = Meter::new(self.options.max_samples);
            let (data, mut notes) =
                self.fetch(source, tenant, &plan, steps, params, &mut meter).await?;
            let lookback = millis(self.options.lookback);
            let mut evaluation = Evaluation::new(plan, data, steps, lookback, meter);
            while evaluation.advance()? == Progress::More {
                tokio::task::yield_now().await;
            }
            let (outcome, found) = evaluation.finish()?;
            notes.merge(found);
            Ok((outcome, notes))
        };
        // Evaluation reads no clock: it is cut short at one of its yields.
        tokio::time::timeout(self.options.timeout, work).await.unwrap_or(Err(Error::Timeout))
    }

    async fn fetch(
        &self,
        source: &dyn SeriesSource,
        tenant: &Tenant,
        plan: &Plan,
        steps: Steps,
        params: &Params,
        meter: &mut Meter,
    ) -> Result<(Vec<Arc<[Samples]>>, Annotations), Error> {
        let lookback = millis(self.options.lookback);
        let hold = if params.latency_offset_zero { 0 } else { MAX_HOLD_MS };
        let selections: Vec<_> = plan
            .selectors
            .iter()
            .map(|selector| selector.selection(tenant, &steps, lookback, hold))
            .collect();
        let mut data = Vec::with_capacity(selections.len());
        let mut notes = Annotations::default();
        for batch in selections.chunks(self.options.parallel_selections.max(1)) {
            for set in try_join_all(batch.iter().map(|selection| source.select(selection))).await? {
                meter.take(set.series.iter().map(|series| series.times.len()).sum())?;
                set.warnings.into_iter().for_each(|warning| notes.add_source_warning(warning));
                data.push(prepare(set.series, params.latency_offset_zero)?.into());
            }
        }
        Ok((data, notes))
    }
}

fn answer(value: Value, notes: Annotations) -> QueryAnswer {
    let (warnings, infos) = notes.into_parts();
    QueryAnswer { value, warnings, infos }
}

fn vector(frame: Frame, time: TimeMs) -> Vec<Sample> {
    let Frame { labels, columns } = frame;
    let cells = labels.into_iter().enumerate();
    let mut samples: Vec<Sample> = cells
        .filter_map(|(row, labels)| {
            columns.cell(row, 0).map(|value| Sample { labels, time, value })
        })
        .collect();
    samples.sort_by(|a, b| a.labels.cmp(&b.labels));
    samples
}

fn matrix(frame: &Frame, steps: Steps) -> Vec<RangeSeries> {
    let mut series = Vec::with_capacity(frame.rows());
    for (row, labels) in frame.labels.iter().enumerate() {
        let (values, present) = frame.columns.row(row);
        let cells = steps.iter().zip(values).zip(present);
        let points: Vec<_> = cells
            .filter(|&(_, &present)| present)
            .map(|((time, &value), _)| (time, value))
            .collect();
        if !points.is_empty() {
            series.push(RangeSeries { labels: labels.clone(), points });
        }
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

fn millis(duration: Duration) -> TimeMs {
    TimeMs::try_from(duration.as_millis()).unwrap_or(TimeMs::MAX / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_can_move_between_threads() {
        fn is_send<F: Future<Output: Send> + Send>(_: impl FnOnce(&'static dyn SeriesSource) -> F) {
        }
        is_send(|source| async move {
            let (engine, tenant) = (Engine::default(), Tenant::default());
            engine.instant(source, &tenant, "up", 0, &Params::default()).await
        });
    }
}
