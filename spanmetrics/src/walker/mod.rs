//! One request of OTLP spans into the partial that it adds.
//!
//! ```text
//! bytes ─┬ protobuf ─ span ─ common ─▶ signature ─ known? ─▶ cell of the partial
//!        │             └─ odd ─▶ prost ─┐     └─ new ─▶ Group, interned at the end
//!        └ JSON ────────────────────────┴▶ Group ─ known? …
//! ```
//!
//! A span lands in the window of its own end time and in the group of its own attributes (law 2). The
//! arrival time decides one thing only: whether a span is beyond the lateness or future limit, and
//! then it is left out and counted. A request is taken whole or not at all: bad data anywhere in what
//! is read refuses all of it, and leaves no trace.
//!
//! A [`Walker`] visits what the configuration reads and passes over the rest. It builds no tree, and in the
//! steady state allocates nothing per span: a resource is decoded once, a group once. What it remembers
//! saves work and decides nothing: a walker that is new gives the same answer.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use prost::{DecodeError, Message};
use thiserror::Error;

mod admission;
mod cut;
mod json;
mod known;
mod odd;
mod resources;
mod span;
mod wanted;
mod words;

use crate::codec::Writer;
use crate::config::Config;
use crate::group::{Group, GroupId, SpanKind, StatusCode};
use crate::groups::{Generation, GroupNumber, Groups, Slot};
use crate::labels::Labels;
use crate::layout::LayoutId;
use crate::partial::Partial;
use crate::tenant::Tenant;
use crate::text::text;
use crate::window::WindowEnd;
use crate::wire::{BrokenWire, each_message};
use admission::{Admission, Admitted};
use cut::Cut;
use known::{KnownGroups, MAX_PART_BYTES, Signature};
use resources::{Resource, Resources};
use span::RawSpan;
use wanted::Wanted;

pub use wanted::MAX_WANTED;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// Nothing of the request counts, and sending it again will not change that.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WalkError {
    #[error("not an OTLP trace request: {0}")]
    BadSpans(String),
    #[error("the request has more than {limit} {what}: send it in parts")]
    TooMany { what: &'static str, limit: usize },
}

