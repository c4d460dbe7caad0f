//! `receivers`: what the OTLP ports take.

use tributary_edge::receivers::LEAST_WINDOW_BYTES;

use super::checks::Checks;
use super::page::section;
use super::{Duration, Size};

section! {
    /// What the OTLP ports take.
    pub struct Receivers {
        /// A request holds at most this much: as it is sent, and again once decompressed.
        pub max_request: Size = Size::mib(64),
        /// Connections of all listeners together; one more takes the place of the one that was of no use for the
        /// longest.
        pub max_connections: u64 = 1024,
        /// Calls under way on one HTTP/2 connection.
        pub max_streams: u64 = 128,
        /// Bodies of all connections together; more are refused, to be sent again.
        pub held: Size = Size::mib(128),
        /// What may come unasked, over all connections together: HTTP/2 windows, 64 KiB or more for each, and
        /// read buffers of HTTP/1, half as much. At least 64 KiB for each of `max_connections`.
        pub windows: Size = Size::mib(64),
        /// A body for which the edge has waited this long is refused; it may be sent again.
        pub read_timeout: Duration = Duration::seconds(30),
        /// A request's head that has not come whole after this long closes its connection.
        pub header_timeout: Duration = Duration::seconds(60),
        /// A connection without requests for this long is closed.
        pub idle_timeout: Duration = Duration::minutes(5),
        /// A connection is asked to end at this age, so that balancers can spread it anew.
        pub max_connection_age: Duration = Duration::minutes(30),
        /// Browsers on other origins that may send over HTTP.
        pub cors: Cors = Cors::default(),
    }
}

section! {
    /// Browsers on other origins that may send over HTTP.
    pub struct Cors {
        /// Such as https://*.example.com, where the one * stands for any text; "*" allows all. Empty: none.
        pub allowed_origins: Vec<String> = Vec::new(),
        /// Request headers allowed besides those that every request may carry.
        pub allowed_headers: Vec<String> = Vec::new(),
        /// How long a browser may remember the answer.
        pub max_age: Duration = Duration::minutes(120),
    }
}

const SHORTEST: Duration = Duration::ms(100);
const HOUR: Duration = Duration::minutes(60);
const MOST_CONNECTIONS: u64 = 1_000_000;

impl Receivers {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.within("max_request", self.max_request, Size::kib(64)..=Size::gib(1));
        checks.within("max_connections", self.max_connections, 1..=MOST_CONNECTIONS);
        checks.within("max_streams", self.max_streams, 1..=65_536);
        if self.held < self.max_request || self.held > Size::gib(64) {
            let least = self.max_request;
            let wanted = format!("from receivers.max_request, which is {least}, to 64GiB");
            checks.fault("held", self.held, wanted);
        }
        let connections = self.max_connections.clamp(1, MOST_CONNECTIONS);
        let least = Size::bytes(connections * LEAST_WINDOW_BYTES as u64);
        if self.windows < least || self.windows > Size::gib(64) {
            let each = Size::bytes(LEAST_WINDOW_BYTES as u64);
            let wanted =
                format!("from {least}, {each} for each of receivers.max_connections, to 64GiB");
            checks.fault("windows", self.windows, wanted);
        }
        checks.within("read_timeout", self.read_timeout, SHORTEST..=HOUR);
        checks.within("header_timeout", self.header_timeout, SHORTEST..=HOUR);
        checks.within("idle_timeout", self.idle_timeout, Duration::seconds(1)..=Duration::days(1));
        let ages = Duration::seconds(1)..=Duration::days(366);
        checks.within("max_connection_age", self.max_connection_age, ages);
        checks.section("cors", |checks| self.cors.check(checks));
    }
}

impl Cors {
    fn check(&self, checks: &mut Checks) {
        for (at, origin) in self.allowed_origins.iter().enumerate() {
            if !is_origin(origin) {
                let wanted = "\"*\", or http:// or https://, a host and maybe a port, no path; one * \
                              in it stands for any text";
                checks.fault(&format!("allowed_origins[{at}]"), format_args!("{origin:?}"), wanted);
            }
        }
        for (at, name) in self.allowed_headers.iter().enumerate() {
            if name != "*" && http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                let wanted = "\"*\" or the name of a header";
                checks.fault(&format!("allowed_headers[{at}]"), format_args!("{name:?}"), wanted);
            }
        }
        checks.within("max_age", self.max_age, Duration::ZERO..=Duration::days(1));
    }
}

/// As a browser sends it, or with one `*` in it: no path, no user, nothing but text without blanks.
fn is_origin(origin: &str) -> bool {
    // The receivers' patterns have no second one.
    if origin.matches('*').count() > 1 {
        return false;
    }
    let Some(host) = ["https://", "http://"].iter().find_map(|s| origin.strip_prefix(s)) else {
        return origin == "*";
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let bracketed = name.starts_with('[') && name.ends_with(']');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._*".contains(&b);
    let named = match bracketed {
        true => name[1..name.len() - 1].parse::<std::net::Ipv6Addr>().is_ok(),
        false => !name.is_empty() && name.bytes().all(plain),
    };
    named && port.is_none_or(|port| port == "*" || port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_told_from_other_text() {
        for origin in [
            "*",
            "https://*.example.com",
            "http://localhost:3000",
            "http://localhost:*",
            "http://[::1]:8080",
            "http://[::1]",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://example.com/",
            "https://example.com:port",
            "https://user@example.com",
            "https://a b",
            "http://[::1",
            "https:// ",
            "**",
            "https://*.example.*",
            "http://*:*",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
