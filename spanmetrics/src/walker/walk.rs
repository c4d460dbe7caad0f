//! One request under way: each span to its group, its window and its cell.

use std::collections::HashMap;
use std::ops::Range;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use prost::Message;

use super::admission::{Admission, Admitted};
use super::cut::Cut;
use super::known::Spot;
use super::resources::Resource;
use super::signature::{READ_BEHIND, Signature};
use super::span::{self, Part, RawSpan, WINDOW_BYTES};
use super::waiting::{WAITING, WaitingSpan};
use super::wanted::Wanted;
use super::{Broken, MAX_CELLS, MAX_GROUP_BYTES, Memory, Walked, odd};
use crate::codec::Writer;
use crate::config::Config;
use crate::group::{Group, GroupId, SpanKind, StatusCode};
use crate::groups::{Generation, GroupNumber, Groups, Slot};
use crate::labels::Labels;
use crate::partial::Partial;
use crate::tenant::Tenant;
use crate::text::text;
use crate::window::WindowEnd;
use crate::wire::{each_message, each_place};

/// Among a signature's numbers: its parts are a group's encoding.
const DECODED: u64 = 1 << 63;
/// What of an encoding makes one part; one that has more of them is longer by more than their lengths take.
const ENCODED_PART_BYTES: usize = 32 << 10;
/// A longer span at the end of a request takes the slow road: it would have to be copied.
const MAX_COPIED_BYTES: usize = 64 << 10;

const REQUEST_RESOURCE_SPANS: u32 = 1;
const RESOURCE_SPANS_RESOURCE: u32 = 1;
const RESOURCE_SPANS_SCOPE_SPANS: u32 = 2;
const SCOPE_SPANS_SPANS: u32 = 2;

/// One request under way.
pub(super) struct Walk<'a> {
    pub(super) config: &'a Config,
    pub(super) wanted: &'a Wanted,
    pub(super) wanted_of_resource: &'a Wanted,
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
    /// Of the groups of all cells.
    group_bytes: usize,
    /// Of a span whose group was decoded.
    signature: Signature,
    walked: Walked,
}

struct Fresh {
    known: u32,
    hash: u64,
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
pub(super) struct SpanView<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: i32,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) status: i32,
}

impl<'a> Walk<'a> {
    /// `wanted` of the spans, and of their resources.
    pub(super) fn new(
        config: &'a Config,
        [wanted, wanted_of_resource]: [&'a Wanted; 2],
        tenant: &'a Tenant,
        memory: &'a mut Memory,
        partial: Partial,
        arrival_ns: u64,
    ) -> Self {
        Walk {
            config,
            wanted,
            wanted_of_resource,
            tenant,
            tenant_at: memory.tenant(tenant),
            memory,
            admitted: Admitted::around(arrival_ns, config),
            window: CurrentWindow::default(),
            windows: HashMap::new(),
            cells: HashMap::new(),
            known_of: Vec::new(),
            fresh: Vec::new(),
            group_bytes: 0,
            signature: Signature::new(),
            walked: Walked {
                partial,
                accepted: 0,
                late: 0,
                future: 0,
                shortened: 0,
                clamped: 0,
                overflowed: 0,
            },
        }
    }
}

impl Walk<'_> {
    pub(super) fn protobuf(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut values = vec![None; self.wanted.len()];
        each_place(bytes, 0..bytes.len(), REQUEST_RESOURCE_SPANS, |place| {
            let resource = self.resource(&bytes[place.clone()])?;
            each_place(bytes, place, RESOURCE_SPANS_SCOPE_SPANS, |place| {
                each_place(bytes, place, SCOPE_SPANS_SPANS, |place| {
                    if bytes.len() - place.end < WINDOW_BYTES {
                        self.count_waiting(bytes)?;
                        return self.last_span(&bytes[place], resource);
                    }
                    self.span(bytes, place, resource, &mut values)
                })
            })
        })?;
        self.count_waiting(bytes)
    }

