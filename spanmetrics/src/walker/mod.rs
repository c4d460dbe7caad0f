//! One request of OTLP spans into the partial that it adds.
//!
//! ```text
//! bytes ─┬ protobuf ─ span ─ common ─▶ signature ─ known? ─▶ cell of the partial
//!        │             └─ odd ─▶ prost ─┐     └─ new ─▶ Group, interned at the end
//!        └ JSON ─ pieces ───────────────┴▶ Group ─ known? …
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

use std::sync::Arc;

use prost::DecodeError;
use thiserror::Error;

mod admission;
mod cut;
mod json;
mod known;
mod odd;
mod resources;
mod signature;
mod span;
mod waiting;
mod walk;
mod wanted;

use crate::config::Config;
use crate::groups::{Generation, Groups, PastGeneration};
use crate::json::JsonFault;
use crate::layout::LayoutId;
use crate::partial::Partial;
use crate::tenant::Tenant;
use crate::wire::BrokenWire;
use known::KnownGroups;
use resources::{Resource, Resources};
use waiting::Waiting;
use walk::Walk;
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
    #[error("attribute {key:?} is read, is no plain text and is larger than {limit_bytes} bytes")]
    LargeAttribute { key: String, limit_bytes: usize },
    #[error(transparent)]
    Json(#[from] JsonFault),
    #[error("too many cells")]
    TooMany,
    #[error("too many bytes of groups")]
    TooManyBytes,
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
    /// Accepted, with an end before its start: counted with a duration of zero.
    pub clamped: u64,
    /// Accepted, in an overflow group.
    pub overflowed: u64,
}

/// Groups and windows that one request may come to.
const MAX_CELLS: usize = 128 << 10;
/// What the groups of these cells may come to, each with all its texts.
const MAX_GROUP_BYTES: usize = 32 << 20;
/// What a walker remembers between requests; beyond that it starts afresh.
const MAX_REMEMBERED_BYTES: usize = 16 << 20;
const SERVICE_NAME: &str = "service.name";

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
    waiting: Waiting,
    /// What the known groups' slots hold for.
    generation: PastGeneration,
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
            waiting: Waiting::new(),
            generation: groups.generation().past(),
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
        let generation = self.groups.generation();
        self.memory.begin(&generation);
        let known_before = self.memory.known.len();
        let mut walk = Walk::new(
            &self.config,
            [&self.wanted, &self.wanted_of_resource],
            tenant,
            &mut self.memory,
            Partial::new(self.layout),
            arrival_ns,
        );
        let done = match encoding {
            Encoding::Protobuf => walk.protobuf(bytes),
            Encoding::Json => walk.json(bytes),
        };
        match done {
            Ok(()) => Ok(walk.finish(&self.groups, generation)),
            Err(error) => {
                self.memory.known.truncate(known_before);
                Err(told(error))
            }
        }
    }
}

fn told(broken: Broken) -> WalkError {
    match broken {
        Broken::TooMany => WalkError::TooMany { what: "groups and windows", limit: MAX_CELLS },
        Broken::TooManyBytes => {
            WalkError::TooMany { what: "bytes of groups", limit: MAX_GROUP_BYTES }
        }
        broken => WalkError::BadSpans(broken.to_string()),
    }
}

impl Memory {
    fn begin(&mut self, generation: &Generation) {
        let held = self.known.bytes() + self.resources.bytes();
        let is_past = self.generation != *generation;
        if is_past || held > MAX_REMEMBERED_BYTES || self.request == u32::MAX {
            self.known.clear();
            self.resources.clear();
            self.tenants.clear();
            self.generation = generation.past();
            self.request = 0;
        }
        self.request += 1;
        self.waiting.clear();
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

#[cfg(test)]
mod legal_encodings_test;
#[cfg(test)]
mod legal_json_test;
#[cfg(test)]
mod oracle_test;
#[cfg(test)]
mod walker_test;
