//! What a request adds, worked out from `prost`'s tree in the plainest way.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::*;
use crate::content::{Content, GroupContent};
use crate::delta::Delta;
use crate::gathered::Gathered;
use crate::group::{Group, SpanKind, StatusCode};
use crate::labels::Labels;
use crate::text::text;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const NOW: u64 = 1_700_000_003 * SECOND;

/// What a walk answers, with its partial as content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) content: Content,
    pub(super) accepted: u64,
    pub(super) late: u64,
    pub(super) future: u64,
    pub(super) shortened: u64,
    pub(super) clamped: u64,
    pub(super) overflowed: u64,
}

/// A walker and the groups that it names.
pub(super) struct Bench {
    pub(super) walker: Walker,
    config: Arc<Config>,
    pub(super) groups: Arc<Groups>,
}

impl Bench {
    pub(super) fn new(config: &Config) -> Self {
        Self::with_limit(config, 1 << 20)
    }

    pub(super) fn with_limit(config: &Config, groups: usize) -> Self {
        let config = Arc::new(config.clone());
        let groups = Arc::new(Groups::new(groups, config.external.clone()));
        Bench { walker: Walker::new(config.clone(), groups.clone(), 7), config, groups }
    }

    pub(super) fn fold(
        &mut self,
        bytes: &[u8],
        encoding: Encoding,
        tenant: &Tenant,
    ) -> Result<Folded, WalkError> {
        let walked = self.walker.walk(bytes, encoding, tenant, NOW)?;
        let mut gathered = Gathered::default();
        gathered.merge(&self.config.layout, &walked.partial);
        let slices = gathered.slices(Content::default(), 1, &self.groups);
        let content = slices.get(&0).map(|slice| Content::decode(slice).expect("canonical"));
        let Walked { accepted, late, future, shortened, clamped, overflowed, .. } = walked;
        let content = content.unwrap_or_default();
        Ok(Folded { content, accepted, late, future, shortened, clamped, overflowed })
    }
}

pub(super) fn expected(
    request: &ExportTraceServiceRequest,
    tenant: &Tenant,
    config: &Config,
) -> Folded {
    let mut folded = Folded::default();
    let layout = &config.layout;
    let limit = |limit: std::time::Duration| limit.as_nanos() as u64;
    for resource_spans in &request.resource_spans {
        let resource = resource_spans.resource.as_ref().map_or(&[][..], |r| &r.attributes);
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let end_ns = span.end_time_unix_nano;
            if end_ns < NOW - limit(config.lateness) {
                folded.late += 1;
                continue;
            }
            if end_ns > NOW + limit(config.future) {
                folded.future += 1;
                continue;
            }
            folded.accepted += 1;
            let mut shortened = false;
            let mut cut = |text: String| {
                shortened |= text.len() > 1024;
                let end = (0..=text.len().min(1024)).rev().find(|at| text.is_char_boundary(*at));
                text[..end.unwrap_or(0)].to_owned()
            };
            let mut dimensions = Labels::default();
            for name in &config.dimensions {
                if let Some(value) = find(&span.attributes, name).or_else(|| find(resource, name)) {
                    dimensions.set(name.as_str(), cut(text(value)));
                }
            }
            let service = find(resource, SERVICE_NAME).map(|value| cut(text(value)));
            let group = Group {
                service: service.unwrap_or_default(),
                span_name: cut(span.name.clone()),
                kind: SpanKind::from_number(span.kind).unwrap_or_default(),
                status: StatusCode::from_number(
                    span.status.as_ref().map_or(0, |status| status.code),
                )
                .unwrap_or_default(),
                dimensions,
                external: config.external.clone(),
            };
            folded.shortened += u64::from(shortened);
            folded.clamped += u64::from(span.start_time_unix_nano > end_ns);
            let of_layout = folded.content.tenant(tenant).layout(layout.id(), layout);
            let windows = BTreeMap::new();
            let of_group = of_layout
                .groups
                .entry(group.id(tenant))
                .or_insert_with(|| GroupContent { group, windows });
            let delta = of_group
                .windows
                .entry(layout.window(end_ns))
                .or_insert_with(|| Delta::empty(layout));
            delta.observe(layout, end_ns.saturating_sub(span.start_time_unix_nano));
        }
    }
    folded
}

fn find<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()
}
