//! What can go wrong with a query, and which of Prometheus's error types each case is.
//!
//! Where Prometheus has a fixed text for a case, the text here is the same, since clients and the
//! conformance suite read it.

use std::fmt;

use thiserror::Error;
use tributary_store::InvalidRegex;

use crate::source::SourceError;

#[derive(Debug, Error)]
pub enum Error {
    #[error("parse error: {0}")]
    Parse(String),
    #[error("query too complex: {what} {found} exceeds the limit of {limit}; split the query")]
    TooComplex { what: &'static str, found: usize, limit: usize },
    #[error("{0} is not supported yet")]
    Unsupported(String),
    #[error(transparent)]
    Matcher(#[from] InvalidRegex),
    #[error("duration {0} is out of range")]
    Duration(String),
    #[error("invalid evaluation times: {0}")]
    Times(&'static str),
    #[error(
        "exceeded maximum resolution of {} points per timeseries. Try decreasing the query \
         resolution (?step=XX)", Thousands(*.limit)
    )]
    TooManyPoints { limit: usize },
    #[error("invalid expression type \"{0}\" for range query, must be Scalar or instant Vector")]
    RangeQueryType(&'static str),
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabels,
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{one}, {other}];many-to-many matching not allowed: matching labels must be \
         unique on one side"
    )]
    ManyToMany { group: String, side: &'static str, one: String, other: String },
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    )]
    ManyToOne,
    #[error(
        "query processing would load too many samples into memory in query execution: {found} \
         exceed the limit of {limit}; narrow the time range or the matchers, or widen the step"
    )]
    TooManySamples { found: usize, limit: usize },
    #[error("query timed out in expression evaluation")]
    Timeout,
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("internal error: {0}")]
    Internal(String),
}

/// Prometheus's `errorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    BadData,
    Execution,
    Timeout,
    Internal,
}

impl Error {
    pub fn error_type(&self) -> ErrorType {
        match self {
            Error::Parse(_)
            | Error::TooComplex { .. }
            | Error::Unsupported(_)
            | Error::Matcher(_)
            | Error::Duration(_)
            | Error::Times(_)
            | Error::TooManyPoints { .. }
            | Error::RangeQueryType(_) => ErrorType::BadData,
            Error::SameLabels
            | Error::ManyToMany { .. }
            | Error::ManyToOne
            | Error::TooManySamples { .. }
            | Error::Source(SourceError::TooMuch(_)) => ErrorType::Execution,
            Error::Timeout => ErrorType::Timeout,
            Error::Source(SourceError::Store(_)) | Error::Internal(_) => ErrorType::Internal,
        }
    }
}

impl ErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::BadData => "bad_data",
            ErrorType::Execution => "execution",
            ErrorType::Timeout => "timeout",
            ErrorType::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A number with a comma before every third digit, as Prometheus writes its limit.
struct Thousands(usize);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
            write!(f, "{}{digit}", if comma { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_points_reads_as_in_prometheus() {
        let e = Error::TooManyPoints { limit: 11_000 };
        assert_eq!(
            e.to_string(),
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)"
        );
        assert_eq!(e.error_type().as_str(), "bad_data");
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        let written = |n| Thousands(n).to_string();
        assert_eq!([written(7), written(999), written(1_234_567)], ["7", "999", "1,234,567"]);
    }
}
