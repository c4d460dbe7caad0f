//! What the engine answers.

use tributary_spanmetrics::Labels;

use crate::source::TimeMs;

#[derive(Clone, Debug, PartialEq)]
pub struct QueryAnswer {
    pub value: Value,
    /// The answer may not be what was asked for; sorted.
    pub warnings: Vec<String>,
    /// The query may not be what was meant; sorted.
    pub infos: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(TimeMs, f64),
    String(TimeMs, String),
    /// Sorted by labels.
    Vector(Vec<Sample>),
    /// Sorted by labels; no series without a point.
    Matrix(Vec<RangeSeries>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    /// The evaluation time, even where the value was taken from an earlier moment.
    pub time: TimeMs,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    pub labels: Labels,
    pub points: Vec<(TimeMs, f64)>,
}
