//! One request of OTLP spans into the content that it adds.
//!
//! A span lands in the window of its own end time and in the group of its own attributes (law 2). The
//! arrival time decides one thing only: whether a span is beyond the lateness or future limit, and
//! then it is left out and counted. A request is taken whole or not at all: bad data anywhere in it
//! refuses all of it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use thiserror::Error;

use crate::config::Config;
use crate::content::{Content, GroupContent};
use crate::delta::Delta;
use crate::group::{Group, SpanKind, StatusCode};
use crate::labels::Labels;
use crate::tenant::Tenant;
use crate::walk::{SpanView, each_span};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// Nothing of the request counts, and sending it again will not change that.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FoldError {
    #[error("not an OTLP trace request: {0}")]
    BadSpans(String),
    #[error("the request has more than {limit} {what}: send it in parts")]
    TooMany { what: &'static str, limit: usize },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    pub content: Content,
    pub accepted: u64,
    /// Left out: ended longer ago than the lateness limit.
    pub late: u64,
    /// Left out: ends further ahead than the future limit.
    pub future: u64,
    /// Accepted, with a service, name or dimension that was cut.
    pub shortened: u64,
}

/// A text that tells groups apart is cut to this: some clients put a whole statement into a name.
const MAX_TEXT_BYTES: usize = 1024;
/// Deltas that one request may come to. Each takes some hundred bytes, however small its span was.
const MAX_DELTAS: usize = 128 << 10;
/// What a JSON request may hold: as a tree, each takes some hundred bytes however short it was.
const MAX_JSON_OBJECTS: usize = 400_000;
const MAX_JSON_VALUES: usize = 4_000_000;

pub fn fold(
    bytes: &[u8],
    encoding: Encoding,
    tenant: &Tenant,
    config: &Config,
    arrival_ns: u64,
) -> Result<Folded, FoldError> {
    let mut fold = Fold {
        tenant,
        config,
        admitted: Admitted::around(arrival_ns, config),
        folded: Folded::default(),
        deltas: 0,
    };
    match encoding {
        Encoding::Protobuf => {
            let of_span: Vec<&str> = config.dimensions.iter().map(String::as_str).collect();
            let of_resource = [&of_span[..], &[SERVICE_NAME]].concat();
            each_span(bytes, &of_resource, &of_span, |resource, span| fold.add(resource, span))
                .map_err(|broken| FoldError::BadSpans(broken.to_string()))?;
        }
        Encoding::Json => fold.add_json(bytes)?,
    }
    fold.done()
}

const SERVICE_NAME: &str = "service.name";

struct Fold<'a> {
    tenant: &'a Tenant,
    config: &'a Config,
    admitted: Admitted,
    folded: Folded,
    deltas: usize,
}

impl Fold<'_> {
    fn add(&mut self, resource: &[KeyValue], span: SpanView<'_>) {
        match self.admitted.check(span.end_ns) {
            Admission::Late => self.folded.late += 1,
            Admission::Future => self.folded.future += 1,
            // Refused at the end; until then it costs nothing more.
            Admission::Admitted if self.deltas > MAX_DELTAS => {}
            Admission::Admitted => {
                self.folded.accepted += 1;
                self.count(resource, span);
            }
        }
    }

    fn add_json(&mut self, bytes: &[u8]) -> Result<(), FoldError> {
        let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
        for (byte, what, limit) in
            [(b'{', "JSON objects", MAX_JSON_OBJECTS), (b',', "JSON values", MAX_JSON_VALUES)]
        {
            if count(byte) > limit {
                return Err(FoldError::TooMany { what, limit });
            }
        }
        let request: ExportTraceServiceRequest = serde_json::from_slice(bytes)
            .map_err(|broken| FoldError::BadSpans(broken.to_string()))?;
        for resource_spans in &request.resource_spans {
            let resource = resource_spans.resource.as_ref().map_or(&[][..], |r| &r.attributes);
            for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let view = SpanView {
                    name: &span.name,
                    kind: span.kind,
                    start_ns: span.start_time_unix_nano,
                    end_ns: span.end_time_unix_nano,
                    status: span.status.as_ref().map_or(0, |status| status.code),
                    attributes: &span.attributes,
                };
                self.add(resource, view);
            }
        }
        Ok(())
    }

    fn done(self) -> Result<Folded, FoldError> {
        if self.deltas > MAX_DELTAS {
            return Err(FoldError::TooMany { what: "groups and windows", limit: MAX_DELTAS });
        }
        Ok(self.folded)
    }

    fn count(&mut self, resource: &[KeyValue], span: SpanView<'_>) {
        let layout = &self.config.layout;
        let (group, shortened) = group(self.config, resource, span);
        self.folded.shortened += u64::from(shortened);
        let of_layout = self.folded.content.tenant(self.tenant).layout(layout.id(), layout);
        let of_group = of_layout
            .groups
            .entry(group.id(self.tenant))
            .or_insert_with(|| GroupContent { group, windows: BTreeMap::new() });
        // An end before its start is a clock that stepped back: the span happened, and took no time.
        let duration_ns = span.end_ns.saturating_sub(span.start_ns);
        let deltas = &mut self.deltas;
        of_group
            .windows
            .entry(layout.window(span.end_ns))
            .or_insert_with(|| {
                *deltas += 1;
                Delta::empty(layout)
            })
            .observe(layout, duration_ns);
    }
}

/// The group, and whether a text in it was cut.
fn group(config: &Config, resource: &[KeyValue], span: SpanView<'_>) -> (Group, bool) {
    let mut shortened = false;
    let mut cut = |text: String| {
        shortened |= text.len() > MAX_TEXT_BYTES;
        cut_to_limit(text)
    };
    let dimensions: Vec<_> = config
        .dimensions
        .iter()
        .filter_map(|name| {
            let value = find(span.attributes, name).or_else(|| find(resource, name))?;
            Some((name.clone(), cut(text(value))))
        })
        .collect();
    let group = Group {
        service: find(resource, SERVICE_NAME).map(|value| cut(text(value))).unwrap_or_default(),
        span_name: cut(span.name.to_owned()),
        // A number that this version of the protocol does not know reads as "not given".
        kind: SpanKind::from_number(span.kind).unwrap_or_default(),
        status: StatusCode::from_number(span.status).unwrap_or_default(),
        dimensions: Labels::from_pairs(dimensions),
        external: config.external.clone(),
    };
    (group, shortened)
}

fn cut_to_limit(mut text: String) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
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
