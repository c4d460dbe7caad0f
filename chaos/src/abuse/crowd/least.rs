//! What each kind has to have done in half a round: a part of what it sets out to do. Abuse that hardly took
//! place proves nothing, however well the product bore it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answers::MOST_OPEN;
use super::{groups, heads, resets, senders, slow};
use crate::abuse::Kind;

/// Of what a sender sets out to do; a product under abuse answers late, and may shed.
const PART: u64 = 4;
/// Connections that are ended come again, so not all are open at one moment; and a product has a limit of its own
/// for all kinds together.
const PART_OPEN: u64 = 3;
/// Of new groups, nearly all: their number is what the run is asked for.
const GROUPS_PERCENT: u64 = 90;
/// A second, of all connections: a product that ends floods soon has fewer of them.
const RESETS: u64 = 1000;

struct Least {
    what: &'static str,
    times: u64,
}

/// What of it did not come to enough, in words.
pub(in crate::abuse) fn shortfalls(
    kind: Kind,
    half: Duration,
    groups_rate: u64,
    counted: Option<&BTreeMap<String, u64>>,
) -> Vec<String> {
    let none = BTreeMap::new();
    let counted = counted.unwrap_or(&none);
    let short = |Least { what, times }: Least| {
        let found = found(what, counted);
        (found < times).then(|| format!("{}: {what} {found}, at least {times} wanted", kind.name()))
    };
    least(kind, half, groups_rate).into_iter().filter_map(short).collect()
}

const ANSWERED: &str = "requests answered";
/// Of these. What is refused before it is read tells nothing of how it is read.
const READ: &str = "requests read";
const SHED: [&str; 2] = ["HTTP 503", "gRPC 14"];

fn found(what: &str, counted: &BTreeMap<String, u64>) -> u64 {
    let is_answer = |said: &str| said.starts_with("HTTP ") || said.starts_with("gRPC ");
    let counts = |said: &str| match what {
        ANSWERED => is_answer(said),
        READ => is_answer(said) && !SHED.contains(&said),
        _ => said == what,
    };
    counted.iter().filter(|(said, _)| counts(said)).map(|(_, times)| times).sum()
}

fn least(kind: Kind, half: Duration, groups_rate: u64) -> Vec<Least> {
    let answered = |pace: senders::Pace| {
        let times = (pace.within(half) / PART).max(1);
        vec![Least { what: ANSWERED, times }, Least { what: READ, times: 1 }]
    };
    let a_second = |times: u64| (times as f64 * half.as_secs_f64()) as u64;
    match kind {
        Kind::Slow => vec![Least { what: MOST_OPEN, times: slow::CONNECTIONS / PART_OPEN }],
        Kind::Bombs => answered(senders::BOMBS),
        Kind::Deep => answered(senders::DEEP),
        Kind::Wide => answered(senders::WIDE),
        Kind::Heads => {
            let connections = u64::from(heads::CONNECTIONS);
            let heads = connections * u64::from(heads::STREAMS);
            vec![
                Least { what: MOST_OPEN, times: connections / PART_OPEN },
                Least { what: heads::SENT, times: heads / PART_OPEN },
            ]
        }
        Kind::Resets => vec![Least { what: resets::SENT, times: a_second(RESETS) }],
        Kind::Groups => {
            let times = a_second(groups_rate) * GROUPS_PERCENT / 100;
            vec![Least { what: groups::SENT, times }]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_secs(10);

    fn short(kind: Kind, counted: &[(&str, u64)]) -> usize {
        let counted = counted.iter().map(|(said, times)| ((*said).to_owned(), *times)).collect();
        shortfalls(kind, HALF, 1000, Some(&counted)).len()
    }

    #[test]
    fn a_kind_that_did_nothing_proves_nothing() {
        for kind in Kind::ALL {
            assert!(!shortfalls(kind, HALF, 1000, None).is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn only_what_was_answered_counts_as_sent() {
        assert_eq!(short(Kind::Bombs, &[("broken off", 320), ("no answer", 320)]), 2);
        assert_eq!(short(Kind::Bombs, &[("HTTP 503", 160), ("gRPC 14", 160)]), 1);
        assert_eq!(short(Kind::Bombs, &[("HTTP 413", 40), ("gRPC 8", 39)]), 1);
        assert_eq!(short(Kind::Bombs, &[("HTTP 413", 40), ("gRPC 8", 40)]), 0);
    }

    #[test]
    fn connections_have_to_be_open_and_groups_sent() {
        assert_eq!(short(Kind::Slow, &[("Heads begun", 2000), (MOST_OPEN, 665)]), 1);
        assert_eq!(short(Kind::Slow, &[(MOST_OPEN, 666)]), 0);
        assert_eq!(short(Kind::Heads, &[(MOST_OPEN, 64)]), 1);
        assert_eq!(short(Kind::Heads, &[(MOST_OPEN, 64), (heads::SENT, 8192)]), 0);
        assert_eq!(short(Kind::Groups, &[(groups::SENT, 8999)]), 1);
        assert_eq!(short(Kind::Groups, &[(groups::SENT, 9000)]), 0);
    }
}
