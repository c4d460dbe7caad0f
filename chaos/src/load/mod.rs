//! The clients: they make spans, send them in bad manners, and remember what must be there.

mod client;
mod crew;
mod grpc;
mod request;
mod spans;
mod wire;

pub(crate) use self::client::Seen;
pub(crate) use self::crew::Crew;
pub(crate) use self::request::Request;
pub(crate) use self::spans::{Groups, Series, draw_recent};
pub(crate) use self::wire::{How, Outcome, Ports, Wire};
