//! Over a real port, on a real store: envelopes, refusals and their counters.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tributary_edge::{Clock, Sample};
use tributary_query::Engine;
use tributary_query::source::{Selection, SeriesSet, SeriesSource, SourceError};
use tributary_spanmetrics::{Labels, Tenant};

use super::{Api, Options, router};
use crate::SystemClock;
use crate::probe::Target;
use crate::probe::testing::{Rig, closed_port, exchange, get};
use crate::self_metrics::Registry;

struct World {
    rig: Rig,
    api: Api,
    at: SocketAddr,
    now_ms: i64,
}

impl World {
    /// Two series, `sold{shop="a"}` of 3 and `sold{shop="b"}` of 4.
    async fn start() -> Self {
        let rig = Rig::start().await;
        let now_ms = SystemClock.now_ms();
        let sample = |shop, value| Sample {
            labels: Labels::from_pairs([("__name__", "sold"), ("shop", shop)]),
            time_ms: now_ms,
            value,
        };
        let samples = vec![sample("a", 3.0), sample("b", 4.0)];
        rig.edge.ingest_samples(&Tenant::default(), samples).await.unwrap();
        rig.values("sold", 2).await;
        let own = Target::page("gone", closed_port().await, "/metrics").with_label("region", "n");
        let targets = rig.probe(own, vec![], Registry::default());
        let options = Options { max_form_bytes: 100_000, ..Options::default() };
        let (clock, source) = (Arc::new(SystemClock), rig.source.clone());
        let api = Api::new(options, Engine::default(), source, Tenant::default(), targets, clock);
        let at = rig.serve(router(api.clone())).await;
        World { rig, api, at, now_ms }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = get(self.at, path).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}")))
    }

    async fn data(&self, path: &str) -> Value {
        let (status, mut answer) = self.get(path).await;
        assert_eq!((status, &answer["status"]), (200, &json!("success")), "{path}: {answer}");
        answer["data"].take()
    }

    async fn post(&self, path: &str, form: &str) -> (u16, Value) {
        let head = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
        let length = form.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{head}\r\nContent-Length: {length}\r\n\r\n{form}"
        );
        let (status, body) = exchange(self.at, &request).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}")))
    }

    fn refused(&self, reason: &str) -> f64 {
        let refused = |m: &tributary_proto::Metric| {
            m.name.contains("refused") && m.labels.iter().any(|(_, value)| value == reason)
        };
        let metrics = self.api.metrics().collect();
        let samples =
            metrics.iter().filter(|m| refused(m)).flat_map(tributary_proto::Metric::samples);
        samples.map(|sample| sample.value).sum()
    }
}

#[tokio::test]
async fn instant_and_range_queries_answer_in_prometheus_json() {
    let world = World::start().await;
    let (seconds, ms) = (world.now_ms / 1_000 + 1, (world.now_ms / 1_000 + 1) * 1_000);
    let instant = world.data(&format!("/api/v1/query?query=sum(sold)&time={seconds}")).await;
    let vector = json!({"resultType": "vector", "result": [
        {"metric": {}, "value": [seconds, "7"]}
    ]});
    assert_eq!(instant, vector);
    let stamp = crate::http::rfc3339::format(ms);
    let range = format!(
        "/api/v1/query_range?query=sold%7Bshop=%22a%22%7D&start={stamp}&end={}&step=10s",
        seconds + 10
    );
    let matrix = json!({"resultType": "matrix", "result": [{
        "metric": {"__name__": "sold", "shop": "a"},
        "values": [[seconds, "3"], [seconds + 10, "3"]]
    }]});
    assert_eq!(world.data(&range).await, matrix);
}

#[tokio::test]
async fn form_answers_as_the_url_does_and_overrides_it() {
    let world = World::start().await;
    let time = world.now_ms / 1_000 + 1;
    let by_url = world.data(&format!("/api/v1/query?query=sold&time={time}")).await;
    let (status, answer) =
        world.post("/api/v1/query?query=1", &format!("query=sold&time={time}")).await;
    assert_eq!((status, &answer["data"]), (200, &by_url));
}

#[tokio::test]
async fn limit_cuts_results_and_warns() {
    let world = World::start().await;
    for path in
        ["query?query=sold", "series?match[]=sold", "labels?match[]=sold", "label/shop/values?"]
    {
        let (status, answer) = world.get(&format!("/api/v1/{path}&limit=1")).await;
        assert_eq!(status, 200, "{answer}");
        let items = answer["data"].get("result").unwrap_or(&answer["data"]);
        assert_eq!(items.as_array().map(Vec::len), Some(1), "{path}");
        assert_eq!(answer["warnings"], json!(["results truncated due to limit"]), "{path}");
    }
}

