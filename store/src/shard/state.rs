//! What apply changes: all of it in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_proto::SourceId;
use tributary_spanmetrics::Tenant;

use super::gather::Gathered;
use super::head::Chunk;
use super::view::View;
use crate::disk::Snapshot;
use crate::family::commit::{CommitRow, SourceState};
use crate::family::dictionary::Definition;

pub(crate) struct State {
    pub(crate) view: View,
    /// Learned since the last checkpoint.
    definitions: Vec<(Tenant, Definition)>,
    /// Heard since the last checkpoint.
    sources: BTreeSet<SourceId>,
}

impl State {
    pub(crate) fn new(view: View) -> Self {
        State { view, definitions: Vec::new(), sources: BTreeSet::new() }
    }

    /// `applied`: entries, with those that were gathered.
    pub(crate) fn apply(&mut self, gathered: Gathered, applied: u64) {
        let Gathered { content, sources, .. } = gathered;
        let learned = self.view.dictionary.unknown_in(&content);
        if !learned.is_empty() {
            let dictionary = Arc::make_mut(&mut self.view.dictionary);
            for (tenant, definition) in &learned {
                dictionary.learn(tenant, definition.clone());
            }
            self.definitions.extend(learned);
        }
        if !sources.is_empty() {
            let known = Arc::make_mut(&mut self.view.sources);
            for (source, state) in sources {
                known.insert(source, state);
                self.sources.insert(source);
            }
        }
        if !content.is_empty() {
            self.view.head.push(Chunk::of(&content, applied));
        }
        self.view.applied = applied;
    }

    /// Whether a checkpoint has anything to write.
    pub(crate) fn is_written(&self) -> bool {
        self.view.head.is_empty() && self.definitions.is_empty() && self.sources.is_empty()
    }

    /// A checkpoint is durable, and `snapshot` shows it.
    pub(crate) fn written(&mut self, row: CommitRow, snapshot: Arc<dyn Snapshot>) {
        self.view.head.drop_until(row.applied);
        self.view.snapshot = snapshot;
        self.definitions.clear();
        self.sources.clear();
    }

    pub(crate) fn definitions(&self) -> &[(Tenant, Definition)] {
        &self.definitions
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = (SourceId, &SourceState)> {
        let state = |source| self.view.sources.get(source).map(|state| (source, state));
        self.sources.iter().filter_map(move |source| state(*source))
    }
}
