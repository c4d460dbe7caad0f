//! What an operator can set.

use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// Browsers' pages that may send to the HTTP port; none unless set.
    pub cors: Option<Cors>,
}

/// What a connection takes of [`Limits::window_bytes`] at least: HTTP/2 grants as much before anybody can
/// say less.
pub const LEAST_WINDOW_BYTES: usize = 64 << 10;

/// What is taken at once, in bytes and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request holds at most this much: as it is sent, and again once decompressed. A larger one is
    /// refused for good.
    pub request_bytes: usize,
    /// Bodies of all connections together hold at most this much, with what decompresses them; more are
    /// refused for now.
    pub held_bytes: usize,
    /// What clients may send unasked, all together: HTTP/2 windows, and the read buffers of HTTP/1. Each
    /// connection gets less of it as their number grows; one that finds no room displaces another.
    pub window_bytes: usize,
    /// Connections of all listeners together; one more displaces another, or waits in the kernel. As many
    /// can only be open with [`LEAST_WINDOW_BYTES`] for each.
    pub connections: usize,
    /// Calls of one HTTP/2 connection at once; the client makes the others wait.
    pub streams: u32,
    /// A head of HTTP/2, decompressed, while it is read. One of HTTP/1 has its read buffer.
    pub head_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_bytes: 64 << 20,
            held_bytes: 128 << 20,
            window_bytes: 64 << 20,
            connections: 1024,
            streams: 128,
            head_bytes: 16 << 10,
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A body for which the edge has waited this long is refused; it may be sent again.
    pub read: Duration,
    /// A connection's first bytes, and a head of HTTP/1, that have not come after this long end the
    /// connection.
    pub header: Duration,
    /// An HTTP/2 connection without a call for this long is asked to go, one of HTTP/1 is closed.
    pub idle: Duration,
    /// A connection this old is asked to go, a tenth sooner or later, so that clients spread anew over
    /// the edges behind a balancer.
    pub age: Duration,
    /// Calls in flight on a connection that was asked to go have this long to end.
    pub leave: Duration,
    /// An HTTP/2 client is pinged this often,
    pub ping: Duration,
    /// and is gone when it has not answered after this long.
    pub pong: Duration,
    /// Requests in flight at shutdown have this long to end.
    pub grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            read: Duration::from_secs(30),
            header: Duration::from_secs(60),
            idle: Duration::from_secs(5 * 60),
            age: Duration::from_secs(30 * 60),
            leave: Duration::from_secs(30),
            ping: Duration::from_secs(60),
            pong: Duration::from_secs(20),
            grace: Duration::from_millis(500),
        }
    }
}

/// Which pages of browsers may send, as the Fetch standard's CORS protocol has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins (`https://shop.example.com`), each with at most one `*` for any text; `*` alone is any.
    pub allowed_origins: Vec<String>,
    /// Headers that a page may set besides those that OTLP needs; `*` is any.
    pub allowed_headers: Vec<String>,
    /// How long a browser may keep the answer; not said unless set.
    pub max_age: Option<Duration>,
}
