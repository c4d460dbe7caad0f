//! Services, what they do, and the groups that come of it.
//!
//! Method, route, status code and environment follow from service, name and outcome. So there are as many
//! groups with these four as dimensions as there are without.

use super::shape::Shape;
use crate::rng::Rng;

/// Numbers the groups of a catalogue, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupIndex(pub u32);

/// As OTLP numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Unset = 0,
    Error = 2,
}

/// What tells a group's spans from others: the four labels of every group, then the four dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    pub service: String,
    pub name: String,
    pub kind: Kind,
    pub status: Status,
    /// `http.request.method`, of the span.
    pub method: &'static str,
    /// `http.route`, of the span.
    pub route: String,
    /// `http.response.status_code`, of the span.
    pub status_code: u16,
    /// `deployment.environment.name`, of the resource.
    pub environment: &'static str,
}

pub struct Catalogue {
    pub(super) services: Vec<Service>,
    groups: Vec<Group>,
    outcomes: usize,
}

pub(super) struct Service {
    pub(super) name: String,
    pub(super) environment: &'static str,
    pub(super) operations: Vec<Operation>,
}

pub(super) struct Operation {
    /// Of its first outcome; the second follows.
    group: u32,
    /// Of the logarithm of its durations in ns.
    pub(super) mean_ln_ns: f64,
    pub(super) deviation_ln: f64,
}

const FIELDS: [&str; 20] = [
    "account", "basket", "catalog", "checkout", "coupon", "delivery", "gateway", "image",
    "invoice", "ledger", "mail", "notice", "order", "payment", "price", "profile", "rating",
    "search", "session", "stock",
];
const ROLES: [&str; 5] = ["api", "worker", "store", "cache", "proxy"];
const THINGS: [&str; 10] = [
    "items", "lists", "users", "prices", "orders", "events", "quotes", "labels", "offers", "tokens",
];
/// Method, the status code of success, the kind that a span of it has.
const DOINGS: [(&str, u16, Kind); 8] = [
    ("GET", 200, Kind::Server),
    ("GET", 200, Kind::Client),
    ("POST", 201, Kind::Server),
    ("PUT", 200, Kind::Server),
    ("GET", 200, Kind::Internal),
    ("DELETE", 204, Kind::Server),
    ("POST", 202, Kind::Producer),
    ("POST", 200, Kind::Consumer),
];
const FAILURES: [u16; 3] = [500, 503, 504];

impl Catalogue {
    pub fn new(shape: &Shape, seed: u64) -> Self {
        let mut rng = Rng::scattered(seed);
        let mut catalogue =
            Catalogue { services: Vec::new(), groups: Vec::new(), outcomes: shape.outcomes };
        for number in 0..shape.services {
            let mut service = Service {
                name: service_name(number),
                environment: if number % 8 == 7 { "staging" } else { "production" },
                operations: Vec::with_capacity(shape.names),
            };
            for operation in 0..shape.names {
                let group = catalogue.groups.len() as u32;
                catalogue.add_groups(&service, operation);
                // Medians from 0.3 ms to 2.4 s: every bucket of the usual bounds is met.
                service.operations.push(Operation {
                    group,
                    mean_ln_ns: 12.6 + 0.009 * rng.below(1000) as f64,
                    deviation_ln: 0.5 + 0.1 * rng.below(8) as f64,
                });
            }
            catalogue.services.push(service);
        }
        catalogue
    }

    fn add_groups(&mut self, service: &Service, operation: usize) {
        let (method, success, kind) = DOINGS[operation % DOINGS.len()];
        let route = format!("/v{}/{}/{{id}}", operation / 10, THINGS[operation % THINGS.len()]);
        let ok = Group {
            service: service.name.clone(),
            name: format!("{method} {route}"),
            kind,
            status: Status::Unset,
            method,
            route,
            status_code: success,
            environment: service.environment,
        };
        let status_code = FAILURES[operation % FAILURES.len()];
        let failed = Group { status: Status::Error, status_code, ..ok.clone() };
        match self.outcomes {
            2 => self.groups.extend([ok, failed]),
            _ if operation % 10 == 9 => self.groups.push(failed),
            _ => self.groups.push(ok),
        }
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub fn group(&self, index: GroupIndex) -> &Group {
        &self.groups[index.0 as usize]
    }

    /// The group of an operation, or of its failure where it has both outcomes.
    pub(super) fn outcome(&self, operation: &Operation, failed: bool) -> GroupIndex {
        GroupIndex(operation.group + u32::from(failed && self.outcomes == 2))
    }
}

fn service_name(number: usize) -> String {
    let (field, role) = (FIELDS[number % FIELDS.len()], ROLES[number / FIELDS.len() % ROLES.len()]);
    match number / (FIELDS.len() * ROLES.len()) {
        0 => format!("{field}-{role}"),
        further => format!("{field}-{role}-{further}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_group_differs_with_and_without_dimensions() {
        for shape in [Shape::default(), Shape::of(50, 20_000), Shape::wide(512)] {
            let catalogue = Catalogue::new(&shape, 1);
            let four = |g: &Group| (g.service.clone(), g.name.clone(), g.kind, g.status);
            let without: BTreeSet<_> = catalogue.groups().iter().map(four).collect();
            let with: BTreeSet<_> = catalogue.groups().iter().collect();
            assert_eq!((without.len(), with.len()), (shape.groups(), shape.groups()));
        }
    }
}
