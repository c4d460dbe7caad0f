//! Clients send all the time, to either edge. Round after round an edge or the core goes down, mostly
//! in the middle of a write, and comes back; edges' disks fail for a while and their clocks step; the
//! network loses, delays and repeats. Then everything heals, edges that start once more are asked for
//! all that they must remember, and what queries answer is what the clients sent.

use std::rc::Rc;
use std::time::Duration;

use madsim::rand::seq::SliceRandom;
use madsim::rand::{Rng, thread_rng};
use madsim::runtime::Handle;
use madsim::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use tributary_proto::ShardId;

use super::summary::Summary;
use crate::clients::{Clients, Habit};
use crate::clock::{LONGEST_STEP_S, now_ms};
use crate::cluster::{CoreNode, EdgeNode, GRACE, Life, Machine, Outage, SHARDS};
use crate::disk::{FINGERPRINTS, JOURNAL, Trouble};
use crate::invariants::{self, Counted, Healed, Observed, RECOVERY, Violation};
use crate::oracle::{Tally, WINDOW_MS};
use crate::plant::{Course, Plant};
use crate::trace::Trace;
use crate::wire::{Weather, Wire};

const ROUNDS: usize = 5;
/// How long an edge remembers what it answered: as in production, or so short that it forgets on the way.
const MEMORIES: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(45)];

struct World {
    /// Bits of edges' journals flip while they are down.
    is_damaged: bool,
    trace: Trace,
    observed: Observed,
    weather: Weather,
    core: CoreNode,
    clients: Rc<Clients>,
    summary: Summary,
}

pub(crate) async fn run(course: Course, trace: &Trace, summary: &Summary) -> Result<(), Violation> {
    let world = Rc::new(World::start(course, trace, summary));
    let verdict = storm_and_heal(Rc::clone(&world)).await;
    world.sum_up().await;
    verdict
}

async fn storm_and_heal(world: Rc<World>) -> Result<(), Violation> {
    world.weather.set_storm(true);
    let watcher = spawn_local(Rc::clone(&world).watch_on_and_on());
    let mut storm = vec![
        spawn_local(Rc::clone(&world.clients).send_on_and_on()),
        spawn_local(Rc::clone(&world).step_clocks_on_and_on()),
    ];
    let troubles = (0..2).map(|edge| spawn_local(Rc::clone(&world).trouble_on_and_on(edge)));
    storm.extend(troubles);
    for _ in 0..ROUNDS {
        world.round().await;
        if watcher.is_finished() {
            break;
        }
    }
    storm.iter().for_each(JoinHandle::abort);
    watcher.abort();
    if let Ok(Err(violation)) = watcher.await {
        return Err(violation);
    }
    world.heal().await
}

impl World {
    fn start(course: Course, trace: &Trace, summary: &Summary) -> Self {
        let (observed, weather) =
            (Observed::new(trace.clone(), course.is_damaged), Weather::default());
        let plant = course.plant;
        // Each bug is planted where it belongs.
        let core = CoreNode::start(plant.filter(|plant| *plant == Plant::WatermarkApart));
        let network = Handle::current().create_node().name("network").build();
        let memory = *MEMORIES.choose(&mut thread_rng()).expect("some");
        let edges = ["north", "south"].map(|region| {
            let wire = Wire {
                shards: SHARDS,
                core: core.slot().clone(),
                weather: weather.clone(),
                observed: observed.clone(),
                network: network.clone(),
            };
            EdgeNode::start(region, memory, wire, plant)
        });
        let clients = Clients::new(trace.clone(), observed.clone(), edges, memory, course);
        let (trace, summary) = (trace.clone(), summary.clone());
        let is_damaged = course.is_damaged;
        World { is_damaged, trace, observed, weather, core, clients: Rc::new(clients), summary }
    }

    /// One node goes down and, after a while, comes back.
    async fn round(&self) {
        pause(500..9_000).await;
        let down_ms = thread_rng().gen_range(1..12_000);
        self.summary.count(|counts| &mut counts.outages);
        let which = thread_rng().gen_range(0..4);
        match self.clients.edges.get(which) {
            Some(edge) => {
                let outage = Outage::random(Some(FINGERPRINTS));
                self.trace.event(format_args!("{}: {outage:?}", edge.region));
                edge.machine.go_down(outage).await;
                edge.unplug();
                if self.is_damaged {
                    self.harm(edge).await;
                }
                self.up_after(&edge.machine, edge.region, down_ms).await;
            }
            None => {
                let outage = Outage::random(None);
                self.trace.event(format_args!("core: {outage:?}"));
                self.core.machine.go_down(outage).await;
                self.core.unplug();
                self.up_after(&self.core.machine, "core", down_ms).await;
            }
        }
    }

