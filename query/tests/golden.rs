//! The golden set: range queries that the Prometheus engine has answered over the same data.
//!
//! A query is left out if it uses a construct that the engine does not know yet. The constructs are
//! listed here and looked for in the syntax tree, so that no query is left out for what comes of it.
//!
//! `PROMQL_GOLDEN_DIR` names the set's folder; by default it lies beside the project. What was left
//! out is told with `--nocapture`, the count always.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use promql_parser::parser::{Expr, VectorMatchCardinality, VectorSelector};
use serde_json::Value as Json;
use support::MemorySource;
use tributary_query::{Engine, Params, Steps, Value};
use tributary_spanmetrics::{Labels, Tenant};

const TOLERANCE: f64 = 1e-5;

const KNOWN_FUNCTIONS: [&str; 6] =
    ["delta", "histogram_quantile", "increase", "rate", "time", "vector"];
const KNOWN_AGGREGATIONS: [&str; 5] = ["avg", "count", "max", "min", "sum"];
const UNKNOWN_OPERATORS: [&str; 1] = ["atan2"];

#[tokio::test]
async fn answers_are_those_of_prometheus() {
    let Some(folder) = golden_folder() else {
        return;
    };
    let source = MemorySource::default();
    for line in lines(&folder.join("data.jsonl.gz")) {
        let samples = line["samples"].as_array().expect("samples");
        let samples = samples
            .iter()
            .map(|s| (s[0].as_i64().expect("milliseconds"), s[1].as_f64().expect("a number")));
        source.add(labels(&line["metric"]), samples.collect(), None);
    }

    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let (mut total, mut passed, mut failures) = (0, 0, Vec::new());
    for line in lines(&folder.join("golden.jsonl.gz")) {
        let query = line["query"].as_str().expect("a query");
        total += 1;
        let unknown = unknown_constructs(query);
        if unknown.is_empty() {
            match check(&source, query, &line).await {
                Ok(()) => passed += 1,
                Err(reason) => failures.push(format!("{query}: {reason}")),
            }
        }
        unknown.into_iter().for_each(|construct| *left_out.entry(construct).or_default() += 1);
    }

    for (construct, count) in &left_out {
        println!("left out: {construct} ({count} queries)");
    }
    let checked = passed + failures.len();
    tell(&format!("golden: {passed} of {checked} passed, {total} in the set"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed >= 95, "only {passed} queries were checked");
}

async fn check(source: &MemorySource, query: &str, expected: &Json) -> Result<(), String> {
    let millis = |key: &str| expected[key].as_i64().expect("seconds") * 1_000;
    let steps = Steps { start: millis("start"), end: millis("end"), step: millis("step") };
    let answer =
        Engine::default().range(source, &Tenant::default(), query, steps, &Params::default()).await;
    let answer = match (answer, expected.get("error")) {
        (Err(_), Some(_)) => return Ok(()),
        (Ok(_), Some(error)) => return Err(format!("passed, but expected {error}")),
        (Err(e), None) => return Err(e.to_string()),
        (Ok(answer), None) => answer,
    };
    for (got, key) in [(&answer.warnings, "warnings"), (&answer.infos, "infos")] {
        let want: Vec<&str> = expected[key].as_array().into_iter().flatten().map(text).collect();
        // Ours come without the position at the end.
        let alike = want.iter().zip(got).all(|(want, got)| want.starts_with(got.as_str()));
        if want.len() != got.len() || !alike {
            return Err(format!("{key} {got:?}, expected {want:?}"));
        }
    }
    let Value::Matrix(got) = answer.value else {
        return Err("not a matrix".into());
    };
    let mut want: Vec<(Labels, &Vec<Json>)> = expected["result"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|series| (labels(&series["metric"]), series["values"].as_array().expect("values")))
        .collect();
    want.sort_by(|a, b| a.0.cmp(&b.0));
    if got.len() != want.len() {
        return Err(format!("{} series, expected {}", got.len(), want.len()));
    }
    for (got, (labels, values)) in got.iter().zip(want) {
        if got.labels != labels || got.points.len() != values.len() {
            return Err(format!(
                "series {} of {} points, expected {labels} of {}",
                got.labels,
                got.points.len(),
                values.len()
            ));
        }
        for (&(time, value), expected) in got.points.iter().zip(values) {
            let expected_time = (expected[0].as_f64().expect("seconds") * 1_000.0).round() as i64;
            let expected: f64 = text(&expected[1]).parse().expect("a float");
            if time != expected_time || !close(value, expected) {
                return Err(format!(
                    "{labels} has {value} at {time}, expected {expected} at {expected_time}"
                ));
            }
        }
    }
    Ok(())
}

fn close(got: f64, expected: f64) -> bool {
    got == expected
        || got.is_nan() && expected.is_nan()
        || (got - expected).abs() <= TOLERANCE * got.abs().max(expected.abs())
}

/// `None`: the data is not there, which only continuous integration takes for a failure.
fn golden_folder() -> Option<PathBuf> {
    let project =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate lies in a project");
    let folder = std::env::var_os("PROMQL_GOLDEN_DIR")
        .map_or_else(|| project.join("../shared/conformance/promql-golden"), PathBuf::from);
    if folder.join("golden.jsonl.gz").is_file() {
        return Some(folder);
    }
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    let missing = format!("no golden set in {}: set PROMQL_GOLDEN_DIR", folder.display());
    assert!(!in_ci, "{missing}");
    tell(&format!("golden: SKIPPED, {missing}"));
    None
}

/// Past the capture of a passing test's output, which holds for the print macros only.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}

fn lines(path: &Path) -> impl Iterator<Item = Json> {
    let file = File::open(path).expect("opens");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("reads")).expect("is JSON"))
}

