//! Random operations against plain maps.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Rig, on_every_disk};
use crate::disk::{Batch, Op, Row};

on_every_disk!(random_operations_agree_with_plain_maps);

const NAMES: [&str; 3] = ["a", "b", "c"];

type Model = [BTreeMap<Vec<u8>, Vec<u8>>; 3];

async fn random_operations_agree_with_plain_maps(rig: &mut dyn Rig) {
    for seed in 0..8 {
        let mut rng = StdRng::seed_from_u64(seed);
        let dir = format!("db{seed}");
        let mut families = rig.disk().families(&dir, &NAMES).await.unwrap();
        // What each prefix of the batches since the last flush amounts to.
        let mut histories: Vec<Model> = vec![Model::default()];
        for _ in 0..150 {
            let now = histories.last().unwrap().clone();
            match rng.gen_range(0..20) {
                0 => {
                    families.flush().await.unwrap();
                    histories = vec![now];
                }
                1 => {
                    drop(families);
                    rig.restart();
                    families = rig.disk().families(&dir, &NAMES).await.unwrap();
                    let mut left = Model::default();
                    for (family, rows) in left.iter_mut().enumerate() {
                        *rows = plain(families.snapshot().page(family, all(), 9999).await.unwrap());
                    }
                    assert!(histories.contains(&left), "seed {seed}: not a prefix");
                    histories = vec![left];
                }
                2..=9 => {
                    let family = rng.gen_range(0..3);
                    let (from, to, limit) = (key(&mut rng), key(&mut rng), rng.gen_range(0..5));
                    let expected: Vec<_> = now[family]
                        .iter()
                        .filter(|(key, _)| **key >= from && **key < to)
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect();
                    let snapshot = families.snapshot();
                    let range = (from.clone(), to);
                    let rows = snapshot.scan(family, vec![range.clone(), all()]).await.unwrap();
                    assert_eq!(owned(&rows[0]), expected, "seed {seed}");
                    assert_eq!(rows[1].len(), now[family].len(), "seed {seed}");
                    let page = snapshot.page(family, range, limit).await.unwrap();
                    assert_eq!(owned(&page), expected[..limit.min(expected.len())]);
                    let value = snapshot.get(family, &from).await.unwrap();
                    assert_eq!(value.map(|v| v.to_vec()), now[family].get(&from).cloned());
                }
                _ => {
                    let ops: Vec<Op> = (0..rng.gen_range(1..9)).map(|_| op(&mut rng)).collect();
                    let mut next = now;
                    ops.iter().for_each(|op| apply(&mut next, op));
                    families.write(Batch { ops }).await.unwrap();
                    histories.push(next);
                }
            }
        }
    }
}

fn key(rng: &mut StdRng) -> Vec<u8> {
    (0..rng.gen_range(1..3)).map(|_| rng.gen_range(b'a'..=b'f')).collect()
}

fn op(rng: &mut StdRng) -> Op {
    let family = rng.gen_range(0..3);
    match rng.gen_range(0..6) {
        0 => Op::Delete(family, key(rng)),
        1 => Op::DeleteRange(family, key(rng), key(rng)),
        _ => Op::Put(family, key(rng), vec![rng.r#gen(); rng.gen_range(0..4)]),
    }
}

fn apply(model: &mut Model, op: &Op) {
    match op {
        Op::Put(family, key, value) => drop(model[*family].insert(key.clone(), value.clone())),
        Op::Delete(family, key) => drop(model[*family].remove(key)),
        Op::DeleteRange(family, from, to) => {
            model[*family].retain(|key, _| key < from || key >= to);
        }
    }
}

fn all() -> (Vec<u8>, Vec<u8>) {
    (Vec::new(), vec![0xff])
}

fn owned(rows: &[Row]) -> Vec<(Vec<u8>, Vec<u8>)> {
    rows.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn plain(rows: Vec<Row>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    owned(&rows).into_iter().collect()
}
