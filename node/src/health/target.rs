//! How a probed target is, by its last probe.

use super::registry::State;
use crate::probe::{Health, TargetState};

/// One that was not probed yet is taken to be well: the node has just opened its ports.
pub fn target(target: &TargetState) -> State {
    match target.health {
        Health::Unknown | Health::Up => State::Ok,
        Health::Down => State::degraded(&target.last_error),
    }
}
