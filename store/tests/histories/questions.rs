//! What is asked of a shard, what it tells, and what a state of the oracle would tell.

use std::collections::BTreeMap;
use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tributary_store::{GroupHistory, Totals, View};

use crate::calendar::{DAY_MS, HOUR_MS, month_of, month_start, text};
use crate::names::Names;
use crate::oracle::plain::{Opening, Plain, Told};
use crate::oracle::state::{Completeness, State};
use crate::wire;

/// Of one shard.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    Groups {
        tenant: usize,
        groups: Vec<usize>,
        from: i64,
        to: i64,
    },
    Series {
        tenant: usize,
        series: Vec<usize>,
        from: i64,
        to: i64,
    },
    Completeness,
    /// Every group and series with what it stands for, and completeness.
    Everything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Groups(Vec<BTreeMap<usize, Told>>),
    Series(Vec<BTreeMap<i64, u64>>),
    Completeness(Completeness),
    Everything(Plain, Completeness),
    /// What no state would tell.
    Wrong(String),
}

/// An error in place of an answer: the shard cannot be read now.
pub(crate) type Asked = Result<Answer, String>;

impl Question {
    pub(crate) fn draw(rng: &mut StdRng, state: &State) -> Self {
        let tenant = rng.gen_range(0..=Names::SPOKEN.0);
        let (from, to) = range(rng, &state.plain);
        match rng.gen_range(0..10) {
            0 => Question::Completeness,
            1..4 => Question::Series { tenant, series: some(rng, Names::SPOKEN.2 + 1), from, to },
            _ => Question::Groups { tenant, groups: some(rng, Names::SPOKEN.1 + 1), from, to },
        }
    }

    pub(crate) async fn ask(&self, view: &View, shard: usize, names: &Names) -> Asked {
        let unreadable = |error: tributary_store::disk::DiskError| error.to_string();
        let answer = match self {
            Question::Groups { tenant, groups, from, to } => {
                let known = names.groups(shard, *tenant);
                let ids: Vec<_> = groups.iter().map(|group| known[*group].0).collect();
                let asked = view.group_histories(&names.tenants[*tenant], &ids, *from, *to).await;
                let told: Result<_, _> = asked
                    .map_err(unreadable)?
                    .into_iter()
                    .map(|told| of_group(told, names))
                    .collect();
                told.map_or_else(Answer::Wrong, Answer::Groups)
            }
            Question::Series { tenant, series, from, to } => {
                let known = names.series(shard, *tenant);
                let ids: Vec<_> = series.iter().map(|series| known[*series].0).collect();
                let asked = view.samples(&names.tenants[*tenant], &ids, *from, *to).await;
                let asked = asked.map_err(unreadable)?;
                if let Some(damage) = asked.iter().flat_map(|told| &told.damaged).next() {
                    return Ok(Answer::Wrong(damage.clone()));
                }
                let points = asked.into_iter().map(|told| told.points.into_iter());
                let bits = points.map(|points| points.map(|(time, bits)| (time, bits.0)).collect());
                Answer::Series(bits.collect())
            }
            Question::Completeness => Answer::Completeness(completeness(view)),
            Question::Everything => {
                let content = view.content().await.map_err(unreadable)?;
                match wire::read(&content, names, shard) {
                    Ok(plain) => Answer::Everything(plain, completeness(view)),
                    Err(wrong) => Answer::Wrong(wrong),
                }
            }
        };
        Ok(answer)
    }

    pub(crate) fn expected(&self, state: &State) -> Answer {
        match self {
            Question::Groups { tenant, groups, from, to } => {
                let told = |group: &usize| state.plain.group(*tenant, *group, *from, *to);
                Answer::Groups(groups.iter().map(told).collect())
            }
            Question::Series { tenant, series, from, to } => {
                let told = |series: &usize| state.plain.series(*tenant, *series, *from, *to);
                Answer::Series(series.iter().map(told).collect())
            }
            Question::Completeness => Answer::Completeness(state.completeness()),
            Question::Everything => Answer::Everything(state.plain.clone(), state.completeness()),
        }
    }
}