#[derive(Debug, Error)]
enum Broken {
    #[error(transparent)]
    Wire(#[from] BrokenWire),
    #[error(transparent)]
    Field(#[from] DecodeError),
    #[error("a text that is read is not UTF-8")]
    Text,
    #[error("attribute {key:?} is larger than {limit_bytes} bytes, and it is one that is read")]
    LargeAttribute { key: String, limit_bytes: usize },
    #[error("too many cells")]
    TooMany,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Walked {
    pub partial: Partial,
    pub accepted: u64,
    /// Left out: ended longer ago than the lateness limit.
    pub late: u64,
    /// Left out: ends further ahead than the future limit.
    pub future: u64,
    /// Accepted, with a service, name or dimension that was cut.
    pub shortened: u64,
    /// Accepted, in an overflow group.
    pub overflowed: u64,
}

/// Groups and windows that one request may come to.
const MAX_CELLS: usize = 128 << 10;
/// What a walker remembers between requests; beyond that it starts afresh.
const MAX_REMEMBERED_BYTES: usize = 16 << 20;
const SERVICE_NAME: &str = "service.name";
/// Among a signature's numbers: its one part is a group's encoding.
const DECODED: u64 = 1 << 63;

const REQUEST_RESOURCE_SPANS: u32 = 1;
const RESOURCE_SPANS_RESOURCE: u32 = 1;
const RESOURCE_SPANS_SCOPE_SPANS: u32 = 2;
const SCOPE_SPANS_SPANS: u32 = 2;

/// Walks one request at a time; an edge keeps several.
#[derive(Debug)]
pub struct Walker {
    config: Arc<Config>,
    groups: Arc<Groups>,
    wanted: Wanted,
    wanted_of_resource: Wanted,
    memory: Memory,
    layout: LayoutId,
}

/// What outlives a request.
#[derive(Debug)]
struct Memory {
    tenants: Vec<Tenant>,
    resources: Resources,
    known: KnownGroups,
    /// What the known groups' slots hold for.
    generation: Generation,
    /// Of the last request.
    request: u32,
}

impl Walker {
    /// `seed` keeps those who send from choosing what collides in its tables.
    pub fn new(config: Arc<Config>, groups: Arc<Groups>, seed: u64) -> Self {
        let wanted = Wanted::new(config.dimensions.iter().map(String::as_str));
        let wanted_of_resource = Resource::wanted(&config.dimensions);
        let layout = config.layout.id();
        let memory = Memory {
            tenants: Vec::new(),
            resources: Resources::new(seed),
            known: KnownGroups::new(seed),
            generation: groups.generation(),
            request: 0,
        };
        Walker { config, groups, wanted, wanted_of_resource, memory, layout }
    }

    pub fn walk(
        &mut self,
        bytes: &[u8],
        encoding: Encoding,
        tenant: &Tenant,
        arrival_ns: u64,
    ) -> Result<Walked, WalkError> {
        self.memory.begin(&self.groups);
        let known_before = self.memory.known.len();
        let mut walk = Walk {
            config: &self.config,
            wanted: &self.wanted,
            wanted_of_resource: &self.wanted_of_resource,
            tenant,
            tenant_at: self.memory.tenant(tenant),
            memory: &mut self.memory,
            admitted: Admitted::around(arrival_ns, &self.config),
            window: CurrentWindow::default(),
            windows: HashMap::new(),
            cells: HashMap::new(),
            known_of: Vec::new(),
            fresh: Vec::new(),
            walked: Walked {
                partial: Partial::new(self.layout),
                accepted: 0,
                late: 0,
                future: 0,
                shortened: 0,
                overflowed: 0,
            },
        };
        let done = match encoding {
            Encoding::Protobuf => walk.protobuf(bytes).map_err(told),
            Encoding::Json => walk.json(bytes),
        };
        match done {
            Ok(()) => Ok(walk.finish(&self.groups)),
            Err(error) => {
                self.memory.known.truncate(known_before);
                Err(error)
            }
        }
    }

    /// Bytes that it remembers.
    pub fn bytes(&self) -> usize {
        self.memory.known.bytes() + self.memory.resources.bytes()
    }
}

fn told(broken: Broken) -> WalkError {
    match broken {
        Broken::TooMany => WalkError::TooMany { what: "groups and windows", limit: MAX_CELLS },
        broken => WalkError::BadSpans(broken.to_string()),
    }
}

impl Memory {
    fn begin(&mut self, groups: &Groups) {
        let generation = groups.generation();
        let held = self.known.bytes() + self.resources.bytes();
        if generation != self.generation || held > MAX_REMEMBERED_BYTES || self.request == u32::MAX
        {
            self.known.clear();
            self.resources.clear();
            self.tenants.clear();
            self.generation = generation;
            self.request = 0;
        }
        self.request += 1;
    }

    fn tenant(&mut self, tenant: &Tenant) -> u32 {
        let found = self.tenants.iter().position(|known| known == tenant);
        let at = found.unwrap_or_else(|| {
            self.tenants.push(tenant.clone());
            self.tenants.len() - 1
        });
        at as u32
    }
}

/// One request under way.
struct Walk<'a> {
    config: &'a Config,
    wanted: &'a Wanted,
    wanted_of_resource: &'a Wanted,
    tenant: &'a Tenant,
    tenant_at: u32,
    memory: &'a mut Memory,
    admitted: Admitted,
    window: CurrentWindow,
    /// Which of the partial's windows an end is.
    windows: HashMap<WindowEnd, u32>,
    /// Cells of groups that have several, by known group and window.
    cells: HashMap<(u32, u32), u32>,
    /// The known group of each cell.
    known_of: Vec<u32>,
    /// Known groups that wait to be interned.
    fresh: Vec<Fresh>,
    walked: Walked,
}

struct Fresh {
    known: u32,
    id: GroupId,
    encoded: Vec<u8>,
}

/// The window of the last span: mostly that of the next one as well.
#[derive(Default)]
struct CurrentWindow {
    start_ns: u64,
    /// Zero: there is none yet.
    width_ns: u64,
    at: u32,
}

/// What of a span is read, decoded.
struct SpanView<'a> {
    name: &'a [u8],
    kind: i32,
    start_ns: u64,
    end_ns: u64,
    status: i32,
}

impl Walk<'_> {
    fn protobuf(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut parts = vec![None; 1 + self.wanted.len()];
        each_message(bytes, REQUEST_RESOURCE_SPANS, |resource_spans| {
            let resource = self.resource(resource_spans)?;
            each_message(resource_spans, RESOURCE_SPANS_SCOPE_SPANS, |scope_spans| {
                each_message(scope_spans, SCOPE_SPANS_SPANS, |span| {
                    self.span(span, resource, &mut parts)
                })
            })
        })
    }

