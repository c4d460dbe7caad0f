//! On which line of a file a value stands, for faults that are found after reading.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::checks::Fault;

pub(super) fn with_lines(text: &str, faults: Vec<Fault>) -> Vec<(Option<u64>, Fault)> {
    let mut lines = BTreeMap::new();
    // A text that was read once is read again.
    if let Ok(root) = serde_saphyr::from_str::<Spanned<Node>>(text) {
        note(&root, String::new(), &mut lines);
    }
    faults.into_iter().map(|fault| (lines.get(&fault.path).copied(), fault)).collect()
}

/// The shape of any YAML.
enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Scalar,
}

fn note(node: &Spanned<Node>, path: String, lines: &mut BTreeMap<String, u64>) {
    match &node.value {
        Node::Map(fields) => {
            for (name, field) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                note(field, below, lines);
            }
        }
        Node::List(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                note(entry, format!("{path}[{at}]"), lines);
            }
        }
        Node::Scalar => {}
    }
    lines.insert(path, node.referenced.line());
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Node::Map(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                }
                Ok(Node::List(entries))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
