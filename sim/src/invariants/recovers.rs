//! Liveness: an edge whose disk is well again takes requests, with no restart; and when all faults have
//! ended every client that goes on trying gets its ack.

use std::time::Duration;

use super::{Violation, violated};

const NAME: &str = "recovers by itself";

/// Before it, a request that is sent to an edge with a sound disk has to be acked: a client's longest
/// pause and patience, and as much again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(20);

/// An edge that did not within [`RECOVERY`].
pub(crate) fn does_not_recover(region: &str) -> Violation {
    let seen = format!("{region} has a sound disk for {RECOVERY:?} and takes no request");
    Violation { invariant: NAME, seen }
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
