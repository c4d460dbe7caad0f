//! What the disk was told to refuse.

use crate::disk::ErrorKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening or making a file, and locks.
    Open,
    /// Reading or listing, a file or rows.
    Read,
    Append,
    Sync,
    Truncate,
    /// Making, renaming, removing and linking names.
    Name,
    SyncDir,
    Replace,
    /// A batch to families.
    Write,
    Flush,
}

/// Refuses an operation, once or often.
#[derive(Clone, Debug)]
pub struct Fault {
    pub on: Operation,
    /// Only for paths that start like this.
    pub under: String,
    /// How many such operations still go well.
    pub after: u64,
    /// How many are refused then.
    pub times: u64,
    pub kind: ErrorKind,
}

impl Fault {
    /// Refuses the `n`-th operation from now on, counted from zero, as a broken disk would.
    pub fn nth(on: Operation, n: u64) -> Self {
        Fault { on, under: String::new(), after: n, times: 1, kind: ErrorKind::Io }
    }

    pub fn always(on: Operation) -> Self {
        Fault { times: u64::MAX, ..Fault::nth(on, 0) }
    }

    pub fn under(self, path: impl Into<String>) -> Self {
        Fault { under: path.into(), ..self }
    }

    pub fn kind(self, kind: ErrorKind) -> Self {
        Fault { kind, ..self }
    }
}

#[derive(Default)]
pub(super) struct Faults {
    told: Vec<Fault>,
}

impl Faults {
    pub(super) fn tell(&mut self, fault: Fault) {
        self.told.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.told.clear();
    }

    /// Whether this operation is refused, and how. Each fault counts for itself.
    pub(super) fn strike(&mut self, on: Operation, path: &str) -> Option<ErrorKind> {
        let mut struck = None;
        for fault in &mut self.told {
            if fault.on != on || !path.starts_with(&fault.under) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                struck = struck.or(Some(fault.kind));
            }
        }
        self.told.retain(|fault| fault.times > 0);
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_operation_under_a_path_is_refused_once() {
        let mut faults = Faults::default();
        faults.tell(Fault::nth(Operation::Sync, 1).under("log/"));
        assert_eq!(faults.strike(Operation::Sync, "log/a"), None);
        assert_eq!(faults.strike(Operation::Sync, "other"), None);
        assert_eq!(faults.strike(Operation::Append, "log/a"), None);
        assert_eq!(faults.strike(Operation::Sync, "log/b"), Some(ErrorKind::Io));
        assert_eq!(faults.strike(Operation::Sync, "log/b"), None);
    }
}
