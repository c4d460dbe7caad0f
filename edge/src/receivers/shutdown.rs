//! When to stop.

use tokio::sync::watch;

/// Said once, by the node; a sender that is gone says it too.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    pub(crate) fn new(receiver: watch::Receiver<bool>) -> Self {
        Shutdown(receiver)
    }

    pub(crate) fn is_told(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    pub(crate) async fn told(mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
