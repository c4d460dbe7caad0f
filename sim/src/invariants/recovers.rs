//! Liveness: an edge whose disk is well again takes requests, with no restart; and when all faults have
//! ended every client that goes on trying gets its ack.

use std::time::Duration;

use super::{Violation, violated};

const NAME: &str = "recovers by itself";

/// Before it, a request that is sent to an edge with a sound disk has to be acked: a client's longest
/// pause and patience, and as much again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(20);

/// `acked`: whether a new request was, within [`RECOVERY`].
pub(crate) fn recovers(region: &str, acked: bool) -> Result<(), Violation> {
    if acked {
        return Ok(());
    }
    violated(NAME, format!("{region} has a sound disk for {RECOVERY:?} and takes no request"))
}

/// `unfinished`: clients that still try, [`RECOVERY`] after all is well.
pub(crate) fn clients_get_through(unfinished: usize) -> Result<(), Violation> {
    match unfinished {
        0 => Ok(()),
        more => {
            violated(NAME, format!("all is well for {RECOVERY:?} and {more} clients still try"))
        }
    }
}
