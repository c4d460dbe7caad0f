//! Bugs that are planted from outside, to see that the scenario would notice them.
//!
//! Both are lies of the disk, so that production code needs no switch: an edge on a disk that never
//! syncs acks before its record is durable; a shard whose batches are split has its watermark durable
//! apart from the data.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    AckBeforeSync,
    WatermarkApart,
}

impl Plant {
    pub const ALL: [Plant; 2] = [Plant::AckBeforeSync, Plant::WatermarkApart];

    pub fn name(self) -> &'static str {
        match self {
            Plant::AckBeforeSync => "ack-before-sync",
            Plant::WatermarkApart => "watermark-apart",
        }
    }
}
