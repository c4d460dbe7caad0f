//! What clients send: ordinary spans and all the odd ones, and samples.

use proptest::collection::vec;
use proptest::prelude::*;
use tributary_edge::Sample;
use tributary_spanmetrics::{Labels, Tenant};

/// When the world begins: in the middle of a window.
pub(crate) const BASE_NS: u64 = 1_780_000_003_210_987_654;
const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;
const WINDOW_NS: u64 = 10 * SECOND_NS;

#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) spans: Vec<SentSpan>,
    pub(crate) samples: Vec<SentSample>,
}

#[derive(Clone, Debug)]
pub(crate) struct SentSpan {
    pub(crate) tenant: &'static str,
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: i32,
    pub(crate) status: Option<i32>,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Within the limits on lateness and future, hours clear of them for as long as the test's clock
    /// runs: so every split admits the same spans.
    pub(crate) is_admitted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SentSample {
    pub(crate) tenant: &'static str,
    pub(crate) series: u8,
    pub(crate) time_ms: i64,
}

impl SentSample {
    pub(crate) fn tenant(&self) -> Tenant {
        Tenant::new(self.tenant).expect("valid")
    }

    pub(crate) fn sample(&self) -> Sample {
        let labels =
            [("__name__".to_owned(), "up".to_owned()), ("job".into(), self.series.to_string())];
        Sample { labels: Labels::from_pairs(labels), time_ms: self.time_ms, value: self.value() }
    }

    /// One value for one series and time, since of two the first would stay; odd ones are among them.
    pub(crate) fn value(&self) -> f64 {
        match (self.time_ms + i64::from(self.series)) % 5 {
            0 => f64::NAN,
            1 => -0.0,
            2 => f64::INFINITY,
            _ => self.time_ms as f64 / 3.0,
        }
    }
}

pub(crate) fn any_sent() -> impl Strategy<Value = Sent> {
    (vec(span(), 0..40), vec(sample(), 0..12)).prop_map(|(spans, samples)| Sent { spans, samples })
}

fn tenant() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["default", "shop"])
}

fn sample() -> impl Strategy<Value = SentSample> {
    let time_ms = (BASE_NS / 1_000_000) as i64 - 50..(BASE_NS / 1_000_000) as i64 + 50;
    (tenant(), 0..4u8, time_ms).prop_map(|(tenant, series, time_ms)| SentSample {
        tenant,
        series,
        time_ms,
    })
}

fn span() -> impl Strategy<Value = SentSpan> {
    let service = prop::sample::select(vec!["cart", "checkout", ""]);
    let name = prop::sample::select(vec!["GET /", "ü \"quoted\"\n"]);
    let status = prop::option::of(0..4);
    (tenant(), service, name, 0..7, status, end(), duration()).prop_map(
        |(tenant, service, name, kind, status, (end_ns, is_admitted), duration)| {
            let start_ns = match duration {
                Duration::Takes(ns) => end_ns.saturating_sub(ns),
                Duration::Negative(ns) => end_ns.saturating_add(ns),
                Duration::SinceTheEpoch => 0,
            };
            SentSpan { tenant, service, name, kind, status, start_ns, end_ns, is_admitted }
        },
    )
}

/// An end, and whether it is admitted.
fn end() -> impl Strategy<Value = (u64, bool)> {
    let edge = BASE_NS / WINDOW_NS * WINDOW_NS;
    let around = prop::sample::select(vec![-1i64, 0, 1]);
    prop_oneof![
        6 => (0..40 * SECOND_NS).prop_map(|ago| (BASE_NS - ago, true)),
        3 => (0..4u64, around).prop_map(move |(windows, off)| {
            ((edge - windows * WINDOW_NS).saturating_add_signed(off), true)
        }),
        2 => (1..25 * DAY_NS).prop_map(|ago| (BASE_NS - ago, true)),
        2 => (0..300 * SECOND_NS).prop_map(|ahead| (BASE_NS + ahead, true)),
        1 => (40 * DAY_NS..4000 * DAY_NS).prop_map(|ago| (BASE_NS - ago, false)),
        1 => (DAY_NS..4000 * DAY_NS).prop_map(|ahead| (BASE_NS + ahead, false)),
        1 => prop::sample::select(vec![(0, false), (u64::MAX, false)]),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Duration {
    Takes(u64),
    Negative(u64),
    SinceTheEpoch,
}

fn duration() -> impl Strategy<Value = Duration> {
    let bound_ms = prop::sample::select(vec![2u64, 10, 1_400, 15_000]);
    prop_oneof![
        2 => Just(Duration::Takes(0)),
        4 => (0..20 * SECOND_NS).prop_map(Duration::Takes),
        2 => (0..3_000u64).prop_map(Duration::Takes),
        3 => (bound_ms, 0..2u64).prop_map(|(ms, more)| Duration::Takes(ms * 1_000_000 + more)),
        1 => (1..DAY_NS).prop_map(Duration::Negative),
        1 => Just(Duration::SinceTheEpoch),
    ]
}
