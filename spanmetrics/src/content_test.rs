use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// (tenant, layout, group, window, duration): one span each; or a sample, distinct by its time.
type Part = (u8, u8, u8, i64, u64);

fn layouts() -> [Layout; 2] {
    let coarse = Layout::explicit(60_000, vec![1_000, 1_000_000]).expect("ascends");
    [Layout::default(), coarse]
}

fn group(number: u8) -> Group {
    Group {
        service: format!("s{number}"),
        span_name: String::new(),
        kind: Default::default(),
        status: Default::default(),
        dimensions: Labels::default(),
        external: Labels::default(),
    }
}

fn content(parts: &[Part]) -> Content {
    let mut content = Content::default();
    for &(tenant, layout, number, window, duration_ns) in parts {
        let tenant = Tenant::new(&format!("t{tenant}")).expect("valid");
        let layout = &layouts()[usize::from(layout)];
        let of_tenant = content.tenant(&tenant);
        let labels = Labels::from_pairs([("__name__", format!("m{number}"))]);
        // The value follows from the time, so that no two samples disagree.
        of_tenant.sample(&tenant, labels, window, window as f64);
        let group = group(number);
        let id = group.id(&tenant);
        let windows = BTreeMap::new();
        let of_group = of_tenant
            .layout(layout.id(), layout)
            .groups
            .entry(id)
            .or_insert(GroupContent { group, windows });
        let end = WindowEnd(window * i64::from(layout.window_ms()));
        let delta = of_group.windows.entry(end).or_insert_with(|| Delta::empty(layout));
        delta.observe(layout, duration_ns);
    }
    content
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    vec((0..2u8, 0..2u8, 0..4u8, -2..5i64, any::<u64>()), 0..40)
}

proptest! {
    #[test]
    fn merging_in_any_order_and_grouping_gives_the_same(all in parts(), cuts in vec(0..40usize, 2)) {
        let whole = content(&all);
        let (low, high) = (cuts[0].min(cuts[1]).min(all.len()), cuts[0].max(cuts[1]).min(all.len()));
        let [a, b, c] = [&all[..low], &all[low..high], &all[high..]].map(content);
        let mut forward = a.clone();
        forward.merge(b.clone());
        forward.merge(c.clone());
        let mut backward = c;
        backward.merge(b);
        backward.merge(a);
        prop_assert_eq!(&forward, &whole);
        prop_assert_eq!(backward.digest(), whole.digest());
    }

    #[test]
    fn encoding_round_trips(all in parts()) {
        let content = content(&all);
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
    }

    #[test]
    fn what_is_taken_and_what_stays_add_up(all in parts(), until in -200_000i64..400_000) {
        let whole = content(&all);
        let mut stays = whole.clone();
        let taken = stays.take(|end| end.0 <= until);
        prop_assert!(taken.window_ends().all(|end| end.0 <= until));
        prop_assert!(stays.window_ends().all(|end| end.0 > until));
        prop_assert!(!stays.has_samples());
        stays.merge(taken);
        prop_assert_eq!(stays, whole);
    }

    #[test]
    fn shards_share_out_everything(all in parts()) {
        let whole = content(&all);
        let mut united = Content::default();
        for (shard, part) in whole.clone().by_shard(16) {
            prop_assert!(shard < 16 && !part.is_empty());
            united.merge(part);
        }
        prop_assert_eq!(united, whole);
    }

    #[test]
    fn damaged_bytes_never_panic(all in parts(), at: prop::sample::Index, bit in 0..8u8, cut: bool) {
        let mut bytes = content(&all).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(read) = Content::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn of_two_values_at_one_time_the_first_stays() {
    let tenant = Tenant::default();
    let labels = || Labels::from_pairs([("__name__", "up")]);
    let mut content = TenantContent::default();
    assert!(content.sample(&tenant, labels(), 1, 1.0));
    assert!(content.sample(&tenant, labels(), 1, 1.0));
    assert!(!content.sample(&tenant, labels(), 1, 0.0));
}

#[test]
fn the_bytes_are_pinned() {
    let content = content(&[(0, 0, 1, 3, 3_000_000), (0, 1, 1, -1, 2), (1, 1, 2, 0, u64::MAX)]);
    let bytes = content.encode();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, PINNED);
    assert_eq!(format!("{:032x}", content.digest()), PINNED_DIGEST);
    assert_eq!(Content::decode(&bytes), Ok(content));
}

const PINNED: &str = "\
    01020274300201904e1080897a80897a80897a80897a80897a80b4891380e1eb1780c2d72f8084af5f8088debe018084\
    af5f8088debe01808c8d9e0280bcc1960b80e497d01280e497d01201027331000000000001e0d4038008b81701018008\
    01e0d40302e807d8fc3c01027331000000000001bfa907800800010080080101085f5f6e616d655f5f026d3102010000\
    00000000f0bf0600000000000008400274310101e0d40302e807d8fc3c01027332000000000001008008f0cf9adef4a6\
    e220010280080101085f5f6e616d655f5f026d3201000000000000000000";
const PINNED_DIGEST: &str = "418e163e0408f203969a5a25277e80f3";
