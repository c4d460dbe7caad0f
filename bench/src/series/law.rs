//! By what a group's windows are drawn. Calls come more often by day than by night, each group at its own hour.

use super::shape::Variant;
use crate::rng::Rng;

pub(super) struct Law {
    /// In a window, on the average of a day.
    mean_calls: f64,
    /// Where in the day its rhythm begins, in radians.
    phase: f64,
    /// Of the logarithm of its durations in ns.
    mean_ln_ns: f64,
    deviation_ln: f64,
}

/// What the groups of a variant are spread over: the first two evenly by their logarithm.
struct Ranges {
    mean_calls: (f64, f64),
    median_ms: (f64, f64),
    deviation_ln: (f64, f64),
}

const DAY_MS: f64 = 86_400_000.0;
/// By how much the busiest hour is above the average, and the quietest below.
const RHYTHM: f64 = 0.6;
/// Busiest hours lie this part of a day apart at most.
const PHASES: f64 = 0.25;

impl Law {
    pub(super) fn draw(variant: Variant, rng: &mut Rng) -> Self {
        let ranges = Ranges::of(variant);
        Law {
            mean_calls: log_even(ranges.mean_calls, rng),
            phase: even((0.0, PHASES * std::f64::consts::TAU), rng),
            mean_ln_ns: (log_even(ranges.median_ms, rng) * 1e6).ln(),
            deviation_ln: even(ranges.deviation_ln, rng),
        }
    }

    /// In the window that ends then.
    pub(super) fn calls(&self, end_ms: i64, rng: &mut Rng) -> u64 {
        let of_day = end_ms as f64 / DAY_MS * std::f64::consts::TAU;
        rng.poisson(self.mean_calls * (1.0 + RHYTHM * (of_day + self.phase).sin()))
    }

    pub(super) fn duration_ns(&self, rng: &mut Rng) -> u64 {
        (self.mean_ln_ns + self.deviation_ln * rng.normal()).exp() as u64
    }
}

impl Ranges {
    fn of(variant: Variant) -> Self {
        match variant {
            Variant::Usual => Ranges {
                mean_calls: (10.0, 14.0),
                median_ms: (15.0, 60.0),
                deviation_ln: (2.0, 2.4),
            },
            Variant::Full => Ranges {
                mean_calls: (20.0, 30.0),
                median_ms: (20.0, 100.0),
                deviation_ln: (1.9, 2.3),
            },
            Variant::Sparse => Ranges {
                mean_calls: (0.02, 0.2),
                median_ms: (5.0, 300.0),
                deviation_ln: (0.3, 0.8),
            },
        }
    }
}

fn even((least, most): (f64, f64), rng: &mut Rng) -> f64 {
    least + (most - least) * rng.unit()
}

fn log_even((least, most): (f64, f64), rng: &mut Rng) -> f64 {
    even((least.ln(), most.ln()), rng).exp()
}
