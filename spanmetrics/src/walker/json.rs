//! OTLP's JSON: its spans one after the other, from a tree that is bounded.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::resources::Resource;
use super::walk::{SpanView, Walk, group};
use super::wanted::Wanted;
use super::{WalkError, told};

/// What a request may hold: as a tree, each takes some hundred bytes however short it was.
const MAX_OBJECTS: usize = 400_000;
const MAX_VALUES: usize = 4_000_000;

impl Walk<'_> {
    pub(super) fn json(&mut self, bytes: &[u8]) -> Result<(), WalkError> {
        let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
        for (byte, what, limit) in
            [(b'{', "JSON objects", MAX_OBJECTS), (b',', "JSON values", MAX_VALUES)]
        {
            if count(byte) > limit {
                return Err(WalkError::TooMany { what, limit });
            }
        }
        let request: ExportTraceServiceRequest = serde_json::from_slice(bytes)
            .map_err(|broken| WalkError::BadSpans(broken.to_string()))?;
        for resource_spans in &request.resource_spans {
            let attributes = resource_spans.resource.as_ref().map_or(&[][..], |r| &r.attributes);
            let values = first_of_each(attributes, self.wanted_of_resource);
            let resource = Resource::of(&values, &self.config.dimensions);
            for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
                if !self.admit(span.end_time_unix_nano) {
                    continue;
                }
                let view = SpanView {
                    name: span.name.as_bytes(),
                    kind: span.kind,
                    start_ns: span.start_time_unix_nano,
                    end_ns: span.end_time_unix_nano,
                    status: span.status.as_ref().map_or(0, |status| status.code),
                };
                let values = first_of_each(&span.attributes, self.wanted);
                group(self.config, &resource, view.name, view.kind, view.status, &values)
                    .and_then(|group| self.decoded(group, &view))
                    .map_err(told)?;
            }
        }
        Ok(())
    }
}

/// The wanted attributes' values, of each the first.
fn first_of_each(attributes: &[KeyValue], wanted: &Wanted) -> Vec<Option<AnyValue>> {
    let mut found: Vec<Option<&KeyValue>> = vec![None; wanted.len()];
    for attribute in attributes {
        if let Some(at) = wanted.find(attribute.key.as_bytes()) {
            found[at].get_or_insert(attribute);
        }
    }
    found.into_iter().map(|attribute| attribute?.value.clone()).collect()
}
