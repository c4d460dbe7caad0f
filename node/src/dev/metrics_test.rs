//! The page of metrics holds what a running node offers, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const PAGE: &str = include_str!("../../../docs/metrics.md");

/// Their values are the operator's or the build's.
const FREE_LABELS: [&str; 2] = ["edge", "version"];

/// Each metric's labels, each with its values, if they are listed.
type Labelled = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Where nobody is probed by chance.
const OFFSET: u16 = 50_000;

#[tokio::test]
async fn every_metric_offered_is_on_the_page_and_the_other_way_round() {
    let dir = tempfile::tempdir().expect("makes a folder");
    let options = Options {
        data: dir.path().join("data"),
        demo: None,
        port_offset: OFFSET,
        config: Config::default(),
    };
    let mut node = Node::open(&options).await.expect("opens");
    let edge = node.edge("local", "edge", Labels::default()).await.expect("opens");
    let ports = Ports::with_offset(OFFSET).expect("fits");
    // Nothing listens: what is counted is declared, asked or not.
    node.serve(&ports, PageListeners::default(), edge);
    let mut offered = Labelled::new();
    for metric in node.registry.collect() {
        let labels = offered.entry(metric.name.to_owned()).or_default();
        for (label, value) in metric.labels {
            let values = labels.entry(label.to_owned()).or_default();
            if !FREE_LABELS.contains(&label) {
                values.insert(value);
            }
        }
    }
    let on_page: Labelled = PAGE.lines().filter_map(row).collect();
    let missing: Vec<_> = offered.iter().filter(|(name, _)| !on_page.contains_key(*name)).collect();
    let gone: Vec<_> = on_page.keys().filter(|name| !offered.contains_key(*name)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/metrics.md lacks {missing:?} and has {gone:?}, which nobody offers"
    );
    for (name, labels) in &offered {
        assert_eq!(labels, &on_page[name], "left: the labels of {name}, right: docs/metrics.md");
    }
    node.stop().await.expect("stops");
}

/// The name and the labels of a row such as `| `name` | what it says | `label`, `label`: `value`, `value` | … |`.
fn row(line: &str) -> Option<(String, BTreeMap<String, BTreeSet<String>>)> {
    let mut columns = line.strip_prefix("| `")?.split('|').map(str::trim);
    let name = columns.next()?.strip_suffix('`')?;
    let column = columns.nth(1)?;
    let mut labels = BTreeMap::new();
    let mut label = String::new();
    // What stands between two backticks is a name, and a colon before it makes it a value.
    let mut parts = column.split('`');
    let mut is_value = false;
    while let (Some(between), Some(quoted)) = (parts.next(), parts.next()) {
        is_value |= between.contains(':');
        if is_value {
            labels.entry(label.clone()).or_insert_with(BTreeSet::new).insert(quoted.to_owned());
        } else {
            label = quoted.to_owned();
            labels.entry(label.clone()).or_default();
        }
    }
    Some((name.to_owned(), labels))
}

#[test]
fn a_row_says_which_values_a_label_has() {
    let (name, labels) =
        row("| `lost_total` | what is lost | `edge`, `reason`: `late`, `future` | – |")
            .expect("is one");
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let expected: BTreeMap<String, BTreeSet<String>> =
        [("edge".into(), set(&[])), ("reason".into(), set(&["late", "future"]))].into();
    assert_eq!((name.as_str(), labels), ("lost_total", expected));
    let plain = row("| `all_total` | what there is | | `otelcol_all` |");
    assert_eq!(plain, Some(("all_total".to_owned(), BTreeMap::new())));
    assert_eq!(row("| metric | what it says | labels | in the Collector |"), None);
}
