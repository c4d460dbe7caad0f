//! One request of OTLP spans into the content that it adds.
//!
//! A span lands in the window of its own end time and in the group of its own attributes (law 2). The
//! arrival time decides one thing only: whether a span is beyond the lateness or future limit, and
//! then it is left out and counted. A request is taken whole or not at all: bad data anywhere in it
//! refuses all of it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use thiserror::Error;

use crate::config::Config;
use crate::content::{Content, GroupContent};
use crate::delta::Delta;
use crate::group::{Group, SpanKind, StatusCode};
use crate::labels::Labels;
use crate::tenant::Tenant;
use crate::walk::each_span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// The request is not what its content type says; nothing of it counts.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not an OTLP trace request: {0}")]
pub struct BadSpans(String);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    pub content: Content,
    pub accepted: u64,
    /// Left out: ended longer ago than the lateness limit.
    pub late: u64,
    /// Left out: ends further ahead than the future limit.
    pub future: u64,
}

pub fn fold(
    bytes: &[u8],
    encoding: Encoding,
    tenant: &Tenant,
    config: &Config,
    arrival_ns: u64,
) -> Result<Folded, BadSpans> {
    let mut folded = Folded::default();
    let admitted = Admitted::around(arrival_ns, config);
    let mut visit = |resource: &Resource, span: &Span| match admitted.check(span.end_time_unix_nano)
    {
        Admission::Late => folded.late += 1,
        Admission::Future => folded.future += 1,
        Admission::Admitted => {
            folded.accepted += 1;
            add(&mut folded.content, tenant, config, &resource.attributes, span);
        }
    };
    match encoding {
        Encoding::Protobuf => each_span(bytes, visit).map_err(|e| BadSpans(e.to_string()))?,
        Encoding::Json => {
            let request: ExportTraceServiceRequest =
                serde_json::from_slice(bytes).map_err(|e| BadSpans(e.to_string()))?;
            let none = Resource::default();
            for resource_spans in &request.resource_spans {
                let resource = resource_spans.resource.as_ref().unwrap_or(&none);
                let spans = resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans);
                spans.for_each(|span| visit(resource, span));
            }
        }
    }
    Ok(folded)
}

fn add(
    content: &mut Content,
    tenant: &Tenant,
    config: &Config,
    resource: &[KeyValue],
    span: &Span,
) {
    let layout = &config.layout;
    let group = group(config, resource, span);
    let of_layout = content.tenant(tenant).layout(layout.id(), layout);
    let of_group = of_layout
        .groups
        .entry(group.id(tenant))
        .or_insert_with(|| GroupContent { group, windows: Default::default() });
    // An end before its start is a clock that stepped back: the span happened, and took no time.
    let duration_ns = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    of_group
        .windows
        .entry(layout.window(span.end_time_unix_nano))
        .or_insert_with(|| Delta::empty(layout))
        .observe(layout, duration_ns);
}

fn group(config: &Config, resource: &[KeyValue], span: &Span) -> Group {
    let dimensions = config.dimensions.iter().filter_map(|name| {
        let value = find(&span.attributes, name).or_else(|| find(resource, name))?;
        Some((name.clone(), text(value)))
    });
    Group {
        service: find(resource, "service.name").map(text).unwrap_or_default(),
        span_name: span.name.clone(),
        // A number that this version of the protocol does not know reads as "not given".
        kind: SpanKind::from_number(span.kind).unwrap_or_default(),
        status: span
            .status
            .as_ref()
            .and_then(|status| StatusCode::from_number(status.code))
            .unwrap_or_default(),
        dimensions: Labels::from_pairs(dimensions),
        external: config.external.clone(),
    }
}

/// Of a key that stands twice the first counts.
fn find<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()
}

/// A dimension's value as text; lists and maps as JSON, as the Collector has them.
fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(_) => serde_json::to_string(value).unwrap_or_default(),
        None => String::new(),
    }
}

enum Admission {
    Admitted,
    Late,
    Future,
}

struct Admitted {
    earliest_ns: u64,
    latest_ns: u64,
}

impl Admitted {
    fn around(arrival_ns: u64, config: &Config) -> Self {
        let ns = |limit: std::time::Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Admitted {
            earliest_ns: arrival_ns.saturating_sub(ns(config.lateness)),
            latest_ns: arrival_ns.saturating_add(ns(config.future)),
        }
    }

    fn check(&self, end_ns: u64) -> Admission {
        if end_ns < self.earliest_ns {
            Admission::Late
        } else if end_ns > self.latest_ns {
            Admission::Future
        } else {
            Admission::Admitted
        }
    }
}

#[cfg(test)]
#[path = "fold_test.rs"]
mod tests;
