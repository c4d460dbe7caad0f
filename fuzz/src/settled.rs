//! Runs what never waits for anybody else.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Polls to the end: the memory disk and the unpacker give way, and can always go on.
pub(crate) fn settled<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
