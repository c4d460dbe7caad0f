//! What the requests look like.

use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Spans in a request.
    pub spans: usize,
    /// Consecutive spans of one resource; a request has about `spans / spans_per_resource` resources.
    pub spans_per_resource: usize,
    pub services: usize,
    /// Span names of each service. A name settles kind, method and route.
    pub names: usize,
    /// 2: each name succeeds, and fails one time in ten. 1: it does always the same.
    pub outcomes: usize,
    /// Instances of each service: resources of their own, groups in common.
    pub instances: usize,
    /// Each span has its attributes in an order of its own.
    pub shuffled: bool,
    /// Attributes that are no dimensions have a value of their own in each span.
    pub distinct_values: bool,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadShape {
    #[error("{what} is {found}: it has to be {accepted}")]
    OutOfRange { what: &'static str, found: usize, accepted: &'static str },
}

/// A name fails one time in so many, where it has two outcomes.
pub(super) const FAILS_ONE_IN: usize = 10;

impl Shape {
    /// About `groups` groups with `spans` spans a request: as many services as names, if it divides so.
    pub fn of(spans: usize, groups: usize) -> Self {
        let outcomes = if groups.is_multiple_of(2) && groups > 0 { 2 } else { 1 };
        let pairs = groups / outcomes;
        let services =
            (1..=pairs.isqrt()).rev().find(|n| pairs.is_multiple_of(*n)).unwrap_or_default();
        Shape {
            spans,
            spans_per_resource: 64,
            services,
            names: pairs.checked_div(services).unwrap_or_default(),
            outcomes,
            instances: 1,
            shuffled: false,
            distinct_values: false,
        }
    }

    /// Many resources: 200 services, 100 names each, 4 instances of each service.
    pub fn wide(spans: usize) -> Self {
        Shape { services: 200, names: 100, outcomes: 1, instances: 4, ..Shape::of(spans, 2) }
    }

    pub fn groups(&self) -> usize {
        self.services * self.names * self.outcomes
    }

    /// Requests after which every group has occurred: each service has then come so often that its
    /// deck of operations was dealt.
    pub fn requests_for_all_groups(&self) -> usize {
        let cards = self.names * if self.outcomes == 2 { FAILS_ONE_IN } else { 1 };
        let resources = self.spans.div_ceil(self.spans_per_resource);
        let spans_each = self.spans / resources;
        let rounds = cards.div_ceil(spans_each * self.instances);
        (rounds * self.services * self.instances).div_ceil(resources)
    }

    pub fn check(&self) -> Result<(), BadShape> {
        let range = |what, found, most: usize, accepted| {
            if (1..=most).contains(&found) {
                Ok(())
            } else {
                Err(BadShape::OutOfRange { what, found, accepted })
            }
        };
        range("spans a request", self.spans, 100_000, "from 1 to 100000")?;
        range("spans a resource", self.spans_per_resource, usize::MAX, "at least 1")?;
        range("services", self.services, 100_000, "from 1 to 100000")?;
        range("names", self.names, 100_000, "from 1 to 100000")?;
        range("outcomes", self.outcomes, 2, "1 or 2")?;
        range("instances", self.instances, 1000, "from 1 to 1000")?;
        range("groups", self.groups(), 10_000_000, "at most 10000000")
    }
}

impl Default for Shape {
    fn default() -> Self {
        Shape::of(512, 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_spread_over_services_and_names() {
        let shape = Shape::default();
        assert_eq!((shape.services, shape.names, shape.outcomes), (20, 25, 2));
        assert_eq!(Shape::of(50, 20_000).groups(), 20_000);
        assert_eq!(Shape::of(50, 7).groups(), 7);
        assert_eq!(Shape::wide(512).groups(), 20_000);
    }

    #[test]
    fn a_shape_without_spans_or_groups_is_refused() {
        assert!(Shape::default().check().is_ok());
        assert!(Shape::of(0, 1000).check().is_err());
        let refused = Shape::of(512, 0).check().unwrap_err();
        assert_eq!(refused.to_string(), "services is 0: it has to be from 1 to 100000");
    }
}
