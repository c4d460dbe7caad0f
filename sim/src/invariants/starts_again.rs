//! Whatever its last life left, a node starts on a sound disk.

use super::Violation;

pub(crate) fn cannot_start(name: &str, error: &anyhow::Error) -> Violation {
    Violation { invariant: "starts again", seen: format!("{name}: {error:#}") }
}
