//! What an earlier run left of edges that this one does not have.

use super::*;

#[tokio::test]
async fn an_edge_that_is_drained_is_among_the_metrics() {
    let dir = tempfile::tempdir().expect("makes a folder");
    let options = Options {
        data: dir.path().join("data"),
        demo: None,
        port_offset: 0,
        config: Config::default(),
    };
    let mut earlier = Node::open(&options).await.expect("opens");
    let folder = format!("{EDGES_DIR}/demo-east");
    earlier.edge("demo-east", &folder, Labels::default()).await.expect("opens");
    earlier.stop().await.expect("stops");

    let mut node = Node::open(&options).await.expect("opens");
    node.drain_other_edges().await.expect("reads the folder");
    let counted = node.registry.collect();
    let damaged = counted.iter().find(|metric| {
        metric.name == "tributary_edge_journal_records_damaged"
            && metric.labels == [("edge", "demo-east".to_owned())]
    });
    assert!(damaged.is_some(), "the drained edge tells of its journal");
    node.stop().await.expect("stops");
}