fn completeness(view: &View) -> Completeness {
    let told = view.completeness();
    (told.complete_to_ms, told.live.to_vec())
}

fn of_group(told: GroupHistory, names: &Names) -> Result<BTreeMap<usize, Told>, String> {
    if let Some(damage) = told.damaged.into_iter().next() {
        return Err(damage);
    }
    let mut by_layout = BTreeMap::new();
    for (id, of_layout) in told.layouts {
        let number = names.layout_number(id, &of_layout.layout);
        let layout = number.ok_or_else(|| format!("layout {id:?} is unheard of"))?;
        let windows = of_layout.windows.deltas().map(|(end, delta)| (end.0, wire::cell(&delta)));
        let told: Told = (opening(of_layout.opening), windows.collect());
        // That there are rows of which nothing is to be told is no answer.
        if told != Told::default() {
            by_layout.insert(layout, told);
        }
    }
    Ok(by_layout)
}

fn opening(totals: Totals) -> Opening {
    let Totals { count, sum_us, buckets } = totals;
    let mut opening = Opening { count, sum_us, buckets };
    opening.trim();
    opening
}

fn some(rng: &mut StdRng, of: usize) -> Vec<usize> {
    let mut some: Vec<_> = (0..of).collect();
    some.shuffle(rng);
    some.truncate(rng.gen_range(1..=of));
    some
}

fn range(rng: &mut StdRng, plain: &Plain) -> (i64, i64) {
    if rng.gen_ratio(1, 5) {
        return (i64::MIN, i64::MAX);
    }
    let (one, other) = (time(rng, plain), time(rng, plain));
    (one.min(other), one.max(other))
}

/// At and around what was said, where stretches, days and months turn, and the ends of time.
fn time(rng: &mut StdRng, plain: &Plain) -> i64 {
    let said = plain.cells.keys().map(|key| key.3).chain(plain.points.keys().map(|key| key.2));
    let many = plain.cells.len() + plain.points.len();
    let near = said.clone().nth(rng.gen_range(0..many.max(1))).unwrap_or_default();
    let around = *[-1, 0, 0, 1].choose(rng).expect("some");
    let turn = |every: i64| near - near.rem_euclid(every);
    let (year, month) = month_of(near);
    around
        + match rng.gen_range(0..12) {
            0 => return i64::MIN,
            1 => return i64::MAX,
            2 => turn(DAY_MS),
            3 | 4 => turn(8 * HOUR_MS),
            5 => turn(8 * HOUR_MS) + 8 * HOUR_MS,
            6 => month_start(year, month),
            7 => month_start(year, month + 1),
            8 => near + rng.gen_range(-HOUR_MS..HOUR_MS),
            _ => near,
        }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Groups { tenant, groups, from, to } => {
                write!(f, "groups {groups:?} of tenant {tenant}, {} to {}", text(*from), text(*to))
            }
            Question::Series { tenant, series, from, to } => {
                write!(f, "series {series:?} of tenant {tenant}, {} to {}", text(*from), text(*to))
            }
            Question::Completeness => write!(f, "completeness"),
            Question::Everything => write!(f, "everything"),
        }
    }
}

impl Answer {
    /// Where two answers differ.
    pub(crate) fn against(&self, told: &Answer) -> String {
        match (self, told) {
            (Answer::Everything(expected, _), Answer::Everything(told, _)) if expected != told => {
                let mut lines = differences(&expected.cells, &told.cells);
                lines.extend(differences(&expected.points, &told.points));
                lines.join("\n")
            }
            _ => format!("expected {self:?}\ntold     {told:?}"),
        }
    }
}

/// The first few.
fn differences<K: Ord + fmt::Debug, V: PartialEq + fmt::Debug>(
    expected: &BTreeMap<K, V>,
    told: &BTreeMap<K, V>,
) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(told.keys()).collect();
    let differ = keys.into_iter().filter(|key| expected.get(key) != told.get(key)).take(5);
    let line = |key| format!("{key:?}: expected {:?}, told {:?}", expected.get(key), told.get(key));
    differ.map(line).collect()
}
