//! Which spans are taken, by the time of their end.

use crate::config::Config;

pub(super) enum Admission {
    Admitted,
    Late,
    Future,
}

#[derive(Debug)]
pub(super) struct Admitted {
    earliest_ns: u64,
    latest_ns: u64,
}

impl Admitted {
    pub(super) fn around(arrival_ns: u64, config: &Config) -> Self {
        let ns = |limit: std::time::Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Admitted {
            earliest_ns: arrival_ns.saturating_sub(ns(config.lateness)),
            latest_ns: arrival_ns.saturating_add(ns(config.future)),
        }
    }

    #[inline(always)]
    pub(super) fn check(&self, end_ns: u64) -> Admission {
        if end_ns < self.earliest_ns {
            Admission::Late
        } else if end_ns > self.latest_ns {
            Admission::Future
        } else {
            Admission::Admitted
        }
    }
}
