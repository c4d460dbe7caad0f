//! Resources that a walker has met: what of them groups read, by the resource's bytes.

use hashbrown::HashTable;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::SERVICE_NAME;
use super::cut::Cut;
use super::wanted::Wanted;
use crate::text::text;

/// What a resource gives to the groups of its spans.
#[derive(Clone, Debug, Default)]
pub(super) struct Resource {
    pub(super) service: String,
    /// By dimension.
    pub(super) dimensions: Vec<Option<String>>,
    /// The service was cut.
    pub(super) service_shortened: bool,
    /// Which of the dimensions were cut, as bits.
    pub(super) shortened: u64,
}

impl Resource {
    /// `values` are those of what `wanted` names.
    pub(super) fn of(values: &[Option<AnyValue>], dimensions: &[String]) -> Self {
        let mut cut = Cut::default();
        let service = values[service_at(dimensions)].as_ref();
        let service = service.map(|value| cut.limited(text(value))).unwrap_or_default();
        let mut resource = Resource { service, service_shortened: cut.any, ..Resource::default() };
        for (at, value) in values.iter().take(dimensions.len()).enumerate() {
            let mut cut = Cut::default();
            resource.dimensions.push(value.as_ref().map(|value| cut.limited(text(value))));
            resource.shortened |= u64::from(cut.any) << at;
        }
        resource
    }

    /// The dimensions, then the service.
    pub(super) fn wanted(dimensions: &[String]) -> Wanted {
        Wanted::new(dimensions.iter().map(String::as_str).chain([SERVICE_NAME]))
    }
}

/// A dimension may be the service.
fn service_at(dimensions: &[String]) -> usize {
    let among = dimensions.iter().position(|dimension| dimension == SERVICE_NAME);
    among.unwrap_or(dimensions.len())
}

#[derive(Debug)]
pub(super) struct Resources {
    seed: u64,
    by_bytes: HashTable<u32>,
    met: Vec<Met>,
    bytes: usize,
}

#[derive(Debug)]
struct Met {
    tenant: u32,
    bytes: Box<[u8]>,
    hash: u64,
    resource: Resource,
}

impl Resources {
    pub(super) fn new(seed: u64) -> Self {
        Resources { seed, by_bytes: HashTable::new(), met: Vec::new(), bytes: 0 }
    }

    /// Of what it remembers; the tables are small beside that.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.met.capacity() * size_of::<Met>()
    }

    pub(super) fn clear(&mut self) {
        *self = Resources::new(self.seed);
    }

    pub(super) fn find(&self, tenant: u32, bytes: &[u8]) -> Option<u32> {
        let is_it = |&at: &u32| {
            let met = &self.met[at as usize];
            met.tenant == tenant && *met.bytes == *bytes
        };
        self.by_bytes.find(self.hash(bytes), is_it).copied()
    }

    pub(super) fn add(&mut self, tenant: u32, bytes: &[u8], resource: Resource) -> u32 {
        let (at, hash) = (self.met.len() as u32, self.hash(bytes));
        self.bytes += 2 * bytes.len() + 200;
        self.met.push(Met { tenant, bytes: bytes.into(), hash, resource });
        let met = &self.met;
        self.by_bytes.insert_unique(hash, at, |&at| met[at as usize].hash);
        at
    }

    pub(super) fn get(&self, at: u32) -> &Resource {
        &self.met[at as usize].resource
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.seed)
    }
}