    async fn harm(&self, edge: &EdgeNode) {
        for _ in 0..thread_rng().gen_range(0..3) {
            if let Some(record) = edge.machine.disk.harm(JOURNAL).await {
                self.trace.event(format_args!("{}: record {record} is damaged", edge.region));
                self.summary.count(|counts| &mut counts.damaged);
            }
        }
    }

    async fn up_after(&self, machine: &Machine, name: &str, ms: u64) {
        self.trace.event(format_args!("{name}: down for {ms} ms"));
        sleep(Duration::from_millis(ms)).await;
        machine.come_up();
        self.trace.event(format_args!("{name}: up"));
    }

    /// An edge's clock steps by minutes, there or back.
    async fn step_clocks_on_and_on(self: Rc<Self>) {
        loop {
            pause(2_000..25_000).await;
            let longest = LONGEST_STEP_S as i64 * 1_000;
            let back = thread_rng().gen_ratio(1, 3);
            let off_ms = if back { 0 } else { thread_rng().gen_range(-longest..=longest) };
            let edge = self.clients.edges.choose(&mut thread_rng()).expect("some");
            self.trace.event(format_args!("{}: the clock steps to {off_ms} ms", edge.region));
            edge.clock.step_to(off_ms);
            self.summary.count(|counts| &mut counts.clock_steps);
        }
    }

    /// An edge's disk fails for a while; then the edge has to come right without a restart.
    async fn trouble_on_and_on(self: Rc<Self>, edge: usize) {
        let EdgeNode { region, machine, .. } = &self.clients.edges[edge];
        loop {
            pause(1_000..15_000).await;
            let trouble = Trouble::random();
            self.trace.event(format_args!("{region}: {trouble:?}"));
            machine.disk.begin(trouble);
            let is_short = thread_rng().gen_bool(0.5);
            pause(if is_short { 20..300 } else { 300..9_000 }).await;
            machine.disk.end_trouble();
            self.trace.event(format_args!("{region}: the disk is well"));
            self.summary.count(|counts| &mut counts.troubles);
            if let Some(life) = self.clients.life(edge) {
                let recovered = self.recovers(edge, &life).await;
                recovered.unwrap_or_else(|violation| self.observed.report(violation));
            }
        }
    }