    /// The resource of some spans, wherever it stands among them.
    fn resource(&mut self, resource_spans: &[u8]) -> Result<u32, Broken> {
        let mut first: Option<&[u8]> = None;
        // Pieces of one message behind each other are that message.
        let mut joined = Vec::new();
        each_message::<Broken>(resource_spans, RESOURCE_SPANS_RESOURCE, |piece| {
            match first {
                None => first = Some(piece),
                Some(first) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(first);
                    }
                    joined.extend_from_slice(piece);
                }
            }
            Ok(())
        })?;
        let bytes = if joined.is_empty() { first.unwrap_or_default() } else { &joined };
        if let Some(known) = self.memory.resources.find(self.tenant_at, bytes) {
            return Ok(known);
        }
        let values = odd::attributes(bytes, odd::RESOURCE_ATTRIBUTES, self.wanted_of_resource)?;
        let resource = Resource::of(&values, &self.config.dimensions);
        Ok(self.memory.resources.add(self.tenant_at, bytes, resource))
    }

    #[inline(always)]
    fn span<'s>(
        &mut self,
        bytes: &'s [u8],
        resource: u32,
        parts: &mut [Option<&'s [u8]>],
    ) -> Result<(), Broken> {
        parts.fill(None);
        let Some(raw) = span::read(bytes, self.wanted, &mut parts[1..]) else {
            return self.odd_span(bytes, resource);
        };
        if !self.admit(raw.end_ns) {
            return Ok(());
        }
        parts[0] = Some(raw.name);
        let kind = SpanKind::from_number(raw.kind).unwrap_or_default();
        let status = StatusCode::from_number(raw.status).unwrap_or_default();
        let numbers = u64::from(resource) << 16 | (kind as u64) << 8 | status as u64;
        let signature = Signature { numbers, parts };
        let hash = self.memory.known.hash(signature);
        let known = match self.memory.known.find(hash, signature) {
            Some(known) => known,
            None if is_common(parts) => self.common_group(hash, signature, resource, raw)?,
            None => {
                self.walked.accepted -= 1;
                return self.odd_span(bytes, resource);
            }
        };
        self.count(known, raw.start_ns, raw.end_ns)
    }

    #[cold]
    #[inline(never)]
    fn common_group(
        &mut self,
        hash: u64,
        signature: Signature<'_>,
        resource: u32,
        raw: RawSpan<'_>,
    ) -> Result<u32, Broken> {
        let mut values = Vec::with_capacity(signature.parts.len());
        for value in &signature.parts[1..] {
            values.push(value.map(AnyValue::decode).transpose()?);
        }
        let resource = self.memory.resources.get(resource);
        let (group, shortened) =
            group(self.config, resource, raw.name, raw.kind, raw.status, &values)?;
        let known = self.memory.known.add(hash, signature, shortened);
        let mut w = Writer::new();
        group.encode(&mut w);
        self.fresh.push(Fresh { known, id: group.id(self.tenant), encoded: w.into_bytes() });
        Ok(known)
    }

    #[cold]
    #[inline(never)]
    fn odd_span(&mut self, bytes: &[u8], resource: u32) -> Result<(), Broken> {
        let lean = odd::span(bytes)?;
        if !self.admit(lean.end_ns) {
            return Ok(());
        }
        let values = odd::attributes(bytes, odd::SPAN_ATTRIBUTES, self.wanted)?;
        let view = SpanView {
            name: &lean.name,
            kind: lean.kind,
            start_ns: lean.start_ns,
            end_ns: lean.end_ns,
            status: lean.status.map_or(0, |status| status.code),
        };
        let resource = self.memory.resources.get(resource);
        let group = group(self.config, resource, view.name, view.kind, view.status, &values)?;
        self.decoded(group, &view)
    }

    /// Counts a span whose group was decoded.
    fn decoded(
        &mut self,
        (group, shortened): (Group, bool),
        span: &SpanView<'_>,
    ) -> Result<(), Broken> {
        let mut w = Writer::new();
        group.encode(&mut w);
        let encoded = w.into_bytes();
        let parts = [Some(&encoded[..])];
        // A text that was cut counts as such for its own span only.
        let numbers = DECODED | u64::from(shortened) << 32 | u64::from(self.tenant_at);
        let signature = Signature { numbers, parts: &parts };
        let hash = self.memory.known.hash(signature);
        let known = match self.memory.known.find(hash, signature) {
            Some(known) => known,
            None => {
                let known = self.memory.known.add(hash, signature, shortened);
                let id = group.id(self.tenant);
                self.fresh.push(Fresh { known, id, encoded });
                known
            }
        };
        self.count(known, span.start_ns, span.end_ns)
    }

    /// Whether a span that ends then is taken; counted either way.
    #[inline(always)]
    fn admit(&mut self, end_ns: u64) -> bool {
        let admission = self.admitted.check(end_ns);
        match admission {
            Admission::Admitted => self.walked.accepted += 1,
            Admission::Late => self.walked.late += 1,
            Admission::Future => self.walked.future += 1,
        }
        matches!(admission, Admission::Admitted)
    }

    #[inline(always)]
    fn count(&mut self, known: u32, start_ns: u64, end_ns: u64) -> Result<(), Broken> {
        // An end before its start is a clock that stepped back: the span happened, and took no time.
        let duration_ns = end_ns.saturating_sub(start_ns);
        let bucket = self.config.layout.bucket(duration_ns);
        let sum_us = duration_ns / 1000 + u64::from(duration_ns % 1000 >= 500);
        let window = self.window(end_ns);
        let request = self.memory.request;
        let group = self.memory.known.get(known);
        self.walked.shortened += u64::from(group.shortened);
        if group.request == request {
            let cell = group.cell;
            if self.walked.partial.cells[cell as usize].window == window
                && self.walked.partial.observe(cell, bucket, sum_us)
            {
                return Ok(());
            }
        }
        self.other_cell(known, window, bucket, sum_us)
    }

    /// Of a group that has no cell, or whose last one is of another window or full.
    fn other_cell(
        &mut self,
        known: u32,
        window: u32,
        bucket: usize,
        sum_us: u64,
    ) -> Result<(), Broken> {
        let partial = &mut self.walked.partial;
        let group = self.memory.known.get_mut(known);
        if group.request == self.memory.request {
            let last = partial.cells[group.cell as usize].window;
            self.cells.insert((known, last), group.cell);
            if let Some(&cell) = self.cells.get(&(known, window))
                && partial.observe(cell, bucket, sum_us)
            {
                group.cell = cell;
                return Ok(());
            }
        }
        if partial.cells.len() == MAX_CELLS {
            return Err(Broken::TooMany);
        }
        group.request = self.memory.request;
        let unknown = (Slot(u32::MAX), GroupNumber(u32::MAX));
        group.cell = partial.add_cell(unknown.0, unknown.1, window, bucket, sum_us);
        self.known_of.push(known);
        Ok(())
    }

    #[inline(always)]
    fn window(&mut self, end_ns: u64) -> u32 {
        let CurrentWindow { start_ns, width_ns, at } = self.window;
        if end_ns.wrapping_sub(start_ns) < width_ns {
            return at;
        }
        self.other_window(end_ns)
    }

    fn other_window(&mut self, end_ns: u64) -> u32 {
        let layout = &self.config.layout;
        let end = layout.window(end_ns);
        let partial = &mut self.walked.partial;
        let at = *self.windows.entry(end).or_insert_with(|| partial.add_window(end));
        let width_ns = u64::from(layout.window_ms()) * 1_000_000;
        self.window = CurrentWindow { start_ns: end_ns - end_ns % width_ns, width_ns, at };
        at
    }

    /// Gives the cells their groups.
    fn finish(self, groups: &Groups) -> Walked {
        let Walk { mut walked, memory, fresh, known_of, tenant, .. } = self;
        if !fresh.is_empty() {
            let wanted = fresh.iter().map(|fresh| (fresh.id, &fresh.encoded[..]));
            groups.intern(tenant, wanted, |at, interned| {
                memory.known.get_mut(fresh[at].known).interned = interned;
            });
        }
        let Walked { partial, overflowed, .. } = &mut walked;
        for (at, known) in known_of.into_iter().enumerate() {
            let interned = memory.known.get(known).interned;
            partial.cells[at].slot = interned.slot;
            partial.cells[at].number = interned.number;
            if interned.overflowed {
                let spans = partial.buckets(&partial.cells[at]).map(|(_, n)| u64::from(n));
                *overflowed += spans.sum::<u64>();
            }
        }
        // Those that were just interned hold for longer.
        partial.generation = Some(memory.generation.clone());
        walked
    }
}

