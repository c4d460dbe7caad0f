//! The configuration of a node: one file of YAML, read and checked once, at the start.
//!
//! ```text
//! file ─▶ read: names, types ─▶ Config ─▶ checks: values ─▶ wire: the engines' options
//!                                  └─▶ page: commented YAML, which reads back to the same
//! ```
//!
//! - One section a component, in its own file, with its defaults and its checks.
//! - A field that no section has is refused by name; a value that no run can use, by its path. Of values, all that
//!   are wrong are told at once.
//! - A file may leave anything out. What it leaves out has the default of `docs/configuration.md`, which a test
//!   holds to [`Config::default`].
//!
//! Secrets have no place in here: they come by files of their own, by environment or standard input.

mod checks;
mod duration;
mod edge;
mod error;
mod log;
mod page;
mod places;
mod read;
mod receivers;
mod size;
mod store;
pub mod wire;

use std::path::Path;

pub use checks::Fault;
pub use duration::Duration;
pub use edge::{Dedup, Edge, Groups, Histogram, Journal, Memory};
pub use error::Error;
pub use log::{Format, Level, Log, NoFormat};
pub use receivers::{Cors, Receivers};
pub use size::Size;
pub use store::Store;

use checks::Checks;
use page::{Page, section};

section! {
    /// Everything that a node is told by its configuration file.
    pub struct Config {
        /// How spans are counted, and how much an edge holds.
        pub edge: Edge = Edge::default(),
        /// What the OTLP ports take.
        pub receivers: Receivers = Receivers::default(),
        /// What is kept of what was counted.
        pub store: Store = Store::default(),
        /// What the process says on standard error.
        pub log: Log = Log::default(),
    }
}

impl Config {
    pub fn load(file: &Path) -> Result<Config, Error> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|source| Error::Unread { file: file.to_owned(), source })?;
        Config::parse(file, &text)
    }

    /// `file` is what errors call the text.
    pub fn parse(file: &Path, text: &str) -> Result<Config, Error> {
        let config: Config = read::read(text)
            .map_err(|refused| Error::Malformed { file: file.to_owned(), refused })?;
        let faults = config.faults();
        if !faults.is_empty() {
            let faults = places::with_lines(text, faults);
            return Err(Error::Unusable { file: file.to_owned(), faults });
        }
        Ok(config)
    }

    /// Everything, defaults included, as commented YAML.
    pub fn page(&self) -> String {
        Page::of(self)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut checks = Checks::default();
        checks.section("edge", |checks| self.edge.check(checks));
        checks.section("receivers", |checks| self.receivers.check(checks));
        checks.section("store", |checks| self.store.check(checks));
        checks.faults()
    }
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
