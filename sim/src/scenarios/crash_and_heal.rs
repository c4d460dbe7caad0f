//! Clients send all the time, to either edge. Round after round an edge or the core goes down, mostly
//! in the middle of a write, and comes back; the network loses, delays and repeats. Then everything
//! heals, and what queries answer is what the clients sent.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use madsim::rand::{Rng, thread_rng};
use madsim::runtime::Handle;
use madsim::task::spawn_local;
use tokio::time::{sleep, timeout};
use tributary_edge::{Clock, Refusal, TraceAnswer, TraceRequest};
use tributary_proto::ShardId;
use tributary_spanmetrics::Encoding;

use crate::cluster::{CoreNode, EdgeNode, GRACE, Life, Machine, Outage, SHARDS};
use crate::invariants::{self, Healed, Observed, Violation};
use crate::oracle::{AckedAt, Limits, Oracle, Tally};
use crate::plant::Plant;
use crate::trace::Trace;
use crate::traffic::{self, Sent};
use crate::wire::{Weather, Wire};

const ROUNDS: usize = 5;

struct World {
    trace: Trace,
    observed: Observed,
    weather: Weather,
    core: CoreNode,
    edges: [EdgeNode; 2],
    oracle: RefCell<Oracle>,
}

pub(crate) async fn run(plant: Option<Plant>, trace: &Trace) -> Result<(), Violation> {
    let world = Rc::new(World::start(plant, trace));
    world.weather.set_storm(true);
    let clients = spawn_local(Rc::clone(&world).send_on_and_on());
    let watcher = spawn_local(Rc::clone(&world).watch_on_and_on());
    for _ in 0..ROUNDS {
        world.round().await;
        if watcher.is_finished() {
            break;
        }
    }
    clients.abort();
    watcher.abort();
    if let Ok(Err(violation)) = watcher.await {
        return Err(violation);
    }
    world.heal().await
}

impl World {
    fn start(plant: Option<Plant>, trace: &Trace) -> Self {
        let (observed, weather) = (Observed::new(trace.clone()), Weather::default());
        // Each bug is planted where it belongs.
        let core = CoreNode::start(plant.filter(|plant| *plant == Plant::WatermarkApart));
        let network = Handle::current().create_node().name("network").build();
        let edges = ["north", "south"].map(|region| {
            let wire = Wire {
                shards: SHARDS,
                core: core.slot().clone(),
                weather: weather.clone(),
                observed: observed.clone(),
                network: network.clone(),
            };
            EdgeNode::start(region, wire, plant.filter(|plant| *plant == Plant::AckBeforeSync))
        });
        let trace = trace.clone();
        World { trace, observed, weather, core, edges, oracle: RefCell::default() }
    }

    /// One node goes down and, after a while, comes back.
    async fn round(&self) {
        pause(500..9_000).await;
        let (outage, down_ms) = (Outage::random(), thread_rng().gen_range(1..12_000));
        let which = thread_rng().gen_range(0..5);
        match self.edges.get(which) {
            Some(edge) => {
                self.trace.event(format_args!("{}: {outage:?}", edge.region));
                edge.machine.go_down(outage).await;
                edge.unplug();
                self.up_after(&edge.machine, edge.region, down_ms).await;
            }
            None => {
                self.trace.event(format_args!("core: {outage:?}"));
                self.core.machine.go_down(outage).await;
                self.core.unplug();
                self.up_after(&self.core.machine, "core", down_ms).await;
            }
        }
    }

    async fn up_after(&self, machine: &Machine, name: &str, ms: u64) {
        self.trace.event(format_args!("{name}: down for {ms} ms"));
        sleep(Duration::from_millis(ms)).await;
        machine.come_up();
        self.trace.event(format_args!("{name}: up"));
    }

    async fn send_on_and_on(self: Rc<Self>) {
        for number in 0.. {
            pause(1..1_200).await;
            let edge = thread_rng().gen_range(0..2);
            if let Some(life) = self.edges[edge].life() {
                spawn_local(Rc::clone(&self).send(number, edge, life));
            }
        }
    }

