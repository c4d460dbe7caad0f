//! From text to structs: YAML's own rules, the names of fields, the types of values.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, UserMessageFormatter};

/// The first thing that is wrong with the text.
#[derive(Debug)]
pub struct Refused {
    line: Option<u64>,
    what: String,
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refused> {
    // The path is known to what goes around the reader, the line to what it answers.
    let mut path = None;
    let read = serde_saphyr::with_deserializer_from_str(text, |reader| {
        serde_path_to_error::deserialize(reader).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| Refused::new(path.as_deref().unwrap_or("."), &error))
}

impl Refused {
    fn new(path: &str, error: &Error) -> Self {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
        // The root's own path is a dot; a question mark stands where the text broke off.
        let at = match path.trim_end_matches(['.', '?']) {
            "" => String::new(),
            path => format!("{path}: "),
        };
        let what = match error {
            Error::SerdeUnknownField { expected, .. } => {
                let section = path.rsplit_once('.').map_or("the file", |(section, _)| section);
                format!("{at}there is no such field; {section} has {}", expected.join(", "))
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                format!("{at}{variant} is not accepted; give {}", expected.join(" or "))
            }
            Error::SerdeInvalidType { unexpected, expected, .. }
            | Error::SerdeInvalidValue { unexpected, expected, .. } => {
                format!("{at}{unexpected} is not accepted; give {expected}")
            }
            Error::Unexpected { expected: "mapping start", .. } => {
                format!("{at}give a section: its fields, indented, or {{}} for the defaults")
            }
            Error::Unexpected { expected: "sequence start", .. } => {
                format!("{at}give a list, as in [a, b]")
            }
            Error::InvalidScalar { .. } => format!("{at}give a whole number"),
            Error::Unexpected { expected: "string scalar", .. } => format!("{at}give one value"),
            Error::NullIntoString { .. } => format!("{at}give a value, or leave the field out"),
            Error::DuplicateMappingKey { key, .. } => {
                format!("{at}{} stands here twice", key.as_deref().unwrap_or("a field"))
            }
            other => {
                let told = other.render_with_formatter(&UserMessageFormatter);
                // The line is told already.
                let place = other
                    .location()
                    .map(|at| format!(" at line {}, column {}", at.line(), at.column()));
                let told =
                    place.as_deref().and_then(|place| told.strip_suffix(place)).unwrap_or(&told);
                format!("{at}{told}")
            }
        };
        Refused { line, what }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
