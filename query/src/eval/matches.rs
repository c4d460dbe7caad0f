//! Which rows of two vectors match.

use std::collections::HashMap;

use tributary_spanmetrics::Labels;

use super::key::KeyOf;
use crate::plan::Matching;

/// The rows of both sides that agree in the labels that are matched on.
#[derive(Debug, Default)]
pub(crate) struct MatchGroup {
    pub(crate) left: Vec<usize>,
    pub(crate) right: Vec<usize>,
}

/// Every row of both sides is in one group; groups come in the order of their first row.
pub(crate) fn match_groups(
    left: &[Labels],
    right: &[Labels],
    matching: &Matching,
) -> Vec<MatchGroup> {
    let rule = KeyOf::from(matching);
    let mut groups: Vec<MatchGroup> = Vec::new();
    let mut known = HashMap::with_capacity(left.len());
    let mut group_of = |labels, groups: &mut Vec<MatchGroup>| {
        *known.entry(rule.key(labels)).or_insert_with(|| {
            groups.push(MatchGroup::default());
            groups.len() - 1
        })
    };
    for (row, labels) in left.iter().enumerate() {
        let group = group_of(labels, &mut groups);
        groups[group].left.push(row);
    }
    for (row, labels) in right.iter().enumerate() {
        let group = group_of(labels, &mut groups);
        groups[group].right.push(row);
    }
    groups
}
