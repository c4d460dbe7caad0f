//! One seed, from an empty world to a verdict.

use std::time::Duration;

use crate::invariants::Violation;
use crate::plant::Course;
use crate::scenarios::{Summary, crash_and_heal};
use crate::trace::Trace;

/// A world that takes longer than this has stopped moving.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub struct Outcome {
    /// Of every event of the run.
    pub trace: u64,
    pub events: u64,
    /// How much happened.
    pub summary: String,
    pub violation: Option<Violation>,
}

impl Outcome {
    pub fn verdict(&self) -> String {
        match &self.violation {
            None => "good".into(),
            Some(violation) => violation.to_string(),
        }
    }
}

/// Runs the scenario from a seed. `print` shows the events as they happen. Once in a process: see
/// `on_a_fresh_thread`.
pub fn run(seed: u64, course: Course, print: bool) -> Outcome {
    on_a_fresh_thread(move || {
        let mut world = madsim::runtime::Runtime::with_seed_and_config(seed, Default::default());
        world.set_time_limit(LONGEST);
        world.block_on(async move {
            let trace = Trace::new(print);
            let summary = Summary::default();
            let result = crash_and_heal::run(course, &trace, &summary).await;
            let (hash, events) = trace.digest();
            let summary = summary.to_string();
            Outcome { trace: hash, events, summary, violation: result.err() }
        })
    })
}

/// tokio's `select!` and its channels take their chance from a thread-local generator, seeded by the
/// keys of the standard library's hash maps and a counter of the process. The simulator gives those
/// keys to a thread that has made no hash map yet; so the counter must be new too, and no runtime of
/// tokio may stand around the run: its `yield_now` would wait for that runtime's next turn.
fn on_a_fresh_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let ended = std::thread::Builder::new().name("world".into()).spawn(work);
    let ended = ended.expect("a thread can be had").join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
