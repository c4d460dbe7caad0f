//! What a parsed configuration is held against: every field is looked at, every fault is told.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value that no run is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From the root, as `edge.histogram.bounds[3]`.
    pub path: String,
    pub value: String,
    pub accepted: String,
}

/// Collects the faults of a section and of those below it.
#[derive(Default)]
pub(super) struct Checks {
    sections: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Checks {
    pub(super) fn section(&mut self, name: &'static str, check: impl FnOnce(&mut Checks)) {
        self.sections.push(name);
        check(self);
        self.sections.pop();
    }

    pub(super) fn fault(&mut self, field: &str, value: impl Display, accepted: impl Into<String>) {
        let path = self.sections.iter().copied().chain([field]).collect::<Vec<_>>().join(".");
        self.faults.push(Fault { path, value: value.to_string(), accepted: accepted.into() });
    }

    pub(super) fn within<T: PartialOrd + Display>(
        &mut self,
        field: &str,
        value: T,
        accepted: RangeInclusive<T>,
    ) {
        if !accepted.contains(&value) {
            let (least, most) = accepted.into_inner();
            self.fault(field, value, format!("from {least} to {most}"));
        }
    }

    /// Of a list's entries.
    pub(super) fn number(&mut self, field: &str, found: usize, accepted: RangeInclusive<usize>) {
        if !accepted.contains(&found) {
            let (least, most) = accepted.into_inner();
            self.fault(field, format_args!("{found} entries"), format!("from {least} to {most}"));
        }
    }

    pub(super) fn faults(self) -> Vec<Fault> {
        self.faults
    }
}
