//! No text makes the engine panic, or contradict itself.

mod support;

use support::MemorySource;
use tributary_query::{Engine, Error, Params, Steps};
use tributary_spanmetrics::{Labels, Tenant};

const SEEDS: [&str; 10] = [
    r#"sum by (le, "a b") (rate(a_bucket{job=~"a.*",b!='c'}[5m] offset -1m)) / 2"#,
    "histogram_quantile(0.9, sum without(a) (rate(a_bucket[1h30m]))) > bool 1e3",
    "a and on(x) b or ignoring(y) a unless b",
    "-foo @ 1.5 ^ +bar[5m:30s] @ end() offset 1y # comment\n",
    r#"{"na\x41me", `raw`="\u00e9\"", c!~"x|y"} == 0x1F"#,
    "label_replace(up, \"a\", \"$1\", \"b\", '(.*)') atan2 inf % nan",
    "count_values('v', foo) + quantile(0.1, bar) fill(0) baz",
    "{a=\"1\" or b=\"2\", c=\"é\"} * 1ms2s",
    "avg(a) - min(b) * max by (x) (a) % count(b) ^ vector(time()) <= a == bool 2",
    "increase(a[2m] offset 30s) != on(x) delta(b[90s])",
];

const PIECES: [&str; 30] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "`",
    "\\",
    "#",
    "\n",
    ":",
    ",",
    "-",
    "1e309",
    "inf",
    " offset ",
    "@",
    "é",
    "\u{0}",
    "99999999999y",
    " or ",
    "0x",
    "a",
    "b",
    " on(x) ",
    "bool ",
    "rate(",
    "sum(",
];

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn mutated(&mut self, seed: &str) -> String {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=self.below(6) {
            let at = self.below(text.len() + 1);
            let until = (at + self.below(8)).min(text.len());
            match self.below(3) {
                0 => drop(text.drain(at..until)),
                1 => {
                    let copy: Vec<char> = text[at..until].to_vec();
                    let to = self.below(text.len() + 1);
                    text.splice(to..to, copy);
                }
                _ => {
                    text.splice(at..until, PIECES[self.below(PIECES.len())].chars());
                }
            }
        }
        text.into_iter().collect()
    }
}

/// `PROMQL_FUZZ_ROUNDS` asks for more rounds.
#[tokio::test]
async fn mutated_queries_are_answered_or_refused() {
    let source = MemorySource::default();
    for (name, x) in [("a", "1"), ("a", "2"), ("b", "1"), ("a_bucket", "1")] {
        let labels = Labels::from_pairs([("__name__", name), ("x", x), ("le", "+Inf")]);
        let samples = (0..20).map(|i| (i * 15_000, (i % 7) as f64)).collect();
        source.add(labels, samples, (x == "2").then_some(200_000));
    }
    let rounds = std::env::var("PROMQL_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok());
    let (engine, tenant, params) = (Engine::default(), Tenant::default(), Params::default());
    let steps = Steps { start: 0, end: 330_000, step: 30_000 };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut answered = 0;
    for round in 0..rounds.unwrap_or(1_500) {
        let query = random.mutated(SEEDS[round % SEEDS.len()]);
        let instant = engine.instant(&source, &tenant, &query, 300_000, &params).await;
        let range = engine.range(&source, &tenant, &query, steps, &params).await;
        for answer in [instant, range] {
            match answer {
                Ok(_) => answered += 1,
                Err(e) => {
                    let ours = matches!(e, Error::Internal(_))
                        || e.to_string().contains("the parser failed");
                    assert!(!ours, "{query:?}: {e}");
                }
            }
        }
    }
    assert!(answered > 0, "no mutation made sense");
}