    /// Whether this very life of an edge takes a new request.
    async fn recovers(&self, edge: usize, life: &Life) -> Result<(), Violation> {
        let (began, request) = (Instant::now(), self.clients.start(edge, Habit::default()));
        let lives = || self.clients.life(edge).is_some_and(|now| now.source == life.source);
        while lives() && !request.is_acked(&self.clients) {
            if began.elapsed() > RECOVERY {
                return Err(invariants::does_not_recover(self.clients.edges[edge].region));
            }
            pause(50..150).await;
        }
        Ok(())
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
        let oracle = &self.clients.oracle;
        // Everything that was known before the views are taken must show in them: no waiting between.
        let (acked, closed) = (self.observed.acked(), self.observed.closed());
        let views = (0..).map(ShardId).zip(store.views());
        let views: Vec<_> = views.filter(|(shard, _)| looks_at(*shard)).collect();
        let covered: Vec<_> = views
            .iter()
            .map(|(shard, view)| {
                let complete_to_ms = view.completeness().complete_to_ms.unwrap_or(i64::MIN);
                (complete_to_ms, oracle.borrow().covered_tally(*shard, complete_to_ms))
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
            if !self.is_damaged {
                invariants::completeness_covers(*shard, complete_to_ms, &held, &covered)?;
            }
        }
        invariants::repeats_count_once(&all, &oracle.borrow())?;
        invariants::at_most_once(&all, &oracle.borrow())?;
        invariants::refused_leaves_no_trace(&all, &oracle.borrow())?;
        self.trace.event(format_args!("{} spans are there", all.spans()));
        Ok(Some(all))
    }

    /// Fair weather, sound disks, clocks set right, no more crashes but those that ask what edges remember,
    /// and no more new requests: then everything has to come out right.
    async fn heal(&self) -> Result<(), Violation> {
        self.trace.event("heal");
        self.weather.set_storm(false);
        for edge in &self.clients.edges {
            edge.machine.disk.end_trouble();
            edge.clock.step_to(0);
        }
        self.clients.calm_down();
        while self.core.store().is_none() {
            pause(1..100).await;
        }
        let unfinished = self.clients.are_done(RECOVERY).await.err().unwrap_or(0);
        self.observed.check()?;
        invariants::clients_get_through(unfinished)?;
        for edge in 0..self.clients.edges.len() {
            for _ in 0..thread_rng().gen_range(0..4) {
                self.ask_again(edge).await?;
            }
        }
        let lives = [self.life_of(0).await?, self.life_of(1).await?];
        let store = self.core.store().expect("the core has long come up");
        let last = self.clients.oracle.borrow().greatest_tally().last_window_end_ms();
        let complete_to_ms = last.unwrap_or_default();
        let live = lives.iter().map(|life| life.source).collect();
        let healed =
            Healed { complete_to_ms, live, sealed_at_ms: all_sealed_at_ms(complete_to_ms) };
        let took = invariants::heals(&store, &healed).await;
        // Whatever was seen before says more than what it led to.
        self.observed.check()?;
        let took = took?;
        self.trace.event(format_args!("healed after {took:?}"));
        for (edge, life) in self.clients.edges.iter().zip(&lives) {
            invariants::journal_is_let_go(edge.region, life.handle.metrics()).await?;
        }
        let held = self.watch(|_| true).await?.expect("the core stays up");
        let oracle = &self.clients.oracle;
        if !self.observed.is_damage_told() {
            invariants::exactly_once(&held, &oracle.borrow())?;
        }
        invariants::closed_refuses_slices(&self.observed, &store).await?;
        let exact = match self.is_damaged {
            true => held,
            false => oracle.borrow().exact_tally(&held),
        };
        invariants::promql_agrees(&store, &exact, complete_to_ms).await
    }

    /// The edge as it is once it has come up.
    async fn life_of(&self, edge: usize) -> Result<Life, Violation> {
        let began = Instant::now();
        loop {
            self.observed.check()?;
            match self.clients.life(edge) {
                Some(life) => return Ok(life),
                None if began.elapsed() > RECOVERY => break,
                None => pause(1..100).await,
            }
        }
        Err(invariants::does_not_recover(self.clients.edges[edge].region))
    }

    /// The power of an edge goes once more, and it is sent all that it must remember.
    async fn ask_again(&self, edge: usize) -> Result<(), Violation> {
        let EdgeNode { region, machine, .. } = &self.clients.edges[edge];
        machine.lose_power();
        self.clients.edges[edge].unplug();
        machine.come_up();
        let life = self.life_of(edge).await?;
        let remembered = self.clients.remembered_by(edge);
        self.trace.event(format_args!("{region}: {} requests once more", remembered.len()));
        for exporter in remembered {
            let before = Counted::by(life.handle.metrics());
            let answer = exporter.send_again(&self.clients, &life).await?;
            let after = Counted::by(life.handle.metrics());
            let request = exporter.number();
            if !self.is_damaged {
                invariants::memory_survives(request, region, &answer, before, after)?;
            }
            self.summary.count(|counts| &mut counts.remembered);
        }
        Ok(())
    }

    async fn sum_up(&self) {
        let fates = self.clients.oracle.borrow().fates();
        let (mut trimmed, mut forgotten) = (0, 0);
        for edge in &self.clients.edges {
            trimmed += edge.machine.disk.first_record_of(JOURNAL).await;
            forgotten += edge.machine.disk.first_record_of(FINGERPRINTS).await;
        }
        self.summary.close(self.clients.counts(), fates, [trimmed, forgotten]);
    }
}

/// When the last seal that anything waits for was made, in the world's time: that of the last window, or the
/// next one, with what came late to a promise. A further window is for the edges' skew.
fn all_sealed_at_ms(last_window_ms: i64) -> i64 {
    now_ms().max(last_window_ms) + GRACE.as_millis() as i64 + 2 * WINDOW_MS
}

async fn pause(ms: std::ops::Range<u64>) {
    let ms = thread_rng().gen_range(ms);
    sleep(Duration::from_millis(ms)).await;
}
