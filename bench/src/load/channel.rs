//! One connection that is made again when it breaks, in either protocol.

use std::net::SocketAddr;

use bytes::Bytes;

use super::answer::Answer;
use super::grpc::GrpcChannel;
use super::http::HttpChannel;
use super::options::Protocol;
use super::packing::Packing;

pub(super) enum Channel {
    Grpc(GrpcChannel),
    Http(HttpChannel),
}

impl Channel {
    pub(super) fn new(protocol: Protocol, to: SocketAddr, packing: Packing) -> Self {
        match protocol {
            Protocol::Grpc => Channel::Grpc(GrpcChannel::new(to, packing)),
            Protocol::Http => Channel::Http(HttpChannel::new(to, packing)),
        }
    }

    /// An error: no connection can be had, and nothing was sent.
    pub(super) async fn connected(&self) -> anyhow::Result<()> {
        match self {
            Channel::Grpc(channel) => channel.sender().await.map(drop),
            Channel::Http(channel) => channel.connected().await,
        }
    }

    pub(super) async fn export(&self, framed: Bytes) -> Answer {
        match self {
            Channel::Grpc(channel) => channel.export(framed).await,
            Channel::Http(channel) => channel.export(framed).await,
        }
    }
}
