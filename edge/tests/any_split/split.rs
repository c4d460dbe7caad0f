//! One way to send what is sent: in which requests, to which edges, in which order, with which pauses
//! and restarts between.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::sent::Sent;

#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) edges: usize,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Spans of one tenant, by their places.
    Spans {
        edge: usize,
        spans: Vec<usize>,
    },
    Samples {
        edge: usize,
        samples: Vec<usize>,
    },
    /// Windows are sealed meanwhile, or not.
    Pause {
        ms: u64,
    },
    /// What was acked survives.
    Restart {
        edge: usize,
        seed: u64,
    },
}

impl Split {
    pub(crate) fn new(seed: u64, sent: &Sent) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let edges = rng.gen_range(1..=3);
        let mut steps = Vec::new();
        let longest = rng.gen_range(1..=12);
        for tenant in ["default", "shop"] {
            let of_tenant = |(_, its): &(usize, &str)| *its == tenant;
            let spans = sent.spans.iter().map(|span| span.tenant).enumerate().filter(of_tenant);
            let spans: Vec<usize> = spans.map(|(place, _)| place).collect();
            for spans in pieces(spans, longest, &mut rng) {
                steps.push(Step::Spans { edge: rng.gen_range(0..edges), spans });
            }
            let samples =
                sent.samples.iter().map(|sample| sample.tenant).enumerate().filter(of_tenant);
            let samples: Vec<usize> = samples.map(|(place, _)| place).collect();
            for samples in pieces(samples, longest, &mut rng) {
                steps.push(Step::Samples { edge: rng.gen_range(0..edges), samples });
            }
        }
        for _ in 0..rng.gen_range(0..6) {
            steps.push(Step::Pause { ms: rng.gen_range(0..25_000) });
        }
        for _ in 0..rng.gen_range(0..3) {
            steps.push(Step::Restart { edge: rng.gen_range(0..edges), seed: rng.r#gen() });
        }
        steps.shuffle(&mut rng);
        Split { edges, steps }
    }

    pub(crate) fn without_restarts(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Restart { .. }));
        self
    }
}

fn pieces(mut all: Vec<usize>, longest: usize, rng: &mut StdRng) -> Vec<Vec<usize>> {
    all.shuffle(rng);
    let mut pieces = Vec::new();
    while !all.is_empty() {
        let rest = all.split_off(rng.gen_range(1..=longest).min(all.len()));
        pieces.push(std::mem::replace(&mut all, rest));
    }
    pieces
}
