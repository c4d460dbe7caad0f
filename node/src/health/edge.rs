//! How an edge is, by what it counts.

use tributary_edge::EdgeMetrics;

use super::registry::State;

/// The place for what else an edge can tell of itself, such as damage in its journal.
pub fn edge(metrics: &EdgeMetrics, journal_limit_bytes: u64) -> State {
    let bytes = metrics.journal_bytes.get();
    if bytes > journal_limit_bytes {
        return State::degraded(format!(
            "the journal holds {bytes} bytes, more than {journal_limit_bytes}: requests are refused, to be sent \
             again, until the core has taken some"
        ));
    }
    State::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_journal_degrades_its_edge_until_the_core_has_taken_some() {
        let metrics = EdgeMetrics::default();
        metrics.journal_bytes.set(10);
        assert_eq!(edge(&metrics, 10), State::Ok);
        metrics.journal_bytes.set(11);
        let State::Degraded { reason } = edge(&metrics, 10) else { panic!("is full") };
        assert!(reason.starts_with("the journal holds 11 bytes, more than 10"), "{reason}");
        metrics.journal_bytes.set(9);
        assert_eq!(edge(&metrics, 10), State::Ok);
    }
}
