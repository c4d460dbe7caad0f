//! The configuration written down: commented YAML that reads back to equal values.
//!
//! Declared once, by `section!`: a section's fields, what they mean, what they are by default. The struct, its
//! defaults, its reader and its part of the page all come of that one declaration.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Duration, Size};

/// YAML under way.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
    depth: usize,
}

/// How a field's value stands on the page: on the field's line, or in lines below.
pub(crate) trait Shown {
    fn show(&self, page: &mut Page);
}

impl Page {
    pub(crate) fn of(root: &impl Shown) -> String {
        let mut page = Page::default();
        root.show(&mut page);
        page.text.trim_start().to_owned()
    }

    pub(crate) fn field(&mut self, name: &str, about: &[&str], value: &impl Shown) {
        let indent = "  ".repeat(self.depth);
        for line in about {
            let _ = writeln!(self.text, "{indent}#{line}");
        }
        let _ = write!(self.text, "{indent}{name}:");
        self.depth += 1;
        value.show(self);
        self.depth -= 1;
    }

    pub(crate) fn begin_section(&mut self) {
        self.text.push('\n');
    }

    fn value(&mut self, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, " {value}");
    }
}

impl Shown for Duration {
    fn show(&self, page: &mut Page) {
        page.value(self);
    }
}

impl Shown for Size {
    fn show(&self, page: &mut Page) {
        page.value(self);
    }
}

impl Shown for u64 {
    fn show(&self, page: &mut Page) {
        page.value(self);
    }
}

impl Shown for Vec<Duration> {
    fn show(&self, page: &mut Page) {
        let all: Vec<_> = self.iter().map(Duration::to_string).collect();
        page.value(format_args!("[{}]", all.join(", ")));
    }
}

impl Shown for Vec<String> {
    fn show(&self, page: &mut Page) {
        let all: Vec<_> = self.iter().map(|text| quoted(text)).collect();
        page.value(format_args!("[{}]", all.join(", ")));
    }
}

impl Shown for BTreeMap<String, String> {
    fn show(&self, page: &mut Page) {
        let entry =
            |(name, value): (&String, &String)| format!("{}: {}", quoted(name), quoted(value));
        let all: Vec<_> = self.iter().map(entry).collect();
        page.value(format_args!("{{{}}}", all.join(", ")));
    }
}

/// JSON's strings are among YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Declares a section of the configuration: its struct, its defaults, its part of the page.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident: $type:ty = $default:expr, )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $default, )+ }
            }
        }

        impl $crate::config::page::Shown for $name {
            fn show(&self, page: &mut $crate::config::page::Page) {
                page.begin_section();
                $( page.field(stringify!($field), &[$($doc),+], &self.$field); )+
            }
        }
    };
}

/// Declares a value that is one of a few words.
macro_rules! choice {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident { $( $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
        pub enum $name {
            $( #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            pub const ALL: &[$name] = &[$( $name::$variant, )+];

            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl $crate::config::page::Shown for $name {
            fn show(&self, page: &mut $crate::config::page::Page) {
                self.word().show(page);
            }
        }
    };
}

impl Shown for &str {
    fn show(&self, page: &mut Page) {
        page.value(self);
    }
}

pub(crate) use {choice, section};
