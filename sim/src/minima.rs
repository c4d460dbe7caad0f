//! How much must have happened in a run of many seeds: one in which nothing does proves nothing.

use std::collections::BTreeMap;

/// A run of fewer seeds may have been spared something.
const SEEDS: u64 = 20;

/// A seed has so many on average at least: about a third of what they have.
const WHOLE: [(&str, f64); 11] = [
    ("requests", 60.0),
    ("tries", 180.0),
    ("acked", 60.0),
    ("refused", 0.3),
    ("unknown", 0.8),
    ("remembered", 30.0),
    ("outages", 4.0),
    ("troubles", 5.0),
    ("steps", 2.0),
    ("trimmed", 150.0),
    ("forgotten", 0.4),
];
/// As well, where journals are damaged.
const DAMAGED: [(&str, f64); 1] = [("damaged", 0.5)];

/// All that happened in the seeds of a run, by name.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    seeds: u64,
    counts: BTreeMap<String, u64>,
}

impl Happened {
    /// `summary`: a seed's, as it is printed.
    pub(crate) fn add(&mut self, summary: &str) {
        self.seeds += 1;
        for (count, name) in summary.split(", ").filter_map(|pair| pair.split_once(' ')) {
            let count = count.parse::<u64>().unwrap_or_default();
            *self.counts.entry(name.to_owned()).or_default() += count;
        }
    }

    /// What happened too rarely.
    pub(crate) fn too_rare(&self, is_damaged: bool) -> Vec<String> {
        if self.seeds < SEEDS {
            return Vec::new();
        }
        let damaged: &[_] = if is_damaged { &DAMAGED } else { &[] };
        let minima = WHOLE.iter().chain(damaged);
        let told = minima.filter_map(|(name, least)| {
            let there = self.counts.get(*name).copied().unwrap_or_default();
            let wanted = (least * self.seeds as f64).ceil() as u64;
            (there < wanted).then(|| format!("{there} {name} of at least {wanted}"))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(seeds: u64, summary: &str) -> Happened {
        let mut happened = Happened::default();
        (0..seeds).for_each(|_| happened.add(summary));
        happened
    }

    const USUAL: &str = "200 requests, 500 tries, 190 acked, 1 refused, 5 unknown, 111 remembered, 5 outages, \
                         19 troubles, 8 steps, 0 damaged, 566 trimmed, 5 forgotten";

    #[test]
    fn what_hardly_happens_is_told_once_there_are_enough_seeds() {
        assert_eq!(happened(20, USUAL).too_rare(false), [""; 0]);
        assert_eq!(happened(20, USUAL).too_rare(true), ["0 damaged of at least 10"]);
        let calm = USUAL.replace("19 troubles", "0 troubles");
        assert_eq!(happened(20, &calm).too_rare(false), ["0 troubles of at least 100"]);
        assert_eq!(happened(19, &calm).too_rare(false), [""; 0]);
        assert_eq!(happened(20, "panicked: and said nothing").too_rare(false).len(), WHOLE.len());
    }
}