    /// A span without the bytes behind it that reading looks at.
    #[cold]
    #[inline(never)]
    fn last_span(&mut self, span: &[u8], resource: u32) -> Result<(), Broken> {
        if span.len() > MAX_COPIED_BYTES {
            return self.odd_span(span, resource);
        }
        let copied = [span, &[0; WINDOW_BYTES]].concat();
        self.span(&copied, 0..span.len(), resource, &mut vec![None; self.wanted.len()])?;
        self.count_waiting(&copied)
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

    /// Reads a span, which then waits to be counted with others.
    #[inline(always)]
    fn span<'s>(
        &mut self,
        bytes: &'s [u8],
        place: Range<usize>,
        resource: u32,
        values: &mut [Option<Part<'s>>],
    ) -> Result<(), Broken> {
        values.fill(None);
        let read = span::read(&bytes[place.start..], bytes.len() - place.end, self.wanted, values);
        if let Some(raw) = read
            && let signature =
                &mut self.memory.waiting.signatures[self.memory.waiting.spans.len() % WAITING]
            && sign(signature, &raw, resource, values)
        {
            let hash = self.memory.known.hash(signature.blocks());
            let (start_ns, end_ns) = (raw.start_ns, raw.end_ns);
            self.memory.waiting.spans.push(WaitingSpan { place, resource, hash, start_ns, end_ns });
            if self.memory.waiting.spans.len() < WAITING {
                return Ok(());
            }
            return self.count_waiting(bytes);
        }
        self.count_waiting(bytes)?;
        self.odd_span(&bytes[place], resource)
    }

    /// Counts the spans that wait, which stand in these bytes.
    #[inline(never)]
    fn count_waiting(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let Memory { known, waiting, .. } = &*self.memory;
        let mut found = [None; WAITING];
        for (found, span) in found.iter_mut().zip(&waiting.spans) {
            *found = known.first_with(span.hash);
        }
        for (at, signature) in waiting.signatures.iter().enumerate().take(waiting.spans.len()) {
            found[at] = found[at].filter(|spot| known.is(*spot, signature.blocks()));
        }
        let mut spans = std::mem::take(&mut self.memory.waiting.spans);
        for (at, span) in spans.drain(..).enumerate() {
            if let Some(Spot { known, .. }) = found[at] {
                if self.admit(span.end_ns) {
                    self.count(known, span.start_ns, span.end_ns)?;
                }
            } else {
                self.unfamiliar(bytes, &span, at)?;
            }
        }
        self.memory.waiting.spans = spans;
        Ok(())
    }

    /// A span that was not found at once.
    #[cold]
    #[inline(never)]
    fn unfamiliar(&mut self, bytes: &[u8], span: &WaitingSpan, at: usize) -> Result<(), Broken> {
        let WaitingSpan { ref place, resource, hash, start_ns, end_ns } = *span;
        let signature = self.memory.waiting.signatures[at].blocks();
        if let Some(known) = self.memory.known.find(hash, signature) {
            return if self.admit(end_ns) { self.count(known, start_ns, end_ns) } else { Ok(()) };
        }
        let mut values = vec![None; self.wanted.len()];
        let from = &bytes[place.start..];
        let raw = span::read(from, bytes.len() - place.end, self.wanted, &mut values);
        let is_common = values.iter().flatten().all(|value| span::is_scalar(value.bytes()));
        let Some(raw) = raw.filter(|_| is_common) else {
            return self.odd_span(&bytes[place.clone()], resource);
        };
        if !self.admit(end_ns) {
            return Ok(());
        }
        let (id, encoded, shortened) = self.common_group(resource, &raw, &values)?;
        let signature = self.memory.waiting.signatures[at].blocks();
        let known = self.memory.known.add(hash, signature, encoded.len(), shortened);
        self.fresh.push(Fresh { known, hash, id, encoded });
        self.count(known, start_ns, end_ns)
    }

    /// The group of a span of the common shape, encoded, and whether a text of it was cut.
    fn common_group(
        &self,
        resource: u32,
        raw: &RawSpan<'_>,
        values: &[Option<Part<'_>>],
    ) -> Result<(GroupId, Vec<u8>, bool), Broken> {
        let decode =
            |value: &Option<Part<'_>>| value.map(|v| AnyValue::decode(v.bytes())).transpose();
        let values = values.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        let resource = self.memory.resources.get(resource);
        let (group, shortened) =
            group(self.config, resource, raw.name.bytes(), raw.kind, raw.status, &values)?;
        let mut w = Writer::new();
        group.encode(&mut w);
        Ok((group.id(self.tenant), w.into_bytes(), shortened))
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
    pub(super) fn decoded(
        &mut self,
        (group, shortened): (Group, bool),
        span: &SpanView<'_>,
    ) -> Result<(), Broken> {
        let mut w = Writer::new();
        group.encode(&mut w);
        let encoded = w.into_bytes();
        // A text that was cut counts as such for its own span only.
        let numbers = DECODED | u64::from(shortened) << 32 | u64::from(self.tenant_at);
        let parts = encoded.chunks(ENCODED_PART_BYTES);
        self.signature.begin(numbers, parts.len());
        for part in parts {
            let is_signed = self.signature.push(&[part, &[0; READ_BEHIND]].concat(), part.len());
            debug_assert!(is_signed, "short, and all that is read behind it is there");
        }
        self.signature.end();
        let signature = self.signature.blocks();
        let hash = self.memory.known.hash(signature);
        let known = self.memory.known.find(hash, signature).unwrap_or_else(|| {
            let known = self.memory.known.add(hash, signature, encoded.len(), shortened);
            self.fresh.push(Fresh { known, hash, id: group.id(self.tenant), encoded });
            known
        });
        self.count(known, span.start_ns, span.end_ns)
    }

    /// Whether a span that ends then is taken; counted either way.
    #[inline(always)]
    pub(super) fn admit(&mut self, end_ns: u64) -> bool {
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
        self.walked.clamped += u64::from(end_ns < start_ns);
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
        // A resource's texts stand in each of its groups, so few bytes can come to many.
        self.group_bytes += group.encoded_len as usize;
        if self.group_bytes > MAX_GROUP_BYTES {
            return Err(Broken::TooManyBytes);
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
    pub(super) fn finish(self, groups: &Groups, generation: Generation) -> Walked {
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
        partial.generation = Some(generation);
        for Fresh { known, hash, .. } in fresh {
            // There may be room for it the next time.
            if memory.known.get(known).interned.overflowed {
                memory.known.forget(known, hash);
            }
        }
        walked
    }
}

/// False: what tells the group is not to be remembered as it is.
#[inline(always)]
fn sign(
    signature: &mut Signature,
    raw: &RawSpan<'_>,
    resource: u32,
    values: &[Option<Part<'_>>],
) -> bool {
    let kind = SpanKind::from_number(raw.kind).unwrap_or_default();
    let status = StatusCode::from_number(raw.status).unwrap_or_default();
    let number = u64::from(resource) << 16 | (kind as u64) << 8 | status as u64;
    signature.begin(number, 1 + values.len());
    let mut is_signed = signature.push(raw.name.from, raw.name.len);
    for value in values {
        match value {
            Some(value) => is_signed &= signature.push(value.from, value.len),
            None => signature.push_absent(),
        }
    }
    signature.end();
    is_signed
}

/// The group, and whether a text in it was cut.
pub(super) fn group(
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
