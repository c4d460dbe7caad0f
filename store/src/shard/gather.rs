//! The pure half of apply: from what stands and what is offered to what changes.

use std::collections::BTreeMap;

use tributary_proto::{Answer, Digest, Entry, OfferError, ShardId, Slice, SourceId};
use tributary_spanmetrics::Content;

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
    Ok(content)
}
