//! The pure half of apply: from what stands and what is offered to what changes.

use std::collections::BTreeMap;

use tributary_proto::{Answer, Digest, Entry, OfferError, ShardId, Slice, SourceId};
use tributary_spanmetrics::{Content, LayoutContent};

use super::sources::{Sources, Verdict, judge};
use crate::family::commit::SourceState;

/// What a run of entries does to a shard.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// One for each entry, in order.
    pub(crate) answers: Vec<Result<Answer, OfferError>>,
    pub(crate) content: Content,
    /// The sources whose state changed.
    pub(crate) sources: BTreeMap<SourceId, SourceState>,
    /// Whether an answer promises that something is on disk.
    pub(crate) promises_durability: bool,
}

pub(crate) fn gather(
    shard: ShardId,
    shards: u16,
    sources: &Sources,
    entries: &[Entry],
) -> Gathered {
    let mut gathered = Gathered::default();
    for entry in entries {
        let answer = take(shard, shards, sources, &mut gathered, entry);
        gathered.answers.push(answer);
    }
    gathered
}

fn take(
    shard: ShardId,
    shards: u16,
    sources: &Sources,
    gathered: &mut Gathered,
    entry: &Entry,
) -> Result<Answer, OfferError> {
    let source = entry.source();
    let known = gathered.sources.get(&source).or_else(|| sources.get(source));
    let verdict = judge(known, entry);
    // A promise may be lost and made again, but for the first of a source: others' promises must not
    // stand without a source that the shard has said it knows.
    gathered.promises_durability |= known.is_none() || !matches!(entry, Entry::Sealed { .. });
    let next = match verdict {
        Verdict::Answer(answer) => return Ok(answer),
        Verdict::Take(next) => next,
    };
    if let Entry::Slice(slice) = entry {
        let content =
            read(shard, shards, slice).map_err(|reason| OfferError::Malformed { shard, reason })?;
        gathered.content.merge(content);
    }
    gathered.sources.insert(source, next);
    Ok(Answer::Applied)
}

fn read(shard: ShardId, shards: u16, slice: &Slice) -> Result<Content, String> {
    if slice.shard != shard {
        return Err(format!("it is for shard {}", slice.shard));
    }
    let content = Content::decode(&slice.payload).map_err(|e| e.to_string())?;
    let digest = Digest(content.digest());
    if digest != slice.digest {
        return Err(format!("its content has digest {digest}, it says {}", slice.digest));
    }
    let home = |of: u16| of == shard.0;
    let strays = content.tenants.values().any(|content| {
        let mut groups = content.layouts.values().flat_map(|of_layout| of_layout.groups.keys());
        !groups.all(|id| home(id.shard(shards)))
            || !content.samples.keys().all(|id| home(id.shard(shards)))
    });
    if strays {
        return Err("it holds groups or series of another shard".into());
    }
    let mut layouts = content.tenants.values().flat_map(|content| content.layouts.values());
    if layouts.any(|of_layout| !is_on_grid(of_layout)) {
        return Err("it holds windows that its layout does not have".into());
    }
    Ok(content)
}

fn is_on_grid(of_layout: &LayoutContent) -> bool {
    let width = i64::from(of_layout.layout.window_ms());
    let mut groups = of_layout.groups.values();
    groups.all(|group| group.windows.keys().all(|end| end.0 % width == 0))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_proto::{BootId, EdgeId, Seq};
    use tributary_spanmetrics::{Delta, Group, GroupContent, Labels, Layout, Tenant, WindowEnd};

    use super::*;

    fn offered(end_ms: i64, to_home: bool) -> Result<Answer, OfferError> {
        let (tenant, layout) = (Tenant::default(), Layout::default());
        let group = Group {
            service: "cart".into(),
            span_name: String::new(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        };
        let id = group.id(&tenant);
        let windows = [(WindowEnd(end_ms), Delta::empty(&layout))].into();
        let mut content = Content::default();
        let of_layout = content.tenant(&tenant).layout(layout.id(), &layout);
        of_layout.groups.insert(id, GroupContent { group, windows });
        let shard = ShardId(if to_home { id.shard(2) } else { 1 - id.shard(2) });
        let entry = Entry::Slice(Slice {
            source: SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) },
            shard,
            seq: Seq(1),
            digest: Digest(content.digest()),
            sealed_to_ms: 0,
            payload: Bytes::from(content.encode()),
        });
        let mut gathered = gather(shard, 2, &Sources::default(), &[entry]);
        assert_eq!(gathered.content.is_empty(), gathered.answers[0].is_err());
        gathered.answers.remove(0)
    }

    #[test]
    fn a_slice_is_taken_whole_or_refused_with_the_reason() {
        assert_eq!(offered(20_000, true), Ok(Answer::Applied));
        let reason = |answer: Result<Answer, OfferError>| answer.unwrap_err().to_string();
        assert!(reason(offered(20_000, false)).contains("of another shard"));
        assert!(reason(offered(20_001, true)).contains("windows that its layout does not have"));
    }
}
