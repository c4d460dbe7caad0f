//! Keys that sort as what they name: big-endian, the sign flipped, the tenant closed by a zero byte
//! (no tenant's name holds one), so that no tenant's keys begin like another's.

use tributary_spanmetrics::Tenant;

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyWriter(Vec<u8>);

impl KeyWriter {
    pub(crate) fn tenant(tenant: &Tenant) -> Self {
        let mut key = Vec::with_capacity(tenant.as_str().len() + 49);
        key.extend_from_slice(tenant.as_str().as_bytes());
        key.push(0);
        KeyWriter(key)
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u128(mut self, value: u128) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn time(self, time_ms: i64) -> Self {
        self.u64((time_ms as u64) ^ (1 << 63))
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    pub(crate) fn tenant(key: &'a [u8]) -> Option<(Tenant, Self)> {
        let end = key.iter().position(|&byte| byte == 0)?;
        let tenant = Tenant::new(str::from_utf8(&key[..end]).ok()?).ok()?;
        Some((tenant, KeyReader(&key[end + 1..])))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_be_bytes)
    }

    pub(crate) fn time(&mut self) -> Option<i64> {
        self.u64().map(|bits| (bits ^ (1 << 63)) as i64)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }
}

/// The first key behind every key that begins with `prefix`; empty where there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_tenant_then_time() {
        let key = |tenant: &str, time| {
            KeyWriter::tenant(&Tenant::new(tenant).expect("valid")).time(time).done()
        };
        let sorted =
            [key("a", -1), key("a", 0), key("a", i64::MAX), key("a-b", i64::MIN), key("ab", 0)];
        assert!(sorted.is_sorted());
        let (tenant, mut rest) = KeyReader::tenant(&sorted[0]).expect("reads");
        assert_eq!((tenant.as_str(), rest.time(), rest.u8()), ("a", Some(-1), None));
    }

    #[test]
    fn a_prefix_ends_before_its_neighbour() {
        assert_eq!(after_prefix(b"a\0"), b"a\x01");
        assert_eq!(after_prefix(b"a\xff\xff"), b"b");
        assert_eq!(after_prefix(b"\xff"), b"");
    }
}
