//! The page of metrics holds what a running node offers, and nothing else.

use std::collections::BTreeSet;

use super::*;

const PAGE: &str = include_str!("../../../docs/metrics.md");

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
    let offered: BTreeSet<_> = node.registry.collect().iter().map(|metric| metric.name).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let on_page: BTreeSet<_> = rows.collect();
    let missing: Vec<_> = offered.difference(&on_page).collect();
    let gone: Vec<_> = on_page.difference(&offered).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/metrics.md lacks {missing:?} and has {gone:?}, which nobody offers"
    );
    node.stop().await.expect("stops");
}
