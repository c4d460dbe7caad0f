//! The attributes of a span: ten, as instrumentation of HTTP servers sets them.
//!
//! Three of them are dimensions (the fourth is the resource's). The others have a few values each, or, with
//! `distinct_values`, one of their own in each span.

use std::fmt::Write;

use super::catalogue::Group;
use super::deck::shuffle;
use super::piece::Piece;
use super::shape::Shape;
use crate::rng::Rng;

const FIELD: u32 = 9;
const COUNT: usize = 10;
const IN_ORDER: [usize; COUNT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const AGENTS: [&str; 4] = [
    "okhttp/4.12.0 (android 15; store-app 7.31.0; arm64)",
    "Go-http-client/2.0 store-gateway/1.18.3 (linux; amd64)",
    "python-requests/2.32.3 store-jobs/0.9 (CPython 3.13)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
];

/// Writes attributes; keeps a text's memory from span to span.
#[derive(Default)]
pub(super) struct Pairs {
    text: String,
}

impl Pairs {
    pub(super) fn write(&mut self, span: &mut Piece, group: &Group, shape: &Shape, rng: &mut Rng) {
        let mut order = IN_ORDER;
        if shape.shuffled {
            shuffle(&mut order, rng);
        }
        let distinct = shape.distinct_values;
        for which in order {
            match which {
                0 => span.pair(FIELD, "http.request.method", group.method),
                1 => {
                    let id = if distinct { rng.next() >> 20 } else { rng.below(64) as u64 };
                    let stem = group.route.trim_end_matches("{id}");
                    span.pair(FIELD, "url.path", self.text(format_args!("{stem}{id}")));
                }
                2 => span.pair(FIELD, "url.scheme", "https"),
                3 => span.pair(FIELD, "http.route", &group.route),
                4 => span.pair_int(FIELD, "http.response.status_code", group.status_code.into()),
                5 => {
                    let text = self.text(format_args!("{}.local", group.service));
                    span.pair(FIELD, "server.address", text);
                }
                6 => {
                    let port = if distinct { 1024 + rng.below(60_000) } else { 8443 };
                    span.pair_int(FIELD, "server.port", port as u64);
                }
                7 => {
                    let host = rng.below(if distinct { 1 << 24 } else { 16 });
                    let [_, a, b, c] = (host as u32).to_be_bytes();
                    span.pair(FIELD, "client.address", self.text(format_args!("10.{a}.{b}.{c}")));
                }
                8 => {
                    let agent = AGENTS[rng.below(AGENTS.len())];
                    let text = match distinct {
                        true => self.text(format_args!("{agent} {:06x}", rng.below(1 << 24))),
                        false => agent,
                    };
                    span.pair(FIELD, "user_agent.original", text);
                }
                _ => span.pair(FIELD, "network.protocol.version", "2"),
            }
        }
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) -> &str {
        self.text.clear();
        self.text.write_fmt(text).expect("a text in memory takes all");
        &self.text
    }
}