#[tokio::test]
async fn labels_values_and_series_look_at_all_that_is_stored() {
    let world = World::start().await;
    let names = world.data("/api/v1/labels?match[]=sold").await;
    assert_eq!(names, json!(["__name__", "shop"]));
    assert_eq!(world.data("/api/v1/label/shop/values").await, json!(["a", "b"]));
    let names = world.data("/api/v1/label/__name__/values?match[]=%7Bshop!=%22%22%7D").await;
    assert_eq!(names, json!(["sold"]));
    let series = world.data("/api/v1/series?match[]=sold%7Bshop=%22b%22%7D&match[]=none").await;
    assert_eq!(series, json!([{"__name__": "sold", "shop": "b"}]));
    let before = world.now_ms / 1_000 - 100;
    let none = world.data(&format!("/api/v1/label/shop/values?end={before}")).await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn targets_show_what_was_probed() {
    let world = World::start().await;
    world.rig.values("up", 1).await;
    let mut data = world.data("/api/v1/targets").await;
    let target = data["activeTargets"][0].take();
    assert_eq!((&target["health"], &target["labels"]["region"]), (&json!("down"), &json!("n")));
    assert!(target["lastError"].as_str().unwrap().contains("cannot connect"), "{target}");
    assert_eq!(target["scrapeInterval"], "0.2s");
    assert_eq!(data["droppedTargets"], json!([]));
    let none = world.data("/api/v1/targets?state=dropped").await;
    assert_eq!(none["activeTargets"], json!([]));
}

#[tokio::test]
async fn each_refusal_has_a_json_body_and_is_counted() {
    let world = World::start().await;
    let refused = [
        ("query?query=sum(", 400, "bad_data", "bad_data"),
        ("query", 400, "bad_data", "bad_data"),
        ("query?query=1&time=yesterday", 400, "bad_data", "bad_data"),
        ("query?query=1&timeout=-1", 400, "bad_data", "bad_data"),
        ("query?query=1&latency_offset=5", 400, "bad_data", "bad_data"),
        ("query?query=1&limit=x", 400, "bad_data", "bad_data"),
        ("query_range?query=1&start=0&end=60", 400, "bad_data", "bad_data"),
        ("query_range?query=1&start=0&end=60&step=0", 400, "bad_data", "bad_data"),
        ("query_range?query=1&start=0&end=11001&step=1", 400, "bad_data", "bad_data"),
        ("series", 400, "bad_data", "bad_data"),
        ("series?match[]=up[5m]", 400, "bad_data", "bad_data"),
        ("labels?start=20&end=10", 400, "bad_data", "bad_data"),
        ("label/a-b/values", 400, "bad_data", "bad_data"),
        ("label/%ff/values", 400, "bad_data", "bad_data"),
        ("targets?state=x", 400, "bad_data", "bad_data"),
        ("query?query=sold%2Bon()sold", 422, "execution", "execution"),
        ("no/such", 404, "not_found", "not_found"),
    ];
    for (path, status, error_type, reason) in refused {
        let before = world.refused(reason);
        let (found, answer) = world.get(&format!("/api/v1/{path}")).await;
        assert_eq!((found, &answer["status"]), (status, &json!("error")), "{path}: {answer}");
        assert_eq!(answer["errorType"], error_type, "{path}");
        assert!(answer["error"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
        assert_eq!(world.refused(reason), before + 1.0, "{path}");
    }
}

#[tokio::test]
async fn refusal_names_the_parameter_as_prometheus_does() {
    let world = World::start().await;
    for (path, parameter, problem) in [
        ("query?query=sum(", "query", "parse error: "),
        ("query", "query", "parse error: "),
        ("query?query=no_such(up)", "query", "parse error: "),
        ("query?query=1&time=yesterday", "time", "cannot parse \"yesterday\""),
        ("query?query=1&timeout=x", "timeout", "cannot parse \"x\""),
        ("query_range?query=1&end=60&step=1", "start", "cannot parse \"\""),
        ("query_range?query=1&start=0&end=x&step=1", "end", "cannot parse \"x\""),
        ("query_range?query=1&start=60&end=0&step=1", "end", "end timestamp must not be before"),
        ("query_range?query=1&start=0&end=60&step=x", "step", "cannot parse \"x\""),
        ("query_range?query=1&start=0&end=60&step=0", "step", "zero or negative"),
        ("query_range?query=up[5m]&start=0&end=60&step=1", "query", "invalid expression type"),
        ("series?match[]=sum(", "match[]", "parse error: "),
    ] {
        let (_, answer) = world.get(&format!("/api/v1/{path}")).await;
        let error = answer["error"].as_str().unwrap();
        let expected = format!("invalid parameter \"{parameter}\": {problem}");
        assert!(error.starts_with(&expected), "{path}: {error}");
    }
    // About no single parameter, which Prometheus says as it is.
    let (_, answer) = world.get("/api/v1/query_range?query=1&start=0&end=11001&step=1").await;
    assert!(answer["error"].as_str().unwrap().starts_with("exceeded maximum"), "{answer}");
}

#[tokio::test]
async fn form_beyond_the_limit_and_wrong_method_are_refused() {
    let world = World::start().await;
    let long = format!("query=up&x={}", "x".repeat(200_000));
    let (status, answer) = world.post("/api/v1/query", &long).await;
    assert_eq!((status, &answer["errorType"]), (413, &json!("bad_data")));
    let (status, answer) = world.post("/api/v1/targets", "").await;
    assert_eq!((status, &answer["errorType"]), (405, &json!("bad_data")));
    assert_eq!((world.refused("too_large"), world.refused("method")), (1.0, 1.0));
}

#[tokio::test]
async fn panic_in_a_query_is_an_answer_too() {
    struct Panics;
    #[async_trait::async_trait]
    impl SeriesSource for Panics {
        async fn select(&self, _: &Selection) -> Result<SeriesSet, SourceError> {
            panic!("planted");
        }
    }
    let mut world = World::start().await;
    let targets = world.api.targets().clone();
    let (engine, source) = (Engine::default(), Arc::new(Panics));
    let clock = Arc::new(SystemClock);
    world.api = Api::new(Options::default(), engine, source, Tenant::default(), targets, clock);
    world.at = world.rig.serve(router(world.api.clone())).await;
    for _ in 0..20 {
        // More often than there are turns: a panic gives its own back.
        let (status, answer) = world.get("/api/v1/query?query=up").await;
        assert_eq!((status, &answer["errorType"]), (500, &json!("internal")));
    }
    assert_eq!(world.refused("internal"), 20.0);
}
