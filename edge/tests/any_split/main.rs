//! Law 1, through everything that is real: any split of a set of spans into requests, order, edges,
//! flushes and lives gives the same content in every shard, and that content is the naive sum.
//!
//! ```text
//! spans ─┬─ split A ─▶ edges: journal, seal, slices ─▶ store ─▶ dump, digests ─┐
//!        ├─ split B ─▶            likewise             ─▶ store ─▶ dump, digests ─┼─ all equal
//!        └─ naive sum, which shares no code with the above ───────────────────────┘
//! ```
//!
//! On the memory disk with crashes, and on files and RocksDB. What would not notice a bug is worth
//! nothing, so two are put in: see `mutations`.

mod expected;
mod mutations;
mod place;
mod replicas;
mod sent;
mod split;
mod world;

use proptest::prelude::*;

use expected::{Sums, naive};
use place::Place;
use sent::{Sent, any_sent};
use split::Split;
use world::World;

/// Runs both splits and answers the first thing that differs.
fn compare(place: &Place, sent: &Sent, splits: [u64; 2]) -> Result<(), String> {
    let [one, other] = splits.map(|seed| World::run(place, sent, &Split::new(seed, sent)));
    let naive = naive(sent);
    naive
        .differs_from(&Sums::of(&one.content))
        .map_or(Ok(()), |what| Err(format!("from the naive sum: {what}")))?;
    if one.content != other.content || one.content.encode() != other.content.encode() {
        let what = Sums::of(&one.content).differs_from(&Sums::of(&other.content));
        return Err(format!("two splits: {}", what.unwrap_or_default()));
    }
    match one.digests == other.digests {
        true => Ok(()),
        false => Err(format!("digests: {:?} and {:?}", one.digests, other.digests)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_content(sent in any_sent(), splits in any::<[u64; 2]>()) {
        prop_assert_eq!(compare(&Place::Memory, &sent, splits), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_content_on_files_and_rocksdb(
        sent in any_sent(),
        splits in any::<[u64; 2]>(),
    ) {
        prop_assert_eq!(compare(&Place::Real, &sent, splits), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 16, ..ProptestConfig::default() })]

    #[test]
    fn both_disks_hold_the_same(sent in any_sent(), seed in any::<u64>()) {
        let split = Split::new(seed, &sent);
        let [memory, real] = [Place::Memory, Place::Real].map(|place| World::run(&place, &sent, &split));
        prop_assert_eq!(memory.digests, real.digests);
    }
}
