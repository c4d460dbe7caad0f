//! What a counter lost by beginning anew.

/// Losses are also summed in blocks of this many, so that a series that falls at every other sample
/// costs no window more than about two blocks of work.
const BLOCK: usize = 64;

/// The falls of one series.
///
/// Windows add the losses within them, in order, as Prometheus does, and do not take differences of
/// a running sum: one infinite or huge loss would spoil every window behind it.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    /// The places of the samples that are less than the one before.
    at: Vec<usize>,
    /// The value before each of them.
    lost: Vec<f64>,
    blocks: Vec<f64>,
}

impl Resets {
    /// Reads a series anew, keeping the memory of the one before.
    pub(crate) fn read(&mut self, values: &[f64]) {
        self.at.clear();
        self.lost.clear();
        self.blocks.clear();
        for (at, pair) in values.windows(2).enumerate() {
            if pair[1] < pair[0] {
                self.at.push(at + 1);
                self.lost.push(pair[0]);
            }
        }
        self.blocks.extend(self.lost.chunks_exact(BLOCK).map(|block| block.iter().sum::<f64>()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// How many falls lie at or before this sample; `known` is the answer for an earlier one.
    pub(crate) fn count_to(&self, sample: usize, known: usize) -> usize {
        known + self.at[known..].iter().take_while(|&&at| at <= sample).count()
    }

    /// Adds the losses from one fall up to, without, another.
    pub(crate) fn add_lost(&self, mut increase: f64, from: usize, until: usize) -> f64 {
        let first_block = from.div_ceil(BLOCK);
        let last_block = until / BLOCK;
        if first_block >= last_block {
            return self.lost[from..until].iter().fold(increase, |sum, lost| sum + lost);
        }
        for lost in &self.lost[from..first_block * BLOCK] {
            increase += lost;
        }
        for block in &self.blocks[first_block..last_block] {
            increase += block;
        }
        for lost in &self.lost[last_block * BLOCK..until] {
            increase += lost;
        }
        increase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_add_up_to_the_losses_within() {
        let values: Vec<f64> =
            (0..2_000).map(|i| f64::from(if i % 2 == 0 { i } else { 0 })).collect();
        let mut resets = Resets::default();
        resets.read(&values);
        for (first, last) in [(0, 1_999), (3, 4), (7, 300), (64, 640), (1, 129), (1_000, 1_000)] {
            let from = resets.count_to(first, 0);
            let until = resets.count_to(last, from);
            let falls = first + 1..=last;
            let direct: f64 =
                falls.filter(|&i| values[i] < values[i - 1]).map(|i| values[i - 1]).sum();
            assert_eq!(resets.add_lost(0.0, from, until), direct, "{first}..={last}");
        }
    }

    #[test]
    fn an_infinite_loss_stays_in_its_own_windows() {
        let mut resets = Resets::default();
        resets.read(&[f64::INFINITY, 1.0, 5.0, 2.0]);
        let from = resets.count_to(1, 0);
        assert_eq!(resets.add_lost(0.0, from, resets.count_to(3, from)), 5.0);
    }
}
