//! SplitMix64: small, fast, and the same in every version of everything.

pub(crate) struct Rng(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// Begins far from where other numbers begin.
    pub(crate) fn scattered(number: u64) -> Self {
        Rng(mix(number ^ STEP))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// In (0, 1].
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Of the standard normal distribution (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// How often something happens that happens `mean` times on average (Knuth).
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        // Two halves add up to the whole, and `exp` of no part comes near 0.
        if mean > 64.0 {
            return self.poisson(mean / 2.0) + self.poisson(mean / 2.0);
        }
        let least = (-mean).exp();
        let (mut happened, mut left) = (0, self.unit());
        while left > least {
            happened += 1;
            left *= self.unit();
        }
        happened
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_has_its_mean_and_a_variance_that_is_the_same() {
        let mut rng = Rng::new(3);
        for mean in [0.0, 0.1, 4.0, 30.0, 1000.0] {
            let drawn: Vec<f64> = (0..20_000).map(|_| rng.poisson(mean) as f64).collect();
            let found = drawn.iter().sum::<f64>() / 20_000.0;
            let spread = drawn.iter().map(|n| (n - found).powi(2)).sum::<f64>() / 20_000.0;
            assert!((found - mean).abs() <= 0.05 * mean, "{found} for {mean}");
            assert!((spread - mean).abs() <= 0.1 * mean, "{spread} for {mean}");
        }
    }
}
