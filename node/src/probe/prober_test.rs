//! Real ports, a real edge and a real store: what is probed shows in the targets and in the series.

use axum::Router;
use axum::routing::{get, post};
use tributary_proto::{Counter, Histogram};

use super::testing::{Rig, closed_port};
use super::{Health, Target};
use crate::self_metrics::{self, Registry};

fn registry() -> Registry {
    let registry = Registry::default();
    let counter = Counter::default();
    counter.add(7);
    let waits = Histogram::new(&[0.5]);
    waits.observe(0.25);
    let collect =
        move || vec![counter.metric("test_total", "Test."), waits.metric("test_seconds", "Test.")];
    registry.add(&[("edge", "local")], collect);
    registry
}

#[tokio::test]
async fn closed_listener_is_down_and_answers_up_0_beside_the_others() {
    let rig = Rig::start().await;
    let own = rig.serve(self_metrics::router(registry())).await;
    let receiver = rig.serve(Router::new().route("/v1/traces", post(|| async {}))).await;
    let broken = rig.serve(Router::new().route("/health", get(|| async { broken() }))).await;
    let closed = closed_port().await;
    let others = vec![
        Target::receiver("tributary-edge", receiver).with_label("region", "north"),
        Target::page("broken", broken, "/health"),
        Target::page("closed", closed, "/health"),
    ];
    let targets = rig.probe(Target::page("tributary", own, "/metrics"), others, registry());

    let expected = [
        (format!(r#"{{__name__="up",instance="{broken}",job="broken"}}"#), 0.0),
        (format!(r#"{{__name__="up",instance="{closed}",job="closed"}}"#), 0.0),
        (format!(r#"{{__name__="up",instance="{own}",job="tributary"}}"#), 1.0),
        (
            format!(
                r#"{{__name__="up",instance="{receiver}",job="tributary-edge",region="north"}}"#
            ),
            1.0,
        ),
    ];
    let mut found = rig.values("up", 4).await;
    found.sort_by(|a, b| a.0.split("job").last().cmp(&b.0.split("job").last()));
    assert_eq!(found, expected);

    let states = targets.targets();
    let healths: Vec<_> = states.iter().map(|state| state.health).collect();
    assert_eq!(healths, [Health::Up, Health::Up, Health::Down, Health::Down]);
    assert_eq!(states[2].last_error, "server returned HTTP status 500");
    assert!(states[3].last_error.contains("cannot connect"), "{}", states[3].last_error);
    assert!(states.iter().all(|state| state.last_probe_ms.is_some()));
    assert!(targets.metrics().failures.get() >= 2);

    let own_metric =
        format!(r#"{{__name__="test_total",edge="local",instance="{own}",job="tributary"}}"#);
    assert_eq!(rig.values("test_total", 1).await, [(own_metric, 7.0)]);
    let of = |name: &str, le: &str| {
        format!(r#"{{__name__="{name}",edge="local",instance="{own}",job="tributary"{le}}}"#)
    };
    let mut buckets = rig.values("test_seconds_bucket", 2).await;
    buckets.sort_by(|a, b| a.0.cmp(&b.0));
    let expected =
        ["+Inf", "0.5"].map(|le| (of("test_seconds_bucket", &format!(r#",le="{le}""#)), 1.0));
    assert_eq!(buckets, expected);
    assert_eq!(rig.values("test_seconds_sum", 1).await, [(of("test_seconds_sum", ""), 0.25)]);
    assert_eq!(rig.values("test_seconds_count", 1).await, [(of("test_seconds_count", ""), 1.0)]);
}

#[tokio::test]
async fn own_metrics_are_stored_only_while_their_page_answers() {
    let rig = Rig::start().await;
    let targets =
        rig.probe(Target::page("tributary", closed_port().await, "/metrics"), vec![], registry());
    assert_eq!(targets.targets()[0].health, Health::Unknown);
    assert_eq!(rig.values("up", 1).await[0].1, 0.0);
    assert_eq!(rig.values("test_total", 0).await, []);
}

fn broken() -> axum::http::StatusCode {
    axum::http::StatusCode::INTERNAL_SERVER_ERROR
}
