//! Makes requests of a shape, one after the other.

use std::f64::consts::E;

use super::catalogue::{Catalogue, Group, Operation, Status};
use super::deck::Deck;
use super::pairs::Pairs;
use super::piece::Piece;
use super::request::{Mark, Request};
use super::shape::{BadShape, FAILS_ONE_IN, Shape};
use super::tally::Tally;
use crate::rng::Rng;

pub struct Generator {
    shape: Shape,
    catalogue: Catalogue,
    rng: Rng,
    /// Which resource comes next: a service and an instance of it.
    resources: Deck,
    /// Which operation a service does next, and how it ends.
    operations: Vec<Deck>,
    pairs: Pairs,
    scratch: Scratch,
}

/// A request's messages, outermost first. Each is written apart: see [`Piece`].
#[derive(Default)]
struct Scratch {
    request: Piece,
    of_resource: Piece,
    resource: Piece,
    of_scope: Piece,
    scope: Piece,
    span: Piece,
    part: Piece,
}

/// Requests with unique bytes, and what must come out of them.
pub struct Batch {
    pub bodies: Vec<Vec<u8>>,
    pub tally: Tally,
    pub catalogue: Catalogue,
}

/// Spans end in the second before the end that the request is stamped with.
const ENDS_WITHIN_NS: usize = 1_000_000_000;
const LONGEST_NS: f64 = 60e9;
const SPANS_A_TRACE: usize = 4;
const SCOPES: [(&str, &str); 2] = [("http.server", "2.11.0"), ("http.client", "2.11.0")];

