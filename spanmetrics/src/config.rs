//! What decides where a span lands: everything that a walk reads besides the span itself.

use std::time::Duration;

use crate::labels::Labels;
use crate::layout::Layout;

/// Named by each partial, so that one can tell which rules it was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigVersion(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub version: ConfigVersion,
    pub layout: Layout,
    /// Attributes that tell groups apart: the span's, or else its resource's.
    pub dimensions: Vec<String>,
    /// The edge's own labels.
    pub external: Labels,
    /// A span that ended longer ago than this when it arrived is dropped and counted.
    pub lateness: Duration,
    /// A span that ends further ahead than this of its arrival is dropped and counted.
    pub future: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            version: ConfigVersion(1),
            layout: Layout::default(),
            dimensions: Vec::new(),
            external: Labels::default(),
            lateness: Duration::from_secs(30 * 24 * 3600),
            future: Duration::from_secs(600),
        }
    }
}
