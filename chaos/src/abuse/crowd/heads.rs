//! Calls of HTTP/2 whose heads are nearly as large as the product says it takes, and whose bodies never come:
//! as many on each connection as it allows.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::answers::AnswersOf;
use super::frames::{self, Heard, Listening};
use crate::load::Ports;

pub(super) const CONNECTIONS: u32 = 64;
pub(super) const STREAMS: u32 = 128;
pub(super) const SENT: &str = "heads sent";
/// In which all of them come.
const ARRIVAL: Duration = Duration::from_secs(2);
/// Then the client hangs up and comes again.
const HOLD: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
/// Of a product that does not say.
const USUAL_LIMIT: u32 = 16 << 10;
/// What the fields that every call has come to, and more.
const OTHER_FIELDS: usize = 512;

/// What fills a head.
#[derive(Clone, Copy, Debug)]
enum Filling {
    /// One long value.
    Long,
    /// As many fields as fit: each takes more room than it is counted for.
    Many,
}

pub(super) fn join(ports: Ports, answers: &AnswersOf, crowd: &mut JoinSet<()>) {
    for number in 0..CONNECTIONS {
        let answers = answers.clone();
        // Both ports speak HTTP/2.
        let port = if number % 2 == 0 { ports.grpc } else { ports.http };
        let filling = if number / 2 % 2 == 0 { Filling::Long } else { Filling::Many };
        crowd.spawn(async move {
            sleep(ARRIVAL * number / CONNECTIONS).await;
            loop {
                let hold = Instant::now() + HOLD;
                let ended = match timeout_at(hold, send(port, filling, &answers)).await {
                    Ok(ended) => ended.unwrap_or_else(|_| "broken off".into()),
                    Err(_) => "held to the end".into(),
                };
                answers.note(ended);
                sleep(PAUSE).await;
            }
        });
    }
}

/// Until the connection is ended; how that was said.
async fn send(port: u16, filling: Filling, answers: &AnswersOf) -> anyhow::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let _open = answers.open();
    let (mut from, mut to) = stream.into_split();
    let mut opening = frames::PREFACE.to_vec();
    frames::settings(&mut opening);
    to.write_all(&opening).await?;
    let (mut listening, mut is_sent) = (Listening::default(), false);
    while let Some(heard) = listening.next(&mut from).await {
        frames::reply(heard, &mut to).await?;
        match heard {
            Heard::Settings { head_bytes } if !is_sent => {
                to.write_all(&calls(head_bytes.unwrap_or(USUAL_LIMIT), filling)).await?;
                answers.add(SENT, STREAMS.into());
                is_sent = true;
            }
            Heard::Answer => answers.note("answered"),
            Heard::Reset { code } => answers.note(format!("reset {code}")),
            Heard::GoAway { code } => return Ok(format!("GOAWAY {code}")),
            _ => {}
        }
    }
    Ok("closed".into())
}

fn calls(head_bytes: u32, filling: Filling) -> Vec<u8> {
    let block = block(head_bytes as usize, filling);
    let mut bytes = Vec::new();
    for stream in (1..).step_by(2).take(STREAMS as usize) {
        frames::headers(stream, &block, &mut bytes);
    }
    bytes
}

fn block(head_bytes: usize, filling: Filling) -> Vec<u8> {
    let mut block = frames::export_block();
    let room = head_bytes.saturating_sub(OTHER_FIELDS);
    match filling {
        Filling::Long => {
            let value = vec![b'a'; room.saturating_sub(frames::FIELD_BYTES)];
            frames::field(b"x-long", &value, &mut block);
        }
        Filling::Many => {
            for number in 0..room / (NAME_BYTES + frames::FIELD_BYTES) {
                frames::field(format!("x-{number:04}").as_bytes(), b"", &mut block);
            }
        }
    }
    block
}

const NAME_BYTES: usize = "x-0000".len();

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 64 << 10;

    /// How many streams a product with that limit takes, and the bytes of a head as HTTP/2 counts them.
    async fn taken(filling: Filling) -> (u32, usize) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (_read, mut write) = tokio::io::split(client);
        let mut bytes = frames::PREFACE.to_vec();
        frames::settings(&mut bytes);
        bytes.extend(calls(LIMIT, filling));
        let writing = tokio::spawn(async move { (write.write_all(&bytes).await, write) });
        let mut builder = h2::server::Builder::new();
        builder.max_header_list_size(LIMIT).max_concurrent_streams(STREAMS);
        let mut served = builder.handshake::<_, bytes::Bytes>(server).await.unwrap();
        let (mut calls, mut largest) = (Vec::new(), 0);
        while calls.len() < STREAMS as usize {
            let (request, respond) = served.accept().await.unwrap().unwrap();
            let fields = request.headers().iter();
            let bytes = fields.map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            largest = largest.max(bytes);
            // It stays under way.
            calls.push((request, respond));
        }
        writing.await.unwrap().0.unwrap();
        (calls.len() as u32, largest)
    }

    #[tokio::test]
    async fn heads_are_taken_and_near_the_limit() {
        for filling in [Filling::Long, Filling::Many] {
            let (streams, bytes) = taken(filling).await;
            assert_eq!(streams, STREAMS, "{filling:?}");
            let limit = LIMIT as usize;
            assert!((limit * 98 / 100..limit).contains(&bytes), "{filling:?}: {bytes} bytes");
        }
    }
}
