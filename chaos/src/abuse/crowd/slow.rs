//! Connections that come and then hardly send: half of them HTTP/2 with a call whose body drips, half HTTP/1
//! with a head or a body that does.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::AnswersOf;
use super::frames::{self, Heard};
use crate::load::Ports;

pub(super) const CONNECTIONS: u64 = 2000;
/// In which all of them come.
const ARRIVAL: Duration = Duration::from_secs(2);
/// Between two drops of one connection: some 700 a second in all.
const DROP_EVERY: std::ops::Range<f64> = 1.0..5.0;
/// What a body says that it will be.
const ANNOUNCED: u32 = 1 << 20;
const STREAM: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Call,
    Head,
    Body,
}

pub(super) fn join(ports: Ports, answers: &AnswersOf, crowd: &mut JoinSet<()>) {
    for number in 0..CONNECTIONS {
        let manner = match number % 4 {
            0 | 1 => Manner::Call,
            2 => Manner::Head,
            _ => Manner::Body,
        };
        let answers = answers.clone();
        let mut rng = StdRng::seed_from_u64(number);
        crowd.spawn(async move {
            sleep(ARRIVAL.mul_f64(rng.r#gen())).await;
            loop {
                answers.note(format!("{manner:?}s begun"));
                let ended = match manner {
                    Manner::Call => drip_call(ports.grpc, &answers, &mut rng).await,
                    Manner::Head | Manner::Body => {
                        drip_http1(manner, ports.http, &answers, &mut rng).await
                    }
                };
                let ended = ended.unwrap_or_else(|_| "broken off".into());
                answers.note(format!("{manner:?}: {ended}"));
                sleep(next_drop(&mut rng)).await;
            }
        });
    }
}

fn next_drop(rng: &mut StdRng) -> Duration {
    Duration::from_secs_f64(rng.gen_range(DROP_EVERY))
}

async fn drip_call(port: u16, answers: &AnswersOf, rng: &mut StdRng) -> anyhow::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let _open = answers.open();
    let (mut from, mut to) = stream.into_split();
    let mut bytes = frames::PREFACE.to_vec();
    frames::settings(&mut bytes);
    frames::headers(STREAM, &frames::export_block(), &mut bytes);
    let [a, b, c, d] = ANNOUNCED.to_be_bytes();
    frames::data(STREAM, &[0, a, b, c, d], &mut bytes);
    to.write_all(&bytes).await?;
    let mut due = Instant::now() + next_drop(rng);
    let mut listening = frames::Listening::default();
    loop {
        tokio::select! {
            heard = listening.next(&mut from) => match heard {
                None => return Ok("closed".into()),
                Some(Heard::GoAway { code }) => return Ok(format!("GOAWAY {code}")),
                Some(Heard::Reset { code }) => return Ok(format!("reset {code}")),
                Some(Heard::Answer) => return Ok("answered".into()),
                Some(heard) => frames::reply(heard, &mut to).await?,
            },
            () = sleep_until(due) => {
                bytes.clear();
                frames::data(STREAM, &rng.r#gen::<[u8; 8]>(), &mut bytes);
                to.write_all(&bytes).await?;
                due = Instant::now() + next_drop(rng);
            }
        }
    }
}

async fn drip_http1(
    manner: Manner,
    port: u16,
    answers: &AnswersOf,
    rng: &mut StdRng,
) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let _open = answers.open();
    let mut head = String::from("POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n");
    if manner == Manner::Body {
        head += "content-type: application/x-protobuf\r\n";
        head += &format!("content-length: {ANNOUNCED}\r\n\r\n");
    }
    stream.write_all(head.as_bytes()).await?;
    let mut answer = [0; 512];
    let mut due = Instant::now() + next_drop(rng);
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => {
                return Ok(match read? {
                    0 => "closed".into(),
                    read => {
                        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
                        let status = text.split(' ').nth(1).unwrap_or("without a status");
                        format!("HTTP {status}")
                    }
                });
            }
            () = sleep_until(due) => {
                let drop = if manner == Manner::Head { "x-drop: 1\r\n" } else { "drop" };
                stream.write_all(drop.as_bytes()).await?;
                due = Instant::now() + next_drop(rng);
            }
        }
    }
}
