//! How each component of a node is, and whether the node is on its way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_edge::Clock;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Ok,
    /// It goes on, though not as it should.
    Degraded { reason: String },
}

impl State {
    pub fn degraded(reason: impl Into<String>) -> Self {
        State::Degraded { reason: reason.into() }
    }
}

/// Cheap to clone; all clones are one. A node's own: one process may hold several.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    since_ms: i64,
    stopping: AtomicBool,
    components: Mutex<Vec<Watched>>,
}

struct Watched {
    name: String,
    look: Box<dyn Fn() -> State + Send>,
    seen: State,
    /// Since somebody first saw it so.
    since_ms: i64,
}

/// A component's own state, for it to set.
#[derive(Clone, Default)]
pub struct Component(Arc<Mutex<State>>);

impl Component {
    pub fn set(&self, state: State) {
        *lock(&self.0) = state;
    }
}

/// A component as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) since_ms: i64,
}

impl Health {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let since_ms = clock.now_ms();
        let (stopping, components) = (AtomicBool::new(false), Mutex::default());
        Health { shared: Arc::new(Shared { clock, since_ms, stopping, components }) }
    }

    /// A component that says how it is, and is well until it says otherwise.
    pub fn component(&self, name: &str) -> Component {
        let component = Component::default();
        let own = component.clone();
        self.watch(name, move || lock(&own.0).clone());
        component
    }

    /// A component that is looked at whenever somebody asks. `look` must be quick.
    pub fn watch(&self, name: &str, look: impl Fn() -> State + Send + 'static) {
        let (name, since_ms) = (name.to_owned(), self.now_ms());
        let watched = Watched { name, look: Box::new(look), seen: State::Ok, since_ms };
        lock(&self.shared.components).push(watched);
    }

    /// From now on the node is not to be sent anything.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
    }

    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }

    pub(super) fn since_ms(&self) -> i64 {
        self.shared.since_ms
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// In the order in which they were named.
    pub(super) fn look(&self) -> Vec<Found> {
        let now_ms = self.now_ms();
        let mut components = lock(&self.shared.components);
        let look = |watched: &mut Watched| {
            let state = (watched.look)();
            if state != watched.seen {
                (watched.seen, watched.since_ms) = (state.clone(), now_ms);
            }
            Found { name: watched.name.clone(), state, since_ms: watched.since_ms }
        };
        components.iter_mut().map(look).collect()
    }
}

/// A state is set whole, and a list only grows: neither is ever found half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// Set by hand, in milliseconds.
    #[derive(Default)]
    pub(in crate::health) struct HandClock(pub(in crate::health) AtomicU64);

    impl Clock for HandClock {
        fn now_ns(&self) -> u64 {
            self.0.load(Ordering::Relaxed) * 1_000_000
        }
    }

    #[test]
    fn a_component_is_well_until_it_says_otherwise_and_again_once_it_says_so() {
        let clock = Arc::new(HandClock::default());
        let health = Health::new(clock.clone());
        let disk = health.component("disk");
        let _other = health.component("other");
        let found = |since_ms, state| Found { name: "disk".into(), state, since_ms };
        assert_eq!(health.look()[0], found(0, State::Ok));
        clock.0.store(5, Ordering::Relaxed);
        disk.set(State::degraded("slow"));
        assert_eq!(health.look()[0], found(5, State::degraded("slow")));
        clock.0.store(7, Ordering::Relaxed);
        assert_eq!(health.look()[0], found(5, State::degraded("slow")));
        disk.set(State::Ok);
        assert_eq!(health.look()[0], found(7, State::Ok));
        assert_eq!(health.look()[1], Found { name: "other".into(), state: State::Ok, since_ms: 0 });
    }
}
