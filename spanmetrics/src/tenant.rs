//! The tenant that data belongs to.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// A tenant's name: 1 to 64 of `a-z 0-9 - _`. It is part of every key, so it stays short.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

#[derive(Debug, Error, PartialEq, Eq)]
#[error("tenant {0:?} is not a name of 1 to 64 characters from a-z, 0-9, '-' and '_'")]
pub struct InvalidTenant(String);

impl Tenant {
    pub const MAX_BYTES: usize = 64;

    pub fn new(name: &str) -> Result<Self, InvalidTenant> {
        let allowed =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(allowed) {
            return Err(InvalidTenant(name.into()));
        }
        Ok(Tenant(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tenant of an installation that has not made any: `default`.
impl Default for Tenant {
    fn default() -> Self {
        Tenant("default".into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(Tenant::new("shop-eu_1").expect("valid").as_str(), "shop-eu_1");
        let long = "a".repeat(65);
        for bad in ["", "Shop", "a b", "a\0", long.as_str()] {
            assert!(Tenant::new(bad).is_err(), "{bad:?}");
        }
    }
}
