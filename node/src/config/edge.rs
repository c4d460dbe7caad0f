//! `edge`: how spans are counted, and how much an edge holds.

use std::collections::{BTreeMap, BTreeSet};

use tributary_query::source::MAX_HOLD_MS;
use tributary_spanmetrics::Layout;

use super::checks::Checks;
use super::page::section;
use super::{Duration, Size};

const DAY: Duration = Duration::days(1);
const YEAR: Duration = Duration::days(366);
const MAX_DIMENSIONS: usize = 64;
const MAX_NAME_BYTES: usize = 255;

section! {
    /// How spans are counted, and how much an edge holds.
    pub struct Edge {
        /// Spans are counted by windows of this width, of their own end time. Divides a day.
        pub window: Duration = Duration::seconds(10),
        /// A window is sealed this long after its end; what comes later is added to it all the same. With
        /// `window` at most 1min: queries wait no longer for what is not whole yet.
        pub grace: Duration = Duration::seconds(2),
        /// The shape of the latency histogram.
        pub histogram: Histogram = Histogram::default(),
        /// Attributes that become labels: the span's, or else its resource's.
        pub dimensions: Vec<String> = Vec::new(),
        /// Labels of this edge, on all that it counts, such as { region: eu-1 }.
        pub external_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// A span that ended longer ago than this when it came is left out and counted as late.
        pub lateness: Duration = Duration::days(30),
        /// A span that ends further ahead than this is left out and counted as future.
        pub future: Duration = Duration::minutes(10),
        /// A request that is sent again is counted once.
        pub dedup: Dedup = Dedup::default(),
        /// Label sets that are counted apart.
        pub groups: Groups = Groups::default(),
        /// What is acknowledged and not yet with the core, on disk.
        pub journal: Journal = Journal::default(),
        /// What the process holds in memory: all that is resident.
        pub memory: Memory = Memory::default(),
    }
}

section! {
    /// The shape of the latency histogram.
    pub struct Histogram {
        /// Upper bounds of the buckets, ascending; a span counts in the first that holds it. +Inf follows.
        pub bounds: Vec<Duration> = [
            2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1_000, 1_400, 2_000, 5_000, 10_000, 15_000,
        ].map(Duration::ms).to_vec(),
    }
}

section! {
    /// A request that is sent again is counted once.
    pub struct Dedup {
        /// How long a request is remembered; 0s: not at all.
        pub window: Duration = Duration::minutes(10),
        /// What remembering may hold; the oldest are forgotten, and counted, beyond it.
        pub memory: Size = Size::mib(64),
    }
}

section! {
    /// Label sets that are counted apart.
    pub struct Groups {
        /// At most so many at a time; what is beyond counts in one overflow group of its tenant.
        pub limit: u64 = 1_000_000,
        /// A group without spans for this long makes room for another.
        pub idle: Duration = Duration::minutes(60),
    }
}

section! {
    /// What is acknowledged and not yet with the core, on disk.
    pub struct Journal {
        /// A fuller journal refuses requests, to be sent again, until the core has taken some.
        pub limit: Size = Size::gib(1),
    }
}

section! {
    /// What the process holds in memory: all that is resident.
    pub struct Memory {
        /// From here on requests are refused, to be sent again; large bodies from seven eighths of it on. From
        /// half of it on new groups fold into overflow groups.
        pub soft: Size = Size::gib(1),
        /// It stays below this. Bodies that are on their way grow to half way between the two.
        pub hard: Size = Size::mib(1536),
    }
}

impl Edge {
    pub(super) fn check(&self, checks: &mut Checks) {
        // Queries step back by this much to what is whole, so a window and its grace have to fit.
        let most = Duration::ms(MAX_HOLD_MS.unsigned_abs());
        let window = Duration::ms(self.window.as_ms());
        let in_range = (Duration::seconds(1)..=most).contains(&window);
        if window != self.window || !in_range || !DAY.as_ms().is_multiple_of(window.as_ms()) {
            let wanted =
                format!("a duration from 1s to {most} that divides a day, such as 5s, 10s or 30s");
            checks.fault("window", self.window, wanted);
        } else {
            let room = Duration::ms(most.as_ms() - window.as_ms());
            checks.within("grace", self.grace, Duration::ZERO..=room);
        }
        checks.section("histogram", |checks| self.histogram.check(checks));
        self.check_dimensions(checks);
        self.check_external_labels(checks);
        checks.within("lateness", self.lateness, Duration::minutes(1)..=Duration::days(3660));
        checks.within("future", self.future, Duration::ZERO..=DAY);
        checks.section("dedup", |checks| {
            checks.within("window", self.dedup.window, Duration::ZERO..=DAY);
            checks.within("memory", self.dedup.memory, Size::mib(1)..=Size::gib(64));
        });
        checks.section("groups", |checks| {
            checks.within("limit", self.groups.limit, 1..=1_000_000_000);
            checks.within("idle", self.groups.idle, Duration::minutes(1)..=YEAR);
        });
        checks.section("journal", |checks| {
            checks.within("limit", self.journal.limit, Size::mib(16)..=Size::gib(16 << 10));
        });
        checks.section("memory", |checks| {
            checks.within("soft", self.memory.soft, Size::mib(64)..=Size::gib(16 << 10));
            if self.memory.hard < self.memory.soft {
                let wanted = format!("at least edge.memory.soft, which is {}", self.memory.soft);
                checks.fault("hard", self.memory.hard, wanted);
            }
        });
    }

    fn check_dimensions(&self, checks: &mut Checks) {
        checks.number("dimensions", self.dimensions.len(), 0..=MAX_DIMENSIONS);
        let mut seen = BTreeSet::new();
        for (at, name) in self.dimensions.iter().enumerate() {
            let field = format!("dimensions[{at}]");
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                let wanted = format!("the name of an attribute, of 1 to {MAX_NAME_BYTES} bytes");
                checks.fault(&field, format_args!("{name:?}"), wanted);
            } else if !seen.insert(name) {
                checks.fault(&field, format_args!("{name:?}"), "each attribute once");
            }
        }
    }

    fn check_external_labels(&self, checks: &mut Checks) {
        checks.number("external_labels", self.external_labels.len(), 0..=MAX_DIMENSIONS);
        for (name, value) in &self.external_labels {
            let field = format!("external_labels.{name}");
            if !is_label_name(name) {
                let wanted = "a label's name: letters, digits and _, no digit first, not two _ \
                              first, not le";
                checks.fault(&field, format_args!("{name:?}"), wanted);
            } else if value.is_empty() || value.len() > MAX_NAME_BYTES {
                let wanted = format!("a text of 1 to {MAX_NAME_BYTES} bytes");
                checks.fault(&field, format_args!("{value:?}"), wanted);
            }
        }
    }
}

impl Histogram {
    fn check(&self, checks: &mut Checks) {
        checks.number("bounds", self.bounds.len(), 1..=Layout::MAX_BOUNDS);
        let mut before = Duration::ZERO;
        for (at, bound) in self.bounds.iter().enumerate() {
            if *bound <= before {
                let wanted = format!("more than {before}: bounds ascend");
                checks.fault(&format!("bounds[{at}]"), bound, wanted);
            }
            before = before.max(*bound);
        }
    }
}

/// Names that begin with two underscores are the engine's own, and `le` is the buckets'.
fn is_label_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let first = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    letters && first && !name.starts_with("__") && name != "le" && name.len() <= MAX_NAME_BYTES
}
