//! One visit to the shop: a tree of spans over its services, from a seeded generator.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub(super) struct Shop {
    random: StdRng,
}

struct Operation {
    service: &'static str,
    name: &'static str,
    /// Half of the calls take less, without what they call.
    median_ms: f64,
    errors: f64,
    calls: &'static [usize],
}

/// Which of the operations visitors begin with, by weight.
const ENTRIES: [(usize, u32); 3] = [(0, 10), (1, 5), (2, 2)];

/// A call refers to a later operation, so no visit goes in circles.
const OPERATIONS: [Operation; 14] = [
    op("frontend", "GET /product", 3.0, 0.002, &[13, 3, 4]),
    op("frontend", "POST /cart", 4.0, 0.004, &[5]),
    op("frontend", "POST /checkout", 5.0, 0.01, &[6]),
    op("recommendation", "Recommendation/List", 35.0, 0.005, &[13]),
    op("ads", "Ads/Get", 9.0, 0.03, &[]),
    op("cart", "Cart/AddItem", 5.0, 0.002, &[13]),
    op("checkout", "Checkout/PlaceOrder", 12.0, 0.008, &[7, 8, 9, 10, 11]),
    op("cart", "Cart/Get", 4.0, 0.001, &[]),
    op("currency", "Currency/Convert", 1.0, 0.0, &[]),
    op("shipping", "Shipping/Quote", 18.0, 0.004, &[]),
    op("payment", "Payment/Charge", 90.0, 0.04, &[12]),
    op("email", "Email/Confirm", 140.0, 0.01, &[]),
    op("payment", "Payment/ScoreFraud", 60.0, 0.002, &[]),
    op("catalog", "Catalog/GetProduct", 6.0, 0.001, &[]),
];

const fn op(
    service: &'static str,
    name: &'static str,
    median_ms: f64,
    errors: f64,
    calls: &'static [usize],
) -> Operation {
    Operation { service, name, median_ms, errors, calls }
}

/// One call in this many hits something slow and takes twenty times as long.
const SLOW_ONE_IN: u32 = 80;
const SERVER: i32 = 2;
const ERROR: i32 = 2;

impl Shop {
    pub(super) fn new(seed: u64) -> Self {
        Shop { random: StdRng::seed_from_u64(seed) }
    }

    /// The spans of a visit that ends at `end_ns`.
    pub(super) fn visit(&mut self, end_ns: u64) -> Vec<ResourceSpans> {
        let total: u32 = ENTRIES.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.random.gen_range(0..total);
        let entry = ENTRIES.iter().find(|(_, weight)| {
            let found = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            found
        });
        let trace: [u8; 16] = self.random.r#gen();
        let mut spans = Vec::new();
        let (operation, _) = entry.expect("something below the total was drawn");
        self.call(*operation, &trace, &[], end_ns, &mut spans);
        spans
    }

    /// Adds the operation's span and those of what it calls; answers how long it took.
    fn call(
        &mut self,
        operation: usize,
        trace: &[u8; 16],
        parent: &[u8],
        end_ns: u64,
        spans: &mut Vec<ResourceSpans>,
    ) -> u64 {
        let of = &OPERATIONS[operation];
        let id: [u8; 8] = self.random.r#gen();
        let mut duration_ns = self.own_time_ns(of.median_ms);
        for &called in of.calls {
            duration_ns += self.call(called, trace, &id, end_ns.saturating_sub(duration_ns), spans);
        }
        let failed = self.random.gen_bool(of.errors);
        let status = failed.then(|| Status { code: ERROR, message: "the demo's dice".into() });
        let span = Span {
            trace_id: trace.to_vec(),
            span_id: id.to_vec(),
            parent_span_id: parent.to_vec(),
            name: of.name.into(),
            kind: SERVER,
            start_time_unix_nano: end_ns.saturating_sub(duration_ns),
            end_time_unix_nano: end_ns,
            status,
            ..Span::default()
        };
        spans.push(of_service(of.service, span));
        duration_ns
    }

    /// Log-normal around the median, with a slow tail.
    fn own_time_ns(&mut self, median_ms: f64) -> u64 {
        // Box and Muller's normal variable.
        let radius = (-2.0 * (1.0 - self.random.r#gen::<f64>()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.random.r#gen::<f64>()).cos();
        let slow = if self.random.gen_ratio(1, SLOW_ONE_IN) { 20.0 } else { 1.0 };
        (median_ms * 1e6 * slow * (0.5 * normal).exp()) as u64
    }
}

fn of_service(service: &str, span: Span) -> ResourceSpans {
    let value = AnyValue { value: Some(Value::StringValue(service.into())) };
    let attributes =
        vec![KeyValue { key: "service.name".into(), value: Some(value), ..KeyValue::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn visits_reach_all_ten_services_and_some_fail() {
        let mut shop = Shop::new(7);
        let visits: Vec<_> = (0..2000).flat_map(|_| shop.visit(1 << 60)).collect();
        let spans = || visits.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        let names: BTreeSet<_> = spans().map(|span| span.name.as_str()).collect();
        assert_eq!(names.len(), OPERATIONS.len());
        let services: BTreeSet<_> = OPERATIONS.iter().map(|of| of.service).collect();
        assert_eq!(services.len(), 10);
        assert!(spans().any(|span| span.status.is_some()));
        assert!(spans().all(|span| span.start_time_unix_nano < span.end_time_unix_nano));
    }

    #[test]
    fn a_seed_gives_the_same_visits() {
        let visits = |seed| {
            let mut shop = Shop::new(seed);
            (0..50).map(|_| shop.visit(1 << 60)).collect::<Vec<_>>()
        };
        assert_eq!(visits(3), visits(3));
        assert_ne!(visits(3), visits(4));
    }

    #[test]
    fn calls_refer_to_later_operations() {
        for (at, operation) in OPERATIONS.iter().enumerate() {
            assert!(operation.calls.iter().all(|called| *called > at), "{}", operation.name);
        }
    }
}
