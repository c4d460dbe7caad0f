//! The edges whose groups are on the page.

use tributary_edge::{EdgeHandle, TotalsHandle};
use tributary_spanmetrics::Labels;

#[derive(Clone, Default)]
pub struct Edges(Vec<Source>);

#[derive(Clone)]
pub(super) struct Source {
    pub(super) totals: TotalsHandle,
    /// Two edges can know the same group only where these are the same.
    pub(super) external: Labels,
}

impl Edges {
    pub fn add(&mut self, edge: &EdgeHandle) {
        let external = edge.config().external.clone();
        self.0.push(Source { totals: edge.totals().clone(), external });
    }

    pub(super) fn get(&self, at: usize) -> Option<&Source> {
        self.0.get(at)
    }

    /// The others that may know groups of this one: those before it, and those behind.
    pub(super) fn siblings(&self, at: usize) -> (Vec<&TotalsHandle>, Vec<&TotalsHandle>) {
        let of = |others: std::ops::Range<usize>| {
            let others = self.0[others].iter();
            let alike = others.filter(|other| other.external == self.0[at].external);
            alike.map(|other| &other.totals).collect()
        };
        (of(0..at), of(at + 1..self.0.len()))
    }
}
