//! Why a configuration file was not taken, with its lines.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::checks::Fault;
use super::read::Refused;

#[derive(Debug, Error)]
pub enum Error {
    #[error("configuration file {}: {source}", file.display())]
    Unread { file: PathBuf, source: std::io::Error },
    #[error("configuration file {}: {refused}", file.display())]
    Malformed { file: PathBuf, refused: Refused },
    #[error("configuration file {}: {}", file.display(), Lines(faults))]
    Unusable { file: PathBuf, faults: Vec<(Option<u64>, Fault)> },
}

/// One fault stands on the same line, several below each other.
struct Lines<'a>(&'a [(Option<u64>, Fault)]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.0.len() > 1 { "\n  " } else { "" };
        for (line, fault) in self.0 {
            f.write_str(separator)?;
            // A fault of a value that is not written stands nowhere.
            if let Some(line) = line {
                write!(f, "line {line}: ")?;
            }
            let Fault { path, value, accepted } = fault;
            write!(f, "{path}: {value} is not accepted; give {accepted}")?;
        }
        Ok(())
    }
}
