//! Doors for the fuzz targets, a feature: what takes bytes that somebody else made.

use bytes::Bytes;
use tributary_spanmetrics::codec::{DecodeError, Reader};
use tributary_spanmetrics::{Layout, Partial, Slot};

pub use crate::receivers::fuzzing::{Refused, Unpacked, unpack};
use crate::record::Record;

/// Reads a record of the journal to its end, as a replay does that finds every group and layout
/// defined; answers it written anew.
pub fn record(bytes: &Bytes) -> Result<Vec<u8>, DecodeError> {
    let record = Record::decode(bytes)?;
    if let Record::Request(request) = &record {
        let mut r = Reader::new(&request.partial);
        let buckets = Layout::default().buckets();
        Partial::decode(&mut r, |_| Some(buckets), |number| Some(Slot(number.0)))?;
        r.finish()?;
    }
    Ok(record.encode())
}