impl Generator {
    pub fn new(shape: Shape, seed: u64) -> Result<Self, BadShape> {
        shape.check()?;
        let cards = if shape.outcomes == 2 { FAILS_ONE_IN } else { 1 };
        Ok(Generator {
            catalogue: Catalogue::new(&shape, seed),
            rng: Rng::new(seed),
            resources: Deck::of(shape.services * shape.instances),
            operations: (0..shape.services).map(|_| Deck::of(shape.names * cards)).collect(),
            pairs: Pairs::default(),
            scratch: Scratch::default(),
            shape,
        })
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The next request. Its ids and times are zero until it is stamped.
    pub fn request(&mut self) -> Request {
        self.scratch.request.clear();
        let mut left = self.shape.spans;
        while left > 0 {
            let spans = left.min(self.shape.spans_per_resource);
            self.resource_spans(spans);
            left -= spans;
        }
        Request::new(&self.scratch.request.bytes, &self.scratch.request.marks)
    }

    fn resource_spans(&mut self, spans: usize) {
        let drawn = self.resources.draw(&mut self.rng);
        let (service, instance) = (drawn / self.shape.instances, drawn % self.shape.instances);
        let Scratch { of_resource, resource, .. } = &mut self.scratch;
        resource.clear();
        let Some(of) = self.catalogue.services.get(service) else { return };
        let pod = format!("{}-5c9d7f6b4-{:05x}", of.name, service * 4099 + instance);
        resource.pair(1, "service.name", &of.name);
        resource.pair(1, "service.version", "1.4.2");
        resource.pair(1, "service.instance.id", &format!("{}.{instance}", of.name));
        resource.pair(1, "deployment.environment.name", of.environment);
        resource.pair(1, "k8s.pod.name", &pod);
        resource.pair(1, "telemetry.sdk.language", "go");
        of_resource.clear();
        of_resource.put(1, resource);
        // A server's instrumentation and its client's: two scopes, where there are spans for both.
        let second = if spans >= 16 { spans / 4 } else { 0 };
        for ((name, version), spans) in SCOPES.into_iter().zip([spans - second, second]) {
            if spans > 0 {
                self.scope_spans(service, name, version, spans);
            }
        }
        let Scratch { request, of_resource, .. } = &mut self.scratch;
        of_resource.text(3, "https://opentelemetry.io/schemas/1.26.0");
        request.put(1, of_resource);
    }

    fn scope_spans(&mut self, service: usize, name: &str, version: &str, spans: usize) {
        let Scratch { of_scope, scope, .. } = &mut self.scratch;
        scope.clear();
        scope.text(1, name);
        scope.text(2, version);
        of_scope.clear();
        of_scope.put(1, scope);
        for nth in 0..spans {
            self.span(service, nth.is_multiple_of(SPANS_A_TRACE));
        }
        let Scratch { of_resource, of_scope, .. } = &mut self.scratch;
        of_resource.put(2, of_scope);
    }

    fn span(&mut self, service: usize, begins_trace: bool) {
        let rng = &mut self.rng;
        let card = self.operations[service].draw(rng);
        let (number, turn) = (card % self.shape.names, card / self.shape.names);
        let operation = &self.catalogue.services[service].operations[number];
        let index = self.catalogue.outcome(operation, turn == FAILS_ONE_IN - 1);
        let group = self.catalogue.group(index);
        let mut mark = Mark {
            begins_trace,
            group: index.0,
            duration_ns: duration_ns(operation, rng),
            before_ns: rng.below(ENDS_WITHIN_NS) as u64,
            ..Mark::default()
        };
        let Scratch { of_scope, span, part, .. } = &mut self.scratch;
        span.clear();
        mark.trace_id = span.room_bytes(1, 16);
        mark.span_id = span.room_bytes(2, 8);
        // One in eight is a root; the others were called by a span, here or elsewhere.
        if !(begins_trace && rng.one_in(2)) {
            mark.parent_id = span.room_bytes(4, 8);
        }
        span.text(5, &group.name);
        span.varint(6, group.kind as u64);
        mark.start = span.room64(7);
        mark.end = span.room64(8);
        self.pairs.write(span, group, &self.shape, rng);
        if group.status == Status::Error || rng.one_in(32) {
            mark.event_time = event(span, part, group);
        }
        if rng.one_in(32) {
            (mark.link, mark.link_span) = link(span, part);
        }
        if group.status == Status::Error {
            part.clear();
            part.text(2, "upstream failed");
            part.varint(3, Status::Error as u64);
            span.put(15, part);
        }
        // Flags: the trace is sampled, and whether the parent is remote is known.
        span.fixed32(16, 0x101);
        span.marks.push(mark);
        of_scope.put(2, span);
    }
}

fn event(span: &mut Piece, part: &mut Piece, group: &Group) -> u32 {
    part.clear();
    let time = part.room64(1);
    if group.status == Status::Error {
        part.text(2, "exception");
        part.pair(3, "exception.type", "TimeoutError");
        part.pair(3, "exception.message", "no answer within 2 s");
    } else {
        part.text(2, "message");
    }
    span.put(11, part);
    (span.bytes.len() - part.bytes.len()) as u32 + time
}

fn link(span: &mut Piece, part: &mut Piece) -> (u32, u32) {
    part.clear();
    let (trace, of) = (part.room_bytes(1, 16), part.room_bytes(2, 8));
    span.put(13, part);
    let base = (span.bytes.len() - part.bytes.len()) as u32;
    (base + trace, base + of)
}

/// Log-normal.
fn duration_ns(operation: &Operation, rng: &mut Rng) -> u64 {
    let ln = operation.mean_ln_ns + operation.deviation_ln * rng.normal();
    E.powf(ln).min(LONGEST_NS) as u64
}

/// `count` requests, the first with ends up to `end_ns` and each further one `step_ns` later.
pub fn requests(
    shape: &Shape,
    seed: u64,
    count: usize,
    end_ns: u64,
    step_ns: u64,
) -> Result<Batch, BadShape> {
    let mut generator = Generator::new(shape.clone(), seed)?;
    let mut tally = Tally::new(shape.groups());
    let mut bodies = Vec::with_capacity(count);
    for (number, end_ns) in (0..count as u64).map(|n| (n, end_ns + n * step_ns)) {
        let mut request = generator.request();
        request.stamp(seed.wrapping_add(number), end_ns);
        tally.add(&request, end_ns);
        bodies.push(request.body().to_vec());
    }
    Ok(Batch { bodies, tally, catalogue: generator.catalogue })
}

#[cfg(test)]
#[path = "generator_test.rs"]
mod tests;
