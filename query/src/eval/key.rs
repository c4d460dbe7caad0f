//! The part of a label set by which series are grouped or matched.

use tributary_spanmetrics::{Labels, METRIC_NAME};

use crate::plan::{Grouping, Matching};

/// Borrowed from the labels it was taken of; sorted by name.
pub(crate) type Key<'a> = Vec<(&'a str, &'a str)>;

/// A rule that takes keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyOf<'n> {
    /// Names sorted.
    Only(&'n [String]),
    /// Without the metric name either; names sorted.
    AllBut(&'n [String]),
}

impl KeyOf<'_> {
    pub(crate) fn key<'a>(&self, labels: &'a Labels) -> Key<'a> {
        match self {
            KeyOf::Only([]) => Vec::new(),
            KeyOf::Only(names) => labels.iter().filter(|(name, _)| listed(names, name)).collect(),
            KeyOf::AllBut(names) => labels
                .iter()
                .filter(|(name, _)| *name != METRIC_NAME && !listed(names, name))
                .collect(),
        }
    }
}

impl<'n> From<&'n Grouping> for KeyOf<'n> {
    fn from(grouping: &'n Grouping) -> Self {
        match grouping {
            Grouping::By(names) => KeyOf::Only(names),
            Grouping::Without(names) => KeyOf::AllBut(names),
        }
    }
}

impl<'n> From<&'n Matching> for KeyOf<'n> {
    fn from(matching: &'n Matching) -> Self {
        match matching {
            Matching::On(names) => KeyOf::Only(names),
            Matching::Ignoring(names) => KeyOf::AllBut(names),
        }
    }
}

fn listed(names: &[String], name: &str) -> bool {
    names.binary_search_by(|n| n.as_str().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_the_labels_that_the_rule_names() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b", "2")]);
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (of_a, of_name) = (names(&["a", "z"]), names(&["__name__"]));
        assert_eq!(KeyOf::Only(&of_a).key(&labels), [("a", "1")]);
        assert_eq!(KeyOf::Only(&of_name).key(&labels), [("__name__", "up")]);
        assert_eq!(KeyOf::AllBut(&of_a).key(&labels), [("b", "2")]);
    }
}
