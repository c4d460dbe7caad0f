//! How an edge is, by what it counts.

use tributary_edge::EdgeMetrics;

use super::registry::State;

pub fn edge(metrics: &EdgeMetrics, journal_limit_bytes: u64) -> State {
    let reasons = [full(metrics, journal_limit_bytes), damaged(metrics), forgetful(metrics)];
    let reasons: Vec<_> = reasons.into_iter().flatten().collect();
    if reasons.is_empty() { State::Ok } else { State::degraded(reasons.join("; ")) }
}

fn full(metrics: &EdgeMetrics, limit_bytes: u64) -> Option<String> {
    let bytes = metrics.journal_bytes.get();
    (bytes > limit_bytes).then(|| {
        format!(
            "the journal holds {bytes} bytes, more than {limit_bytes}: requests are refused, to be sent \
             again, until the core has taken some"
        )
    })
}

/// Stands until the next start: whoever looks in the morning has to see it too.
fn damaged(metrics: &EdgeMetrics) -> Option<String> {
    let (records, bytes) =
        (metrics.journal_records_damaged.get(), metrics.journal_bytes_damaged.get());
    (records > 0 || bytes > 0).then(|| {
        format!(
            "at its start {bytes} bytes of the journal were damaged and {records} records lost, with what of \
             their requests the core did not have yet: check the disk; the files are kept in `damaged` \
             beside the journal, and this stands until a start finds it whole"
        )
    })
}

fn forgetful(metrics: &EdgeMetrics) -> Option<String> {
    let records = metrics.fingerprint_records_damaged.get();
    (records > 0).then(|| {
        format!(
            "at its start {records} damaged records of remembered requests were lost, up to 1024 in each: \
             those of them that come again are counted again; check the disk"
        )
    })
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

    #[test]
    fn damage_that_a_start_found_degrades_its_edge_and_says_what_is_lost() {
        let metrics = EdgeMetrics::default();
        metrics.journal_records_damaged.set(3);
        metrics.journal_bytes_damaged.set(700);
        let State::Degraded { reason } = edge(&metrics, 10) else { panic!("is damaged") };
        assert!(
            reason.contains("700 bytes of the journal were damaged and 3 records lost"),
            "{reason}"
        );
        assert!(
            reason.contains("check the disk") && !reason.contains("; at its start"),
            "{reason}"
        );
        metrics.fingerprint_records_damaged.set(2);
        let State::Degraded { reason } = edge(&metrics, 10) else { panic!("is damaged") };
        assert!(
            reason.contains("; at its start 2 damaged records of remembered requests"),
            "{reason}"
        );
    }
}
