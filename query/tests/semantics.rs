//! What queries mean: times, staleness, completeness, extrapolation, matching, limits.

mod support;

use std::time::Duration;

use support::MemorySource;
use tributary_query::{Engine, Error, Options, Params, QueryAnswer, Steps, Value};
use tributary_spanmetrics::{Labels, Tenant};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Series written as `name{label="value"}`, with samples at `(seconds, value)`.
fn source(series: &[(&str, &[(i64, f64)])]) -> MemorySource {
    complete(series, None)
}

fn complete(series: &[(&str, &[(i64, f64)])], complete_to: Option<i64>) -> MemorySource {
    let source = MemorySource::default();
    for (text, samples) in series {
        let samples = samples.iter().map(|&(seconds, value)| (seconds * SECOND, value));
        source.add(labels(text), samples.collect(), complete_to.map(|seconds| seconds * SECOND));
    }
    source
}

fn labels(text: &str) -> Labels {
    let selector = tributary_query::parse_selector(text, &Default::default()).expect("a selector");
    Labels::from_pairs(selector.iter().map(|matcher| (matcher.name(), matcher.value())))
}

async fn instant(source: &MemorySource, query: &str, seconds: i64) -> Result<QueryAnswer, Error> {
    let (tenant, params) = (Tenant::default(), Params::default());
    Engine::default().instant(source, &tenant, query, seconds * SECOND, &params).await
}

async fn range(
    source: &MemorySource,
    query: &str,
    seconds: (i64, i64, i64),
) -> Result<QueryAnswer, Error> {
    let (start, end, step) = seconds;
    let steps = Steps { start: start * SECOND, end: end * SECOND, step: step * SECOND };
    Engine::default().range(source, &Tenant::default(), query, steps, &Params::default()).await
}

/// The value of the only series, if there is one.
async fn value(source: &MemorySource, query: &str, seconds: i64) -> Option<f64> {
    match instant(source, query, seconds).await.expect(query).value {
        Value::Scalar(_, value) => Some(value),
        Value::Vector(samples) => {
            assert!(samples.len() <= 1, "{query}: {samples:?}");
            samples.first().map(|sample| sample.value)
        }
        other => panic!("{query}: {other:?}"),
    }
}

/// Each series as `labels value value …`, with `-` where it has none.
async fn rows(source: &MemorySource, query: &str, seconds: (i64, i64, i64)) -> Vec<String> {
    let Value::Matrix(matrix) = range(source, query, seconds).await.expect(query).value else {
        panic!("not a matrix");
    };
    let (start, end, step) = seconds;
    let row = |series: &tributary_query::RangeSeries| {
        let times = (start..=end).step_by(step as usize);
        let cells = times.map(|t| {
            let point = series.points.iter().find(|(time, _)| *time == t * SECOND);
            point.map_or("-".to_owned(), |(_, value)| value.to_string())
        });
        format!("{} {}", series.labels, cells.collect::<Vec<_>>().join(" "))
    };
    matrix.iter().map(row).collect()
}

async fn error(source: &MemorySource, query: &str) -> String {
    instant(source, query, 60).await.expect_err(query).to_string()
}

#[tokio::test]
async fn lookback_excludes_its_left_end() {
    let source = source(&[("a", &[(100, 7.0)])]);
    assert_eq!(value(&source, "a", 99).await, None);
    assert_eq!(value(&source, "a", 100).await, Some(7.0));
    assert_eq!(value(&source, "a", 399).await, Some(7.0));
    assert_eq!(value(&source, "a", 400).await, None);
}

#[tokio::test]
async fn ranges_exclude_their_left_end() {
    let source = source(&[("a", &[(0, 1.0), (60, 2.0), (120, 4.0)])]);
    assert_eq!(value(&source, "delta(a[1m])", 120).await, None);
    assert_eq!(value(&source, "delta(a[61s])", 120).await, Some(2.0 * 61.0 / 60.0));
}

#[tokio::test]
async fn offsets_move_the_evaluation_time_back_and_ahead() {
    let source = source(&[("a", &[(0, 1.0), (60, 2.0), (120, 3.0)])]);
    assert_eq!(value(&source, "a offset 1m", 120).await, Some(2.0));
    assert_eq!(value(&source, "a offset -1m", 60).await, Some(3.0));
    assert_eq!(value(&source, "increase(a[90s] offset 1m)", 120).await, Some(1.5));
}

