//! Label sets: sorted by name, each name once, no empty value.
//!
//! An empty value means "no such label", as in Prometheus, so it is never stored.

use std::fmt;

use crate::codec::{DecodeError, Reader, Writer};

/// The label that carries a series' metric name.
pub const METRIC_NAME: &str = "__name__";

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// Sorts by name; of several values under one name the last wins; empty values go.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut labels = Labels::default();
        for (name, value) in pairs {
            labels.set(name.into(), value.into());
        }
        labels
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match (self.position(&name), value.is_empty()) {
            (Ok(at), true) => {
                self.0.remove(at);
            }
            (Ok(at), false) => self.0[at].1 = value,
            (Err(_), true) => {}
            (Err(at), false) => self.0.insert(at, (name, value)),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.position(name).ok().map(|at| self.0.remove(at).1)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|at| self.0[at].1.as_str())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps the labels whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    pub fn encode(&self, w: &mut Writer) {
        w.varint(self.0.len() as u64);
        for (name, value) in &self.0 {
            w.str(name);
            w.str(value);
        }
    }

    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for _ in 0..r.varint()? {
            let (name, value) = (r.str()?, r.str()?);
            let in_order = pairs.last().is_none_or(|(last, _)| last.as_str() < name);
            if !in_order || value.is_empty() {
                return Err(DecodeError::Bad("labels: unsorted, twice or empty"));
            }
            pairs.push((name.into(), value.into()));
        }
        Ok(Labels(pairs))
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="2",b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn setting_an_empty_value_removes_the_label() {
        let mut labels = Labels::from_pairs([("a", "1")]);
        labels.set("a", "");
        assert!(labels.is_empty());
    }
}
