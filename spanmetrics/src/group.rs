//! One RED family: a tenant's spans of one service, name, kind, status and dimensions.
//!
//! A group's id is a 128-bit hash over a canonical encoding, so that every edge gives a group the same
//! id, and with it the same shard, without asking anybody. The encoding is versioned and pinned by
//! test vectors: a change would split every counter in two.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

use crate::codec::{DecodeError, Reader, Writer};
use crate::labels::Labels;
use crate::tenant::Tenant;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u128);

/// What identifies a group within its tenant. How it is labelled in answers is `Naming`'s choice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub service: String,
    pub span_name: String,
    pub kind: SpanKind,
    pub status: StatusCode,
    /// By the attribute's name; those that the span and its resource lack are absent.
    pub dimensions: Labels,
    /// The edge's own labels, such as its region.
    pub external: Labels,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SpanKind {
    #[default]
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum StatusCode {
    #[default]
    Unset = 0,
    Ok = 1,
    Error = 2,
}

/// The group encoding's version, first in what is hashed.
const GROUP_V1: u8 = 1;

impl Group {
    pub fn id(&self, tenant: &Tenant) -> GroupId {
        let mut w = Writer::new();
        w.u8(GROUP_V1);
        w.str(tenant.as_str());
        self.encode(&mut w);
        GroupId(xxh3_128(&w.into_bytes()))
    }

    pub fn encode(&self, w: &mut Writer) {
        w.str(&self.service);
        w.str(&self.span_name);
        w.u8(self.kind as u8);
        w.u8(self.status as u8);
        self.dimensions.encode(w);
        self.external.encode(w);
    }

    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Group {
            service: r.str()?.into(),
            span_name: r.str()?.into(),
            kind: SpanKind::from_number(r.u8()?.into()).ok_or(DecodeError::Bad("span kind"))?,
            status: StatusCode::from_number(r.u8()?.into()).ok_or(DecodeError::Bad("status"))?,
            dimensions: Labels::decode(r)?,
            external: Labels::decode(r)?,
        })
    }
}

impl GroupId {
    pub fn shard(self, shards: u16) -> u16 {
        shard_of(self.0, shards)
    }
}

/// Which of `shards` equal stretches of the hash space an id falls into.
pub(crate) fn shard_of(id: u128, shards: u16) -> u16 {
    let top = id >> 64;
    ((top * u128::from(shards)) >> 64) as u16
}

impl SpanKind {
    pub fn from_number(number: i32) -> Option<Self> {
        use SpanKind::{Client, Consumer, Internal, Producer, Server, Unspecified};
        [Unspecified, Internal, Server, Client, Producer, Consumer]
            .into_iter()
            .find(|kind| *kind as i32 == number)
    }

    pub fn name(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
            SpanKind::Internal => "SPAN_KIND_INTERNAL",
            SpanKind::Server => "SPAN_KIND_SERVER",
            SpanKind::Client => "SPAN_KIND_CLIENT",
            SpanKind::Producer => "SPAN_KIND_PRODUCER",
            SpanKind::Consumer => "SPAN_KIND_CONSUMER",
        }
    }
}

impl StatusCode {
    pub fn from_number(number: i32) -> Option<Self> {
        use StatusCode::{Error, Ok, Unset};
        [Unset, Ok, Error].into_iter().find(|status| *status as i32 == number)
    }

    pub fn name(self) -> &'static str {
        match self {
            StatusCode::Unset => "STATUS_CODE_UNSET",
            StatusCode::Ok => "STATUS_CODE_OK",
            StatusCode::Error => "STATUS_CODE_ERROR",
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> Group {
        Group {
            service: "checkout".into(),
            span_name: "POST /pay".into(),
            kind: SpanKind::Server,
            status: StatusCode::Error,
            dimensions: Labels::from_pairs([("http.route", "/pay")]),
            external: Labels::from_pairs([("region", "eu-1")]),
        }
    }

    #[test]
    fn ids_are_pinned() {
        let shop = Tenant::new("shop").expect("valid");
        let ids = [
            checkout().id(&Tenant::default()),
            checkout().id(&shop),
            Group { status: StatusCode::Ok, ..checkout() }.id(&shop),
            Group { external: Labels::default(), ..checkout() }.id(&shop),
        ];
        assert_eq!(ids.map(|id| id.to_string()), PINNED);
        assert_eq!(ids.map(|id| id.shard(16)), PINNED_SHARDS);
    }

    #[test]
    fn encoding_round_trips() {
        let mut w = Writer::new();
        checkout().encode(&mut w);
        let bytes = w.into_bytes();
        let mut r = Reader::new(&bytes);
        assert_eq!(Group::decode(&mut r), Ok(checkout()));
        assert!(r.is_empty());
    }

    #[test]
    fn shards_take_equal_stretches() {
        assert_eq!(GroupId(0).shard(16), 0);
        assert_eq!(GroupId(u128::MAX).shard(16), 15);
        assert_eq!(GroupId(1 << 124).shard(16), 1);
    }

    const PINNED: [&str; 4] = [
        "c69b8d6071fd8211a4d2fe81b509fc30",
        "73d2623d563a64802b81447cd1570ffd",
        "2cb38221370dc24de708e2b3918cb9e6",
        "d17bbee17c19c1a8b30a715ea3cd0dd4",
    ];
    const PINNED_SHARDS: [u16; 4] = [12, 7, 2, 13];
}
