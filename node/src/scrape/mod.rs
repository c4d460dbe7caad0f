//! The span metrics for someone else's Prometheus: `/metrics` on port 8889, in Prometheus's text format
//! 0.0.4 or as OpenMetrics 1.0, under the names that the API has.
//!
//! ```text
//!              edges: totals, a page at a time (their sequencers answer between two batches)
//! Walk   ◀──── every group of every edge, once for each family
//! Page   ───▶ lines, 64 KiB at a time ─▶ Squeezed (if asked for) ─▶ body, as fast as it is read
//! ```
//!
//! - A family's series stand together, so the groups are walked once for each. Nothing is gathered but
//!   a page of rows and a chunk of text, however many groups there are.
//! - A histogram's lines of a group are of one moment. Of two families they may be of two.
//! - Counted is what is journalled, since the edge's process started: a restart is a counter reset.
//!   A group that had nothing for long goes, and comes back at zero. An API that never resets is on 9090.
//! - The groups of all the node's edges are on one page. What two of them know as one group is one
//!   series, their sum.
//! - `le` is written alike in both formats, as the API has it, so that a series keeps its name
//!   whatever a scraper asks for.
//!
//! One tenant's, the one that it is made for. Not here: exemplars, created times.

mod accept;
mod edges;
mod family;
mod format;
mod gzip;
mod ladder;
mod metrics;
mod page;
mod router;
mod walk;

#[cfg(test)]
mod scrape_test;

pub use edges::Edges;
pub use metrics::ScrapeMetrics;
pub use router::{Options, Scrape, router};
