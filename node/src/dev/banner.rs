//! What `dev` prints once every port answers.

use std::path::Path;

use super::ports::Ports;

pub(crate) fn banner(ports: &Ports, data: &Path, demo: Option<&[String]>) -> String {
    let Ports { otlp_grpc, otlp_http, api, api_second, self_metrics, span_metrics, health } = ports;
    let shop = match demo {
        Some(regions) => format!("\n  demo         a small shop in {}", regions.join(" and ")),
        None => String::new(),
    };
    format!(
        "tributary dev is ready, its data is in {}
  OTLP         localhost:{otlp_grpc} (gRPC), localhost:{otlp_http} (HTTP)
  page, API    http://localhost:{api}/, again on {api_second}
  metrics      http://localhost:{self_metrics}/metrics, to scrape http://localhost:{span_metrics}/metrics
  health       http://localhost:{health}/health/status{shop}
send a span:
  otel-cli span --service hello --name first --endpoint http://localhost:{otlp_http}/v1/traces --protocol http/protobuf
query it, at most 15 s later:
  curl 'localhost:{api}/api/v1/query?query=llm_traces_span_metrics_calls_total'",
        data.display()
    )
}
