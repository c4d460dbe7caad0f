//! Between clients and an edge. It hands on what comes, unless a bug is planted here.

use std::cell::RefCell;
use std::collections::BTreeMap;

use madsim::rand::{Rng, thread_rng};
use tributary_edge::{Refusal, TraceAnswer, TraceRequest};
use tributary_spanmetrics::Encoding;

use crate::cluster::Life;
use crate::plant::Plant;
use crate::traffic::Sent;

pub(super) struct Front {
    plant: Option<Plant>,
    /// How often each request is on its way just now.
    under_way: RefCell<BTreeMap<usize, usize>>,
}

impl Front {
    pub(super) fn new(plant: Option<Plant>) -> Self {
        Front { plant, under_way: RefCell::default() }
    }

    /// `is_repeat`: it was answered before.
    pub(super) async fn send(
        &self,
        request: usize,
        sent: &Sent,
        life: &Life,
        is_repeat: bool,
    ) -> Result<TraceAnswer, Refusal> {
        let _passing = Passing::new(self, request);
        if self.plant == Some(Plant::WaiterAckedEarly)
            && self.under_way.borrow()[&request] > 1
            && let [answer] = sent.possible_answers()[..]
        {
            return Ok(answer);
        }
        let (tenant, body) = (sent.tenant.clone(), sent.body.clone());
        let asked = TraceRequest { tenant, encoding: Encoding::Protobuf, body };
        let answer = life.handle.ingest(asked).await;
        match self.plant {
            Some(Plant::RefusedAfterWritten) if thread_rng().gen_ratio(1, 5) => {
                answer.and_then(|_| Err(Refusal::Journal("planted".into())))
            }
            Some(Plant::AnsweredAnew) if is_repeat => {
                let possible = sent.possible_answers();
                answer.map(|_| possible[thread_rng().gen_range(0..possible.len())])
            }
            _ => answer,
        }
    }
}

/// Counts a request as under way while it lives.
struct Passing<'a> {
    front: &'a Front,
    request: usize,
}

impl<'a> Passing<'a> {
    fn new(front: &'a Front, request: usize) -> Self {
        *front.under_way.borrow_mut().entry(request).or_default() += 1;
        Passing { front, request }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        let mut under_way = self.front.under_way.borrow_mut();
        if let Some(times) = under_way.get_mut(&self.request) {
            *times -= 1;
        }
    }
}
