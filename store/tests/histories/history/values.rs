//! What slices say: windows and samples around an event time that moves on.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::calendar::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, month_start};
use crate::names::Names;
use crate::oracle::plain::{Cell, Plain};

const LATEST_MS: i64 = 40 * DAY_MS;
/// What one stretch of time is today, and a day: where rows begin and end.
const SEAMS_MS: [i64; 2] = [8 * HOUR_MS, DAY_MS];

pub(super) struct Values<'a> {
    names: &'a Names,
    clock_ms: i64,
    /// The layout of each tenant; it changes now and then.
    layouts: Vec<usize>,
    /// The groups of each tenant that have traffic; others come back later.
    active: Vec<Vec<usize>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(names: &'a Names, rng: &mut StdRng) -> Self {
        // Soon a month turns. Some begin where time does, and what is late there is from before.
        let turn_ms = match rng.gen_range(0..8) {
            0 => 0,
            1 => month_start(2024, 3),
            _ => month_start(2025, rng.gen_range(1..24)),
        };
        let clock_ms = turn_ms - rng.gen_range(-HOUR_MS..DAY_MS);
        let tenants = Names::SPOKEN.0;
        let mut values = Values { names, clock_ms, layouts: vec![0; tenants], active: vec![] };
        values.active = (0..tenants).map(|_| some_groups(rng)).collect();
        values
    }

    /// Between two slices.
    pub(super) fn move_on(&mut self, rng: &mut StdRng) {
        self.clock_ms += match rng.gen_range(0..60) {
            0 => rng.gen_range(0..20 * DAY_MS),
            1..4 => rng.gen_range(0..12 * HOUR_MS),
            4..20 => rng.gen_range(0..10 * MINUTE_MS),
            20..50 => rng.gen_range(0..30 * SECOND_MS),
            _ => 0,
        };
        let tenant = rng.gen_range(0..self.layouts.len());
        if rng.gen_ratio(1, 25) {
            self.layouts[tenant] = rng.gen_range(0..self.names.layouts.len());
        }
        if rng.gen_ratio(1, 10) {
            self.active[tenant] = some_groups(rng);
        }
    }

    /// Mostly a little behind the clock.
    pub(super) fn promise(&self, rng: &mut StdRng) -> i64 {
        let behind_ms = if rng.gen_ratio(1, 8) { HOUR_MS } else { 10 * SECOND_MS };
        self.clock_ms - rng.gen_range(0..behind_ms)
    }

    pub(super) fn plain(&self, rng: &mut StdRng) -> Plain {
        let mut plain = Plain::default();
        if rng.gen_ratio(1, 8) {
            return plain;
        }
        for _ in 0..rng.gen_range(0..5) {
            let many = if rng.gen_ratio(1, 30) { rng.gen_range(20..60) } else { 1 };
            self.windows(rng, many, &mut plain);
        }
        for _ in 0..rng.gen_range(0..4) {
            self.point(rng, &mut plain);
        }
        plain
    }

    /// At least something.
    pub(super) fn some_plain(&self, rng: &mut StdRng) -> Plain {
        let mut plain = self.plain(rng);
        self.windows(rng, 1, &mut plain);
        plain
    }

    fn windows(&self, rng: &mut StdRng, many: i64, plain: &mut Plain) {
        let tenant = rng.gen_range(0..self.layouts.len());
        let group = *self.active[tenant].choose(rng).expect("some");
        let is_old_layout = rng.gen_ratio(1, 15);
        let layout = if is_old_layout {
            rng.gen_range(0..self.names.layouts.len())
        } else {
            self.layouts[tenant]
        };
        let width_ms = i64::from(self.names.layouts[layout].window_ms());
        let first_ms = self.time(rng).div_euclid(width_ms) * width_ms;
        // Together they leave 64 bits.
        let more = if many > 1 && rng.gen_ratio(1, 3) { 1 << 59 } else { 0 };
        for number in 0..many {
            let end_ms = first_ms + number * width_ms;
            let mut cell = cell(rng, self.names.layouts[layout].buckets());
            cell.count += more;
            cell.buckets[0] += more;
            plain.cells.insert((tenant, group, layout, end_ms), cell);
        }
    }

    fn point(&self, rng: &mut StdRng, plain: &mut Plain) {
        let tenant = rng.gen_range(0..self.layouts.len());
        let series = rng.gen_range(0..Names::SPOKEN.2);
        let time_ms = self.time(rng);
        // On a grid, so that some meet.
        let time_ms = if rng.r#gen() { time_ms - time_ms.rem_euclid(MINUTE_MS) } else { time_ms };
        plain.points.insert((tenant, series, time_ms), bits(rng));
    }

    /// Now or late.
    fn time(&self, rng: &mut StdRng) -> i64 {
        let late_ms = match rng.gen_range(0..20) {
            0..11 => rng.gen_range(0..10 * SECOND_MS),
            11..14 => rng.gen_range(0..HOUR_MS),
            14..17 => rng.gen_range(0..2 * DAY_MS),
            _ => rng.gen_range(0..=LATEST_MS),
        };
        let time_ms = self.clock_ms - late_ms;
        if rng.gen_ratio(3, 4) {
            return time_ms;
        }
        let seam_ms = SEAMS_MS.choose(rng).expect("some");
        let around_ms = [-1, 0, 0, 1].choose(rng).expect("some") * 10 * SECOND_MS;
        time_ms - time_ms.rem_euclid(*seam_ms) + around_ms
    }
}

fn some_groups(rng: &mut StdRng) -> Vec<usize> {
    let mut groups: Vec<_> = (0..Names::SPOKEN.1).collect();
    groups.shuffle(rng);
    groups.truncate(rng.gen_range(1..=Names::SPOKEN.1));
    groups
}

/// Of any size, as long as no sum of a history's leaves its integer.
fn cell(rng: &mut StdRng, buckets: usize) -> Cell {
    let mut cell = Cell { buckets: vec![0; buckets], ..Cell::default() };
    let most_bits = if rng.gen_ratio(1, 6) { 48 } else { 6 };
    for _ in 0..rng.gen_range(1..4) {
        let most = 1u64 << rng.gen_range(0..most_bits);
        let units = rng.gen_range(1..=most) * 1024;
        cell.buckets[rng.gen_range(0..buckets)] += units / 4;
        cell.count += units / 4;
    }
    // No edge says so, and yet a shard takes it and its digest covers it.
    if rng.gen_ratio(1, 15) {
        cell.count = rng.gen_range(0..1 << 20);
    }
    let sum_bits = if rng.gen_ratio(1, 6) { 100 } else { 30 };
    let most = 1u128 << rng.gen_range(0..sum_bits);
    cell.sum_us = rng.gen_range(0..=most);
    cell
}

fn bits(rng: &mut StdRng) -> u64 {
    const STALE: u64 = 0x7ff0_0000_0000_0002;
    match rng.gen_range(0..8) {
        0 => STALE,
        1 => f64::NAN.to_bits(),
        2 => (-0.0f64).to_bits(),
        3 => rng.r#gen(),
        _ => f64::from(rng.gen_range(-3..100)).to_bits(),
    }
}