#[tokio::test]
async fn a_stale_marker_ends_a_series_until_its_next_sample() {
    let source = source(&[("a", &[(0, 1.0), (10, STALE), (20, 3.0)])]);
    assert_eq!(rows(&source, "a", (0, 30, 10)).await, [r#"{__name__="a"} 1 - 3 3"#]);
    // Within a range it is no sample at all.
    assert_eq!(value(&source, "delta(a[25s])", 20).await, Some(2.0 * 25.0 / 20.0));
}

#[tokio::test]
async fn a_series_is_taken_as_of_its_completeness() {
    // Complete to 100 s; what is there of the time behind it is still growing.
    let samples: &[(i64, f64)] = &[(80, 8.0), (90, 9.0), (100, 10.0), (110, 10.5)];
    let incomplete = complete(&[("a", samples)], Some(100));
    let expected = [r#"{__name__="a"} 9 10 10 10"#];
    assert_eq!(rows(&incomplete, "a", (90, 120, 10)).await, expected);
    // The whole window of a range shifts with it.
    let query = "increase(a[30s])";
    let at_completeness = value(&incomplete, query, 100).await;
    assert_eq!(at_completeness, Some(3.0));
    assert_eq!(value(&incomplete, query, 130).await, at_completeness);
    // An offset is taken first.
    assert_eq!(value(&incomplete, "a offset 20s", 110).await, Some(9.0));
    // The answer's time stays the evaluation time.
    let answer = instant(&incomplete, "a", 120).await.expect("answers");
    let Value::Vector(vector) = answer.value else { panic!("not a vector") };
    assert_eq!(vector[0].time, 120 * SECOND);
}

#[tokio::test]
async fn a_series_is_held_for_a_minute_at_most() {
    let incomplete = complete(&[("a", &[(100, 1.0), (130, 2.0)])], Some(100));
    assert_eq!(value(&incomplete, "a", 160).await, Some(1.0));
    assert_eq!(value(&incomplete, "a", 189).await, Some(1.0));
    assert_eq!(value(&incomplete, "a", 190).await, Some(2.0));
    // Lookback counts from where the evaluation stepped back to.
    assert_eq!(value(&incomplete, "a", 489).await, Some(2.0));
    assert_eq!(value(&incomplete, "a", 490).await, None);
}

#[tokio::test]
async fn the_raw_edge_can_be_asked_for() {
    let incomplete = complete(&[("a", &[(100, 1.0), (110, 1.5)])], Some(100));
    let params = Params { latency_offset_zero: true };
    let engine = Engine::default();
    let tenant = Tenant::default();
    let answer = engine.instant(&incomplete, &tenant, "a", 110 * SECOND, &params).await;
    let Value::Vector(vector) = answer.expect("answers").value else { panic!("not a vector") };
    assert_eq!(vector[0].value, 1.5);
}

#[tokio::test]
async fn complete_and_plain_series_stand_side_by_side() {
    let source = complete(&[("a", &[(100, 1.0), (110, 2.0)])], Some(100));
    source.add(labels("b"), vec![(100 * SECOND, 10.0), (110 * SECOND, 20.0)], None);
    assert_eq!(value(&source, "a + ignoring() b", 110).await, Some(21.0));
}

#[tokio::test]
async fn a_burst_at_the_birth_of_a_series_counts_exactly() {
    let source = source(&[("calls_total", &[(590, 0.0), (600, 10.0)])]);
    assert_eq!(value(&source, "increase(calls_total[5m])", 600).await, Some(10.0));
    assert_eq!(value(&source, "rate(calls_total[5m])", 600).await, Some(10.0 / 300.0));
}

#[tokio::test]
async fn counters_that_begin_anew_lose_nothing() {
    let samples = [(0, 10.0), (60, 20.0), (120, 5.0), (180, 15.0), (240, 3.0)];
    let source = source(&[("a_total", &samples)]);
    // 10 up, 5 after the first fall, 10 up, 3 after the second: 28 in 240 s; the window reaches 1 s
    // further back.
    let expected = 28.0 * (241.0 / 240.0);
    assert_eq!(value(&source, "increase(a_total[241s])", 240).await, Some(expected));
    assert_eq!(value(&source, "delta(a_total[241s])", 240).await, Some(-7.0 * (241.0 / 240.0)));
}

#[tokio::test]
async fn a_counter_is_not_stretched_to_before_zero() {
    // It would have been zero 5 s before its first sample, which lies 10 s into the window.
    let source = source(&[("a_total", &[(10, 5.0), (20, 15.0), (30, 25.0)])]);
    assert_eq!(value(&source, "increase(a_total[30s])", 30).await, Some(25.0));
}

#[tokio::test]
async fn names_go_where_the_value_is_no_longer_the_metric() {
    let source = source(&[(r#"a{x="1"}"#, &[(0, 2.0)])]);
    let first = async |query: &str| rows(&source, query, (0, 0, 1)).await.join(";");
    assert_eq!(first("a > 1").await, r#"{__name__="a",x="1"} 2"#);
    assert_eq!(first("1 < a").await, r#"{__name__="a",x="1"} 2"#);
    assert_eq!(first("a >bool 1").await, r#"{x="1"} 1"#);
    assert_eq!(first("a * 2").await, r#"{x="1"} 4"#);
    assert_eq!(first("-a").await, r#"{x="1"} -2"#);
    assert_eq!(first("a + a").await, r#"{x="1"} 4"#);
    assert_eq!(first("a == a").await, r#"{__name__="a",x="1"} 2"#);
    assert_eq!(first("a == on(x) a").await, r#"{x="1"} 2"#);
    assert_eq!(first("sum by (__name__) (a)").await, r#"{__name__="a"} 2"#);
    assert_eq!(first("sum without (x) (a)").await, "{} 2");
    assert_eq!(first("vector(3) - 2 ^ 2 % 3").await, "{} 2");
}

#[tokio::test]
async fn rows_that_lose_what_tells_them_apart_are_an_error() {
    let both = source(&[("a", &[(0, 1.0), (60, 1.0)]), ("b", &[(60, 1.0)])]);
    let query = r#"{__name__=~"a|b"} + 1"#;
    assert_eq!(error(&both, query).await, "vector cannot contain metrics with the same labelset");
    // Where they never meet, they are one.
    let taking_turns = source(&[("a", &[(0, 1.0), (10, STALE)]), ("b", &[(20, 5.0)])]);
    assert_eq!(rows(&taking_turns, query, (0, 20, 10)).await, ["{} 2 - 6"]);
}

#[tokio::test]
async fn matching_is_one_to_one_or_an_error() {
    let source = source(&[
        (r#"a{x="1"}"#, &[(60, 6.0)]),
        (r#"b{x="1",y="1"}"#, &[(60, 2.0)]),
        (r#"b{x="1",y="2"}"#, &[(60, 3.0)]),
    ]);
    assert_eq!(
        error(&source, "a / on(x) b").await,
        "found duplicate series for the match group {x=\"1\"} on the right hand-side of the \
         operation: [{__name__=\"b\", x=\"1\", y=\"2\"}, {__name__=\"b\", x=\"1\", y=\"1\"}];\
         many-to-many matching not allowed: matching labels must be unique on one side"
    );
    assert_eq!(
        error(&source, "b / on(x) a").await,
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    );
    assert_eq!(value(&source, r#"a / ignoring(y) b{y="1"}"#, 60).await, Some(3.0));
    assert_eq!(value(&source, "a / b", 60).await, None);
    // Nothing on the left: nothing to be ambiguous about.
    assert_eq!(value(&source, "missing / on(x) b", 60).await, None);
    // Only one of the two passes the filter.
    assert_eq!(value(&source, "b > on(x) (a - 4)", 60).await, Some(3.0));
}

#[tokio::test]
async fn series_that_take_turns_match_one_to_one() {
    let source = source(&[
        ("total", &[(0, 10.0), (60, 20.0)]),
        (r#"part{pod="old"}"#, &[(0, 1.0), (30, STALE)]),
        (r#"part{pod="new"}"#, &[(60, 4.0)]),
    ]);
    assert_eq!(rows(&source, "part / ignoring(pod) total", (0, 60, 60)).await, ["{} 0.1 0.2"]);
    assert_eq!(rows(&source, "total / ignoring(pod) part", (0, 60, 60)).await, ["{} 10 5"]);
}

#[tokio::test]
async fn vectors_are_sets_of_what_they_match_on() {
    let source = source(&[
        (r#"a{x="1"}"#, &[(0, 1.0)]),
        (r#"a{x="2"}"#, &[(0, 2.0)]),
        (r#"b{x="2"}"#, &[(0, 3.0), (60, 3.0)]),
        (r#"b{x="3"}"#, &[(0, 4.0)]),
    ]);
    let first = async |query: &str| rows(&source, query, (0, 0, 1)).await.join(";");
    assert_eq!(first("a and b").await, r#"{__name__="a",x="2"} 2"#);
    assert_eq!(first("a unless b").await, r#"{__name__="a",x="1"} 1"#);
    let union = r#"{__name__="a",x="1"} 1;{__name__="a",x="2"} 2;{__name__="b",x="3"} 4"#;
    assert_eq!(first("a or b").await, union);
    assert_eq!(first("missing or vector(0)").await, "{} 0");
    assert_eq!(first("sum(a) or vector(0)").await, "{} 3");
}

#[tokio::test]
async fn quantiles_come_of_grouped_rates() {
    let bucket = |le: &str| format!(r#"x_bucket{{le="{le}",pod="p"}}"#);
    let (low, high, all) = (bucket("1"), bucket("2.0"), bucket("+Inf"));
    let source = source(&[
        (&low, &[(0, 0.0), (60, 10.0)]),
        (&high, &[(0, 0.0), (60, 20.0)]),
        (&all, &[(0, 0.0), (60, 20.0)]),
    ]);
    let query = "histogram_quantile(0.75, sum by (le) (rate(x_bucket[2m])))";
    assert_eq!(value(&source, query, 60).await, Some(1.5));
    let answer = instant(&source, "histogram_quantile(2, x_bucket)", 60).await.expect("answers");
    assert_eq!(
        answer.warnings,
        ["PromQL warning: quantile value should be between 0 and 1, got 2"]
    );
}

#[tokio::test]
async fn rates_of_what_may_be_no_counter_are_told() {
    let source = source(&[("temperature", &[(0, 1.0), (60, 2.0)])]);
    let answer = instant(&source, "rate(temperature[2m])", 60).await.expect("answers");
    assert_eq!(
        answer.infos,
        ["PromQL info: metric might not be a counter, name does not end in \
          _total/_sum/_count/_bucket: \"temperature\""]
    );
}

#[tokio::test]
async fn instant_queries_answer_every_type() {
    let source = source(&[("a", &[(0, 1.0), (30, STALE), (60, 2.0)])]);
    let answer = async |query: &str| instant(&source, query, 60).await.expect(query).value;
    assert_eq!(answer("1 + time()").await, Value::Scalar(MINUTE, 61.0));
    assert_eq!(answer("2 >bool 1").await, Value::Scalar(MINUTE, 1.0));
    assert_eq!(answer("('text')").await, Value::String(MINUTE, "text".into()));
    let Value::Matrix(matrix) = answer("a[2m]").await else { panic!("not a matrix") };
    assert_eq!(matrix[0].points, [(0, 1.0), (MINUTE, 2.0)]);
}

#[tokio::test]
async fn range_queries_answer_numbers_only() {
    let source = source(&[]);
    for (query, name) in [("a[5m]", "range vector"), ("'text'", "string")] {
        let e = range(&source, query, (0, 60, 10)).await.expect_err(query);
        let text = format!(
            "invalid expression type \"{name}\" for range query, must be Scalar or instant Vector"
        );
        assert_eq!((e.to_string(), e.error_type().as_str()), (text, "bad_data"));
    }
    let e = range(&source, "1", (0, 11_001, 1)).await.expect_err("too many points");
    assert!(e.to_string().starts_with("exceeded maximum resolution of 11,000 points"));
}

#[tokio::test]
async fn large_queries_are_cut_short() {
    let source = source(&[("a", &[(0, 1.0)])]);
    let options = Options { max_samples: 100, ..Options::default() };
    let steps = Steps { start: 0, end: 200 * SECOND, step: SECOND };
    let (tenant, params) = (Tenant::default(), Params::default());
    let answer = Engine::new(options).range(&source, &tenant, "a", steps, &params).await;
    let e = answer.expect_err("too many samples");
    assert_eq!(e.error_type().as_str(), "execution");
    assert!(e.to_string().contains("exceed the limit of 100"), "{e}");
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_cut_short_at_a_yield() {
    let options = Options { timeout: Duration::ZERO, ..Options::default() };
    let steps = Steps { start: 0, end: 10_000 * SECOND, step: SECOND };
    let (tenant, params) = (Tenant::default(), Params::default());
    let query = "1 + 1".to_owned() + &" + vector(1)".repeat(400);
    let answer = Engine::new(options).range(&source(&[]), &tenant, &query, steps, &params).await;
    assert_eq!(answer.expect_err("too long").error_type().as_str(), "timeout");
}
