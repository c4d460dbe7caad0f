//! `log`: what the process says on standard error.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::page::{choice, section};

section! {
    /// What the process says on standard error.
    pub struct Log {
        /// text, or json: one object a line. --log-format and TRIBUTARY_LOG_FORMAT win.
        pub format: Format = Format::Text,
        /// error, warn, info, debug or trace; of libraries at most info. RUST_LOG wins.
        pub level: Level = Level::Info,
    }
}

choice! {
    /// For people, or for what collects logs.
    pub enum Format { Text = "text", Json = "json", }
}

choice! {
    /// The least that is told.
    pub enum Level {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("expected text or json")]
pub struct NoFormat;

impl FromStr for Format {
    type Err = NoFormat;

    fn from_str(text: &str) -> Result<Self, NoFormat> {
        Format::ALL.iter().copied().find(|format| format.word() == text).ok_or(NoFormat)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
