use proptest::collection::btree_map;
use proptest::prelude::*;
use tributary_spanmetrics::Delta;

use super::*;

fn windows(layout: &Layout, deltas: impl IntoIterator<Item = (i64, Delta)>) -> Windows {
    let mut windows = Windows::new(layout.buckets());
    for (end, delta) in deltas {
        windows.push(WindowEnd(end), &delta);
    }
    windows
}

fn spans(layout: &Layout, durations_ns: &[u64]) -> Delta {
    let mut delta = Delta::empty(layout);
    durations_ns.iter().for_each(|ns| delta.observe(layout, *ns));
    delta
}

#[test]
fn the_bytes_are_pinned() {
    let layout = Layout::default();
    let rows = [
        (-10_000, Delta::empty(&layout)),
        (20_000, spans(&layout, &[3_000_000, u64::MAX])),
        (30_000, spans(&layout, &[3_000_000])),
    ];
    let windows = windows(&layout, rows);
    let value = encode(&windows, &layout);
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, PINNED);
    assert_eq!(decode(&value, &layout), Ok(windows));
}

#[test]
fn key_round_trips_and_sorts_by_stretch_before_layout() {
    let key = |stretch_ms, layout| BlockKey {
        tenant: Tenant::default(),
        group: GroupId(7),
        stretch_ms,
        layout: LayoutId(layout),
    };
    assert_eq!(BlockKey::decode(&key(-5, 9).row(3)), Some((key(-5, 9), 3)));
    assert!(key(0, 9).row(9) < key(1, 1).row(1));
}

#[test]
fn a_whole_stretch_takes_few_bytes_a_window() {
    let layout = Layout::default();
    // Ten spans a window or so, most of them short, drawn from a fixed sequence.
    let mut state = 1u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut delta = || {
        let durations: Vec<u64> =
            (0..5 + draw() % 11).map(|_| 1_000_000 << (draw() % 4 + draw() % 4)).collect();
        spans(&layout, &durations)
    };
    let rows: Vec<_> = (1..=2880).map(|row| (row * 10_000, delta())).collect();
    let windows = windows(&layout, rows);
    let value = encode(&windows, &layout);
    assert_eq!(decode(&value, &layout), Ok(windows.clone()));
    let row_by_row: usize = windows
        .deltas()
        .map(|(_, delta)| {
            let mut w = Writer::new();
            delta.encode(&mut w);
            w.into_bytes().len()
        })
        .sum();
    assert!(value.len() * 2 < row_by_row, "{} of {row_by_row}", value.len());
}

fn delta() -> impl Strategy<Value = Delta> {
    let units = prop_oneof![Just(0), 0..9u64, Just(u64::MAX), any::<u64>()];
    let weighed = prop_oneof![Just(0u64), Just(1024), Just(3072), units];
    let sums = prop_oneof![any::<u32>().prop_map(u128::from), any::<u128>()];
    let buckets = proptest::array::uniform3(weighed);
    (buckets, sums, any::<bool>(), any::<u64>()).prop_map(|(buckets, sum_us, adds_up, other)| {
        let all = buckets.iter().fold(0, |all: u64, units| all.wrapping_add(*units));
        Delta { count: if adds_up { all } else { other }, sum_us, buckets: buckets.to_vec() }
    })
}

proptest! {
    #[test]
    fn blocks_round_trip(rows in btree_map(-40..40i64, delta(), 1..30)) {
        let layout = Layout::explicit(1000, vec![5_000, 6_000_000]).expect("ascends");
        let windows = windows(&layout, rows.into_iter().map(|(end, delta)| (end * 1000, delta)));
        let value = encode(&windows, &layout);
        prop_assert_eq!(decode(&value, &layout), Ok(windows));
    }

    #[test]
    fn other_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let value = super::super::seal(BLOCK_V2, |w| w.raw(&bytes));
        let _ = decode(&value, &Layout::default());
    }
}

const PINNED: &str = "02039f9c01020002020a0200021802000102020001020002003700000000000000cebd4aa59bc4202b00000000000000a7a2e20f";