fn labels(metric: &Json) -> Labels {
    let pairs = metric.as_object().expect("an object").iter();
    Labels::from_pairs(pairs.map(|(name, value)| (name.as_str(), text(value))))
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a string")
}

/// What the query uses that the engine does not know; nothing for a query that cannot be parsed.
fn unknown_constructs(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(expr) = promql_parser::parser::parse(query) {
        look_through(&expr, &mut found);
    }
    found
}

fn look_through(expr: &Expr, found: &mut BTreeSet<String>) {
    match expr {
        Expr::Paren(paren) => look_through(&paren.expr, found),
        Expr::Unary(unary) => look_through(&unary.expr, found),
        Expr::Subquery(subquery) => {
            found.insert("subquery".into());
            look_through(&subquery.expr, found);
        }
        Expr::Aggregate(aggregate) => {
            let name = aggregate.op.to_string();
            if !KNOWN_AGGREGATIONS.contains(&name.as_str()) {
                found.insert(format!("aggregation {name}"));
            }
            look_through(&aggregate.expr, found);
            aggregate.param.iter().for_each(|param| look_through(param, found));
        }
        Expr::Call(call) => {
            if !KNOWN_FUNCTIONS.contains(&call.func.name) {
                found.insert(format!("function {}", call.func.name));
            }
            call.args.args.iter().for_each(|arg| look_through(arg, found));
        }
        Expr::Binary(binary) => {
            let op = binary.op.to_string();
            if UNKNOWN_OPERATORS.contains(&op.as_str()) {
                found.insert(format!("operator {op}"));
            }
            match binary.modifier.as_ref().map(|m| &m.card) {
                Some(VectorMatchCardinality::ManyToOne(_)) => found.insert("group_left".into()),
                Some(VectorMatchCardinality::OneToMany(_)) => found.insert("group_right".into()),
                _ => false,
            };
            look_through(&binary.lhs, found);
            look_through(&binary.rhs, found);
        }
        Expr::VectorSelector(selector) => look_at(selector, found),
        Expr::MatrixSelector(matrix) => look_at(&matrix.vs, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn look_at(selector: &VectorSelector, found: &mut BTreeSet<String>) {
    if selector.at.is_some() {
        found.insert("@".into());
    }
}
