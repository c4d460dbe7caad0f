//! The ports of `dev`, on loopback only: 127.0.0.1, and ::1 where there is one.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) otlp_grpc: u16,
    pub(crate) otlp_http: u16,
    pub(crate) api: u16,
    /// The same API under VictoriaMetrics's port.
    pub(crate) api_second: u16,
    pub(crate) self_metrics: u16,
    pub(crate) span_metrics: u16,
    pub(crate) health: u16,
}

impl Ports {
    pub(crate) fn with_offset(offset: u16) -> anyhow::Result<Self> {
        let port = |base: u16| {
            base.checked_add(offset).with_context(|| {
                let most = u16::MAX - 13133;
                format!("--port-offset {offset} leads beyond port 65535: use at most {most}")
            })
        };
        Ok(Ports {
            otlp_grpc: port(4317)?,
            otlp_http: port(4318)?,
            api: port(9090)?,
            api_second: port(8428)?,
            self_metrics: port(8888)?,
            span_metrics: port(8889)?,
            health: port(13133)?,
        })
    }
}

/// Listens on a port of every loopback address that there is.
pub(crate) async fn listen(port: u16, what: &str) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in
        [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()]
    {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                "port {port} ({what}) is taken on {}: stop what listens there, or move all ports with \
                 --port-offset N",
                address.ip()
            ),
            Err(error) if address.is_ipv6() && is_no_such_address(&error) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("listening on {address} ({what})"));
            }
        }
    }
    Ok(listeners)
}

/// What a machine without IPv6 answers: it has no `::1`, or does not know the family at all.
fn is_no_such_address(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// A free loopback port of the system's choice.
pub(crate) async fn listen_anywhere() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("finding a free loopback port")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_every_port_and_never_wraps() {
        let ports = Ports::with_offset(1000).expect("fits");
        assert_eq!((ports.otlp_grpc, ports.health), (5317, 14133));
        let refused = Ports::with_offset(60000).expect_err("beyond").to_string();
        assert_eq!(refused, "--port-offset 60000 leads beyond port 65535: use at most 52402");
    }

    #[test]
    fn only_a_missing_address_is_skipped() {
        for code in [libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT] {
            assert!(is_no_such_address(&io::Error::from_raw_os_error(code)), "{code}");
        }
        for code in [libc::EACCES, libc::EMFILE, libc::EADDRINUSE] {
            assert!(!is_no_such_address(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_way_out() {
        let (_held, address) = listen_anywhere().await.expect("binds");
        let refused = listen(address.port(), "OTLP/gRPC").await.expect_err("taken").to_string();
        assert!(refused.contains(&format!("port {} (OTLP/gRPC) is taken", address.port())));
        assert!(refused.contains("--port-offset"));
    }
}
