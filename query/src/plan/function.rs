//! The functions over ranges that the engine knows.

/// A function of the samples in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
}

impl RangeFunction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "rate" => Some(RangeFunction::Rate),
            "increase" => Some(RangeFunction::Increase),
            "delta" => Some(RangeFunction::Delta),
            _ => None,
        }
    }

    /// Whether a value below the one before it means that a counter began anew.
    pub(crate) fn of_counter(self) -> bool {
        !matches!(self, RangeFunction::Delta)
    }

    /// Whether the result is per second.
    pub(crate) fn per_second(self) -> bool {
        matches!(self, RangeFunction::Rate)
    }
}
