//! Bugs that are planted from outside, to see that the scenario would notice them.
//!
//! Each is a lie beside the code of production, which needs no switch for it: of a disk, or of a front
//! between clients and an edge.
//!
//! | bug | the lie |
//! |---|---|
//! | ack before sync | the edge's disk never syncs |
//! | watermark apart | the core's disk splits batches: what was counted is durable apart from the data |
//! | fingerprints forgotten | the folder of an edge's fingerprints is empty at each start |
//! | trim before carry | that folder is never synced: the journal is trimmed while it alone has them |
//! | waiter acked early | the front answers a repeat while the first is still on its way |
//! | refused after written | the front refuses now and then what the edge has counted |
//! | answered anew | the front answers a repeat by the clock of now |

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    AckBeforeSync,
    WatermarkApart,
    FingerprintsForgotten,
    TrimBeforeCarry,
    WaiterAckedEarly,
    RefusedAfterWritten,
    AnsweredAnew,
}

/// What a run is about beside its seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    pub plant: Option<Plant>,
    /// Whether bits of edges' journals flip. Then spans may be missing, as the edges say, and a request that
    /// was sent again may count again.
    pub is_damaged: bool,
}

impl Plant {
    pub const ALL: [Plant; 7] = [
        Plant::AckBeforeSync,
        Plant::WatermarkApart,
        Plant::FingerprintsForgotten,
        Plant::TrimBeforeCarry,
        Plant::WaiterAckedEarly,
        Plant::RefusedAfterWritten,
        Plant::AnsweredAnew,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Plant::AckBeforeSync => "ack-before-sync",
            Plant::WatermarkApart => "watermark-apart",
            Plant::FingerprintsForgotten => "fingerprints-forgotten",
            Plant::TrimBeforeCarry => "trim-before-carry",
            Plant::WaiterAckedEarly => "waiter-acked-early",
            Plant::RefusedAfterWritten => "refused-after-written",
            Plant::AnsweredAnew => "answered-anew",
        }
    }
}