    async fn send(self: Rc<Self>, number: usize, edge: usize, life: Life) {
        let Sent { tenant, body, spans, marker } = traffic::request(number);
        let EdgeNode { region, clock, .. } = &self.edges[edge];
        let request = self.oracle.borrow_mut().send(&spans, &marker, region, SHARDS);
        // Some clients hang up early; what they sent runs its course.
        let patience = if thread_rng().gen_ratio(1, 10) { 3 } else { 5_000 };
        let asked = TraceRequest { tenant, encoding: Encoding::Protobuf, body };
        let answer = timeout(Duration::from_millis(patience), life.handle.ingest(asked)).await;
        self.trace.event(format_args!("request {number} to {region}: {answer:?}"));
        match answer {
            Ok(Ok(answer)) => {
                let of = |limits| spans.iter().filter(|span| span.limits == limits).count() as u64;
                let (accepted, late, future) =
                    (of(Limits::Within), of(Limits::TooLate), of(Limits::TooFarAhead));
                assert_eq!(answer, TraceAnswer { accepted, late, future }, "request {number}");
                let at = AckedAt {
                    source: life.source,
                    now_ms: clock.now_ms(),
                    grace_ms: GRACE.as_millis() as i64,
                    promised_at_boot_ms: life.promised_at_boot_ms,
                    known: &self.observed.known(),
                };
                self.oracle.borrow_mut().acked(request, &at);
            }
            Ok(Err(Refusal::BadData(_) | Refusal::TooLarge(_) | Refusal::Overload { .. })) => {
                self.oracle.borrow_mut().refused(request);
            }
            // Whether it was written is the edge's secret.
            Ok(Err(Refusal::Journal(_) | Refusal::Stopping)) | Err(_) => {}
        }
    }

    async fn watch_on_and_on(self: Rc<Self>) -> Result<(), Violation> {
        loop {
            pause(500..5_000).await;
            // A few shards at a time: a look at all of them costs more than what they did since.
            let of = thread_rng().gen_range(0..4);
            self.watch(|shard| shard.0 % 4 == of).await?;
        }
    }

    /// Looks at some shards once. Answers what they hold; `None` when the core went down meanwhile.
    async fn watch(&self, looks_at: impl Fn(ShardId) -> bool) -> Result<Option<Tally>, Violation> {
        self.observed.check()?;
        let Some(store) = self.core.store() else { return Ok(None) };
        // Everything that was known before the views are taken must show in them: no waiting between.
        let (acked, closed) = (self.observed.acked(), self.observed.closed());
        let views = (0..).map(ShardId).zip(store.views());
        let views: Vec<_> = views.filter(|(shard, _)| looks_at(*shard)).collect();
        let covered: Vec<_> = views
            .iter()
            .map(|(shard, view)| {
                let complete_to_ms = view.completeness().complete_to_ms.unwrap_or(i64::MIN);
                (complete_to_ms, self.oracle.borrow().covered_tally(*shard, complete_to_ms))
            })
            .collect();
        let mut all = Tally::default();
        for ((shard, view), (complete_to_ms, covered)) in views.iter().zip(covered) {
            let content = match view.content().await {
                Ok(content) => content,
                Err(error) if self.core.store().is_some() => {
                    return Err(invariants::stays_readable(*shard, &error));
                }
                Err(_) => return Ok(None),
            };
            let mut held = Tally::default();
            held.add_content(&content);
            all.add_content(&content);
            invariants::closed_is_not_live(&closed, *shard, view)?;
            if let Some(acked) = acked.get(shard) {
                invariants::acked_slices_stay(*shard, &held, acked)?;
            }
            invariants::completeness_covers(*shard, complete_to_ms, &held, &covered)?;
        }
        invariants::at_most_once(&all, &self.oracle.borrow())?;
        self.trace.event(format_args!("{} spans are there", all.spans()));
        Ok(Some(all))
    }

    /// Fair weather, no more crashes, no more requests: then everything has to come out right.
    async fn heal(&self) -> Result<(), Violation> {
        self.weather.set_storm(false);
        self.trace.event("heal");
        // Whoever still waits for an answer gives up within this time.
        sleep(Duration::from_secs(6)).await;
        let live = self.edges.iter().filter_map(EdgeNode::life).map(|life| life.source).collect();
        let store = self.core.store().expect("the core came up");
        let last = self.oracle.borrow().greatest_tally().last_window_end_ms();
        let complete_to_ms = last.unwrap_or_default();
        let took = invariants::heals(&store, &Healed { complete_to_ms, live }).await?;
        self.trace.event(format_args!("healed after {took:?}"));
        let held = self.watch(|_| true).await?.expect("the core stays up");
        invariants::exactly_once(&held, &self.oracle.borrow())?;
        invariants::closed_refuses_slices(&self.observed, &store).await?;
        let exact = self.oracle.borrow().exact_tally(&held);
        invariants::promql_agrees(&store, &exact, complete_to_ms).await?;
        let [acked, refused, unknown] = self.oracle.borrow().fates();
        self.trace
            .event(format_args!("{acked} requests acked, {refused} refused, {unknown} unknown"));
        Ok(())
    }
}

async fn pause(ms: std::ops::Range<u64>) {
    let ms = thread_rng().gen_range(ms);
    sleep(Duration::from_millis(ms)).await;
}
