//! HTTP/2 by hand, as far as it takes to misuse it: a well-behaved client would not send these.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
/// What a peer takes unless it says more.
const MAX_PAYLOAD_BYTES: usize = 16 << 10;
/// What a field counts for besides its name and its value.
pub(super) const FIELD_BYTES: usize = 32;
const CANCEL: u32 = 8;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What the other side said that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// To be sent back.
    Settings {
        /// The largest head that it takes, if it says so.
        head_bytes: Option<u32>,
    },
    Ping([u8; 8]),
    GoAway {
        code: u32,
    },
    Reset {
        code: u32,
    },
    Answer,
    Other,
}

pub(super) fn settings(into: &mut Vec<u8>) {
    frame(SETTINGS, 0, 0, &[], into);
}

/// The head of a call, whose body is to come.
pub(super) fn headers(stream: u32, block: &[u8], into: &mut Vec<u8>) {
    let mut parts = block.chunks(MAX_PAYLOAD_BYTES).enumerate().peekable();
    while let Some((at, part)) = parts.next() {
        let kind = if at == 0 { HEADERS } else { CONTINUATION };
        let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
        frame(kind, flags, stream, part, into);
    }
}

pub(super) fn data(stream: u32, bytes: &[u8], into: &mut Vec<u8>) {
    frame(DATA, 0, stream, bytes, into);
}

pub(super) fn reset(stream: u32, into: &mut Vec<u8>) {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes(), into);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], into: &mut Vec<u8>) {
    into.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    into.extend([kind, flags]);
    into.extend(stream.to_be_bytes());
    into.extend(payload);
}

/// The compressed head (RFC 7541) of an export of traces, each field literal or of the static table.
pub(super) fn export_block() -> Vec<u8> {
    // :method POST, :scheme http.
    let mut block = vec![0x83, 0x86];
    let mut text = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    };
    text(&[0x04], "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    text(&[0x01], "localhost");
    text(&[0x0f, 0x10], "application/grpc");
    field(b"te", b"trailers", &mut block);
    block
}

/// A field of a head that neither side remembers.
pub(super) fn field(name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    into.push(0x00);
    for text in [name, value] {
        length(text.len(), into);
        into.extend(text);
    }
}

/// An integer with a prefix of 7 bits (RFC 7541, 5.1).
fn length(mut bytes: usize, into: &mut Vec<u8>) {
    const PREFIX: usize = 0x7f;
    if bytes < PREFIX {
        return into.push(bytes as u8);
    }
    into.push(PREFIX as u8);
    bytes -= PREFIX;
    while bytes >= 0x80 {
        into.push(bytes as u8 | 0x80);
        bytes >>= 7;
    }
    into.push(bytes as u8);
}

/// What came and is not read yet.
#[derive(Default)]
pub(super) struct Listening(BytesMut);

impl Listening {
    /// The next frame; `None` at the end of the connection. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, from: &mut OwnedReadHalf) -> Option<Heard> {
        loop {
            if let Some(heard) = self.take() {
                return Some(heard);
            }
            if from.read_buf(&mut self.0).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Heard> {
        let head: [u8; HEAD_BYTES] = self.0.get(..HEAD_BYTES)?.try_into().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        if self.0.len() < HEAD_BYTES + length {
            return None;
        }
        self.0.advance(HEAD_BYTES);
        let payload = self.0.split_to(length);
        let number = |at: usize| {
            let four = payload.get(at..at + 4).unwrap_or_default();
            four.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
        };
        Some(match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => {
                Heard::Settings { head_bytes: setting(&payload, MAX_HEADER_LIST_SIZE) }
            }
            (PING, 0) => Heard::Ping(payload[..].try_into().unwrap_or_default()),
            (GOAWAY, _) => Heard::GoAway { code: number(4) },
            (RST_STREAM, _) => Heard::Reset { code: number(0) },
            (HEADERS, _) => Heard::Answer,
            _ => Heard::Other,
        })
    }
}

fn setting(payload: &[u8], wanted: u16) -> Option<u32> {
    payload.chunks_exact(6).find_map(|setting| {
        let (name, value) = setting.split_at(2);
        let value = u32::from_be_bytes(value.try_into().ok()?);
        (name == wanted.to_be_bytes()).then_some(value)
    })
}

/// What HTTP/2 wants said in return, so that the connection is not ended for want of it.
pub(super) async fn reply(heard: Heard, to: &mut OwnedWriteHalf) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    match heard {
        Heard::Settings { .. } => frame(SETTINGS, ACK, 0, &[], &mut bytes),
        Heard::Ping(payload) => frame(PING, ACK, 0, &payload, &mut bytes),
        _ => return Ok(()),
    }
    to.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_how_long_it_is_and_whose() {
        let mut bytes = Vec::new();
        reset(7, &mut bytes);
        assert_eq!(bytes, [0, 0, 4, RST_STREAM, 0, 0, 0, 0, 7, 0, 0, 0, 8]);
        bytes.clear();
        data(1, b"ab", &mut bytes);
        assert_eq!(bytes, [0, 0, 2, DATA, 0, 0, 0, 0, 1, b'a', b'b']);
    }

    #[test]
    fn frames_are_heard_one_by_one_however_they_come() {
        let mut bytes = Vec::new();
        settings(&mut bytes);
        // SETTINGS_MAX_FRAME_SIZE and SETTINGS_MAX_HEADER_LIST_SIZE.
        frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0x40, 0, 0, 6, 0, 1, 0, 0], &mut bytes);
        frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11], &mut bytes);
        let mut listening = Listening::default();
        let heard: Vec<_> = bytes
            .iter()
            .filter_map(|byte| {
                listening.0.extend_from_slice(&[*byte]);
                listening.take()
            })
            .collect();
        let settings = |head_bytes| Heard::Settings { head_bytes };
        let expected = [settings(None), settings(Some(1 << 16)), Heard::GoAway { code: 11 }];
        assert_eq!(heard, expected);
    }

    #[tokio::test]
    async fn h2_reads_the_head_that_was_made_by_hand() {
        let (client, server) = tokio::io::duplex(4096);
        let mut opening = PREFACE.to_vec();
        settings(&mut opening);
        headers(1, &export_block(), &mut opening);
        let (_read, mut write) = tokio::io::split(client);
        write.write_all(&opening).await.unwrap();
        let mut served = h2::server::handshake(server).await.unwrap();
        let (request, _) = served.accept().await.unwrap().unwrap();
        assert_eq!(request.method(), "POST");
        assert!(request.uri().path().ends_with("TraceService/Export"));
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
    }
}