/// Whether a span's name and values can be remembered as they are.
fn is_common(parts: &[Option<&[u8]>]) -> bool {
    let is_short = parts.iter().flatten().all(|part| part.len() < MAX_PART_BYTES);
    is_short && parts[1..].iter().flatten().all(|value| span::is_scalar(value))
}

/// The group, and whether a text in it was cut.
fn group(
    config: &Config,
    resource: &Resource,
    name: &[u8],
    kind: i32,
    status: i32,
    values: &[Option<AnyValue>],
) -> Result<(Group, bool), Broken> {
    let mut cut = Cut { any: resource.service_shortened };
    let name = str::from_utf8(name).map_err(|_| Broken::Text)?;
    let mut dimensions = Labels::default();
    for (at, dimension) in config.dimensions.iter().enumerate() {
        match values.get(at).and_then(Option::as_ref) {
            Some(value) => dimensions.set(dimension.as_str(), cut.limited(text(value))),
            None => {
                if let Some(text) = resource.dimensions.get(at).and_then(Option::as_ref) {
                    cut.any |= resource.shortened >> at & 1 == 1;
                    dimensions.set(dimension.as_str(), text.as_str());
                }
            }
        }
    }
    let group = Group {
        service: resource.service.clone(),
        span_name: cut.limited(name.to_owned()),
        // A number that this version of the protocol does not know reads as "not given".
        kind: SpanKind::from_number(kind).unwrap_or_default(),
        status: StatusCode::from_number(status).unwrap_or_default(),
        dimensions,
        external: config.external.clone(),
    };
    Ok((group, cut.any))
}

#[cfg(test)]
mod legal_encodings_test;
#[cfg(test)]
mod oracle_test;
#[cfg(test)]
mod walker_test;
