//! The road of a request through an edge, on one core: bytes → fingerprint → partial → encoded record →
//! merge into the windows. What production runs beside it is the journal's write and the transport.
//!
//! `cargo bench -p tributary-bench --bench hot_path -- [--groups N] [--requests N] [--rounds N] [--shuffled]`

use std::alloc::{GlobalAlloc, Layout as Memory};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use mimalloc::MiMalloc;
use tributary_bench::spans::{Batch, Shape, requests};
use tributary_spanmetrics::codec::Writer;
use tributary_spanmetrics::{
    Config, Content, Delta, Encoding, Gathered, Groups, Tenant, Walker, WindowEnd,
};
use twox_hash::XxHash3_128;
use xxhash_rust::xxh3::xxh3_64;

/// Counts allocations: the steady state makes none for a span.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code, reason = "counts, and leaves the work to the allocator that the node has")]
// SAFETY: every call is handed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { MiMalloc.alloc(memory) }
    }

    unsafe fn dealloc(&self, at: *mut u8, memory: Memory) {
        unsafe { MiMalloc.dealloc(at, memory) }
    }

    unsafe fn realloc(&self, at: *mut u8, memory: Memory, bytes: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { MiMalloc.realloc(at, memory, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
struct Arguments {
    /// Groups in all; each is checked against the generator's own sums
    #[arg(long, default_values_t = [1_000, 20_000])]
    groups: Vec<usize>,
    /// Distinct requests
    #[arg(long, default_value_t = 2_000)]
    requests: usize,
    /// Times that all of them are walked
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Spans of a request
    #[arg(long, default_value_t = 512)]
    spans: usize,
    /// Only one of the two orders of attributes
    #[arg(long)]
    shuffled: Option<bool>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

const DIMENSIONS: [&str; 4] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "deployment.environment.name",
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!(
        "| groups | attributes | spans/s, median | best | ns a span | fingerprint | walk | record | merge | record, B a span | allocations a span |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for groups in &arguments.groups {
        for shuffled in [false, true] {
            if arguments.shuffled.is_none_or(|only| only == shuffled) {
                measure(&arguments, *groups, shuffled)?;
            }
        }
    }
    Ok(())
}

fn measure(arguments: &Arguments, groups: usize, shuffled: bool) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now_ns = u64::try_from(now.as_nanos())?;
    let shape = Shape { shuffled, distinct_values: shuffled, ..Shape::of(arguments.spans, groups) };
    let batch = requests(&shape, 7, arguments.requests, now_ns, 5_000_000)?;
    let spans = (arguments.requests * arguments.spans) as f64;
    let mut road = Road::new();
    let mut rounds = Vec::new();
    for round in 0..=arguments.rounds {
        let before = ALLOCATIONS.load(Relaxed);
        let began = Instant::now();
        let took = road.go(&batch, now_ns);
        let whole = began.elapsed();
        let allocated = ALLOCATIONS.load(Relaxed) - before;
        if round == 0 {
            road.check(&batch);
        } else {
            rounds.push((whole, took, allocated));
        }
        road.gathered = Gathered::default();
    }
    rounds.sort_by_key(|(whole, ..)| *whole);
    let rate = |whole: Duration| spans / whole.as_secs_f64() / 1e6;
    let each = |part: Duration| part.as_nanos() as f64 / spans;
    let (whole, took, allocated) = rounds[rounds.len() / 2];
    println!(
        "| {} | {} | {:.2} M | {:.2} M | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {:.4} |",
        shape.groups(),
        if shuffled { "shuffled" } else { "in order" },
        rate(whole),
        rate(rounds[0].0),
        each(whole),
        each(took.fingerprint),
        each(took.walk),
        each(took.record),
        each(took.merge),
        took.record_bytes as f64 / spans,
        allocated as f64 / spans,
    );
    Ok(())
}

struct Road {
    config: Arc<Config>,
    groups: Arc<Groups>,
    walker: Walker,
    gathered: Gathered,
}

#[derive(Clone, Copy, Default)]
struct Took {
    fingerprint: Duration,
    walk: Duration,
    record: Duration,
    merge: Duration,
    record_bytes: usize,
}

impl Road {
    fn new() -> Self {
        let dimensions = DIMENSIONS.map(str::to_owned).to_vec();
        let config = Arc::new(Config { dimensions, ..Config::default() });
        let groups = Arc::new(Groups::new(1 << 20, config.external.clone()));
        let walker = Walker::new(config.clone(), groups.clone(), 0x5eed);
        Road { config, groups, walker, gathered: Gathered::default() }
    }

    fn go(&mut self, batch: &Batch, now_ns: u64) -> Took {
        let tenant = Tenant::default();
        let mut took = Took::default();
        let mut last = Instant::now();
        let mut lap = |into: &mut Duration| {
            let now = Instant::now();
            *into += now - last;
            last = now;
        };
        for body in &batch.bodies {
            let seed = xxh3_64(tenant.as_str().as_bytes());
            let fingerprint = XxHash3_128::oneshot_with_seed(seed, body);
            lap(&mut took.fingerprint);
            let walked = self.walker.walk(body, Encoding::Protobuf, &tenant, now_ns);
            let partial = walked.expect("the generator's requests are good").partial;
            lap(&mut took.walk);
            let mut record = Writer::onto(Vec::with_capacity(128 + 8 * partial.cells.len()));
            record.fixed([0; 26]);
            record.str(tenant.as_str());
            record.fixed(fingerprint.to_le_bytes());
            [1, now_ns, 1, 512, 0, 0].into_iter().for_each(|number| record.varint_u64(number));
            partial.encode(&mut record);
            took.record_bytes += std::hint::black_box(record.into_bytes()).len();
            lap(&mut took.record);
            self.gathered.merge(&self.config.layout, &partial);
            drop(partial);
            lap(&mut took.merge);
        }
        took
    }

    /// Everything that the generator knows of, to the last bucket.
    fn check(&self, batch: &Batch) {
        let slices = self.gathered.slices(Content::default(), 1, &self.groups);
        let content = Content::decode(&slices[&0]).expect("canonical");
        let of_tenant = &content.tenants[&Tenant::default()];
        let of_layout = &of_tenant.layouts[&self.config.layout.id()];
        let mut found: Vec<(WindowEnd, Delta)> = of_layout
            .groups
            .values()
            .flat_map(|group| group.windows.iter().map(|(end, delta)| (*end, delta.clone())))
            .collect();
        let mut expected: Vec<(WindowEnd, Delta)> = batch
            .tally
            .deltas()
            .map(|(_, end_ns, delta)| {
                let buckets = delta.buckets.iter().map(|spans| spans * 1024).collect();
                let (count, sum_us) = (delta.count * 1024, delta.sum_us);
                (WindowEnd((end_ns / 1_000_000) as i64), Delta { count, sum_us, buckets })
            })
            .collect();
        let key = |(end, delta): &(WindowEnd, Delta)| (*end, delta.sum_us, delta.buckets.clone());
        found.sort_by_key(key);
        expected.sort_by_key(key);
        assert_eq!(found.len(), expected.len(), "deltas");
        assert!(found == expected, "what was gathered is not what was sent");
    }
}
