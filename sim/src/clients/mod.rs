//! The clients of the edges, as OTLP's exporters are: each keeps to one edge and sends the same bytes until
//! they are acked.
//!
//! ```text
//! exporter ─ bytes ─▶ front ─▶ edge's handle        hangs up early, sends on two connections at once,
//!     ▲ again, after a pause, through restarts      sends again what was acked, or gives up
//! oracle: what was sent, how often, and answered
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use madsim::task::{JoinHandle, spawn_local};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

mod exporter;
mod front;
mod habit;

pub(crate) use habit::Habit;

use crate::cluster::{EdgeNode, Life};
use crate::invariants::Observed;
use crate::oracle::Oracle;
use crate::plant::Course;
use crate::trace::Trace;
use crate::traffic;
use exporter::Exporter;
use front::Front;

/// How much sooner than it might be forgotten a request is sent for the last time.
const MARGIN: Duration = Duration::from_secs(10);

pub(crate) struct Clients {
    trace: Trace,
    observed: Observed,
    pub(crate) edges: [EdgeNode; 2],
    pub(crate) oracle: RefCell<Oracle>,
    front: Front,
    is_damaged: bool,
    /// How long an edge remembers what it answered.
    memory: Duration,
    requests: Cell<usize>,
    /// Every one that was started.
    exporters: RefCell<Vec<Rc<Exporter>>>,
    running: RefCell<Vec<JoinHandle<()>>>,
    is_calm: watch::Sender<bool>,
}

impl Clients {
    pub(crate) fn new(
        trace: Trace,
        observed: Observed,
        edges: [EdgeNode; 2],
        memory: Duration,
        course: Course,
    ) -> Self {
        let oracle = Oracle::new(course.is_damaged);
        Clients {
            trace,
            observed,
            edges,
            oracle: RefCell::new(oracle),
            front: Front::new(course.plant),
            is_damaged: course.is_damaged,
            memory,
            requests: Cell::new(0),
            exporters: RefCell::default(),
            running: RefCell::default(),
            is_calm: watch::Sender::new(false),
        }
    }

    /// New requests to both edges, mostly alone and sometimes many at once.
    pub(crate) async fn send_on_and_on(self: Rc<Self>) {
        loop {
            sleep(Duration::from_millis(thread_rng().gen_range(1..1_400))).await;
            let many =
                if thread_rng().gen_ratio(1, 20) { thread_rng().gen_range(2..12) } else { 1 };
            for _ in 0..many {
                let edge = thread_rng().gen_range(0..2);
                self.start(edge, Habit::random());
            }
        }
    }

    /// One more request to an edge.
    pub(crate) fn start(self: &Rc<Self>, edge: usize, habit: Habit) -> Rc<Exporter> {
        let number = self.requests.get();
        self.requests.set(number + 1);
        let exporter = Rc::new(Exporter::new(self, number, traffic::request(number), edge, habit));
        self.exporters.borrow_mut().push(Rc::clone(&exporter));
        let (clients, running) = (Rc::clone(self), Rc::clone(&exporter));
        self.running.borrow_mut().push(spawn_local(async move {
            if let Err(violation) = running.run(&clients).await {
                clients.observed.report(violation);
            }
        }));
        exporter
    }

    /// From now on nobody dawdles: whoever wants to send once more does it at once.
    pub(crate) fn calm_down(&self) {
        self.is_calm.send_replace(true);
    }

    /// Waits until every client has what it wanted, or has given up; answers how many have not, after a time.
    pub(crate) async fn are_done(&self, within: Duration) -> Result<(), usize> {
        let running = self.running.take();
        let all = async {
            for exporter in running {
                exporter.await.expect("no client panics");
            }
        };
        let unfinished = || self.exporters.borrow().iter().filter(|one| !one.is_done()).count();
        timeout(within, all).await.map_err(|_| unfinished())
    }

    /// Those that an edge has acked and must still remember.
    pub(crate) fn remembered_by(&self, edge: usize) -> Vec<Rc<Exporter>> {
        let exporters = self.exporters.borrow();
        let remembered = exporters.iter().filter(|one| one.edge == edge && one.is_remembered(self));
        remembered.map(Rc::clone).collect()
    }

    /// Requests, and how often one was sent.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.requests.get(), self.oracle.borrow().tries())
    }

    pub(crate) fn life(&self, edge: usize) -> Option<Life> {
        self.edges[edge].life()
    }

    /// Ends early when all is calm.
    async fn dawdle(&self, pause: Duration) {
        let mut calm = self.is_calm.subscribe();
        let _ = timeout(pause, calm.wait_for(|is_calm| *is_calm)).await;
    }
}
