//! What one provider is asked at most: attempts under way, attempts a second.
//!
//! Must not know how it is doing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

/// `[providers.*.limits]`: what one provider is asked at most; no limit when absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Attempts under way at one time.
    pub max_in_flight: Option<u32>,
    /// Attempts begun per second.
    pub max_per_second: Option<u32>,
}

/// What one provider is asked at most, and how much of that is taken.
#[derive(Debug)]
pub(super) struct Lane {
    limits: Limits,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    in_flight: u32,
    /// When the next attempt fits into `max_per_second` (generic cell rate algorithm).
    next_free: Instant,
}

impl Lane {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, taken: Mutex::new(Taken { in_flight: 0, next_free: now }) }
    }

    /// What it is asked at most.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.taken().in_flight
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        let taken = self.taken();
        let crowded = self.limits.max_in_flight.is_some_and(|max| taken.in_flight >= max);
        // One second's worth may come at once.
        let fast = self.limits.max_per_second.is_some() && taken.next_free >= now + Duration::from_secs(1);
        crowded || fast
    }

    pub(super) fn take(&self, now: Instant) {
        let mut taken = self.taken();
        taken.in_flight += 1;
        if let Some(rate) = self.limits.max_per_second {
            taken.next_free = taken.next_free.max(now) + Duration::from_secs(1) / rate.max(1);
        }
    }

    pub(super) fn release(&self) {
        let mut taken = self.taken();
        taken.in_flight = taken.in_flight.saturating_sub(1);
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
