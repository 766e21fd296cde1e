//! What one provider is asked at most: attempts under way, attempts a second, and nothing while it asked for a pause.
//!
//! Must not know how it is doing.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::locks::lock;

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
    /// The provider asked for a pause until then.
    paused: Option<Instant>,
}

/// How far apart so many attempts a second are.
fn interval(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

impl Taken {
    fn is_full(&self, limits: Limits, now: Instant) -> bool {
        let crowded = limits.max_in_flight.is_some_and(|max| self.in_flight >= max);
        // One second's worth may come at once.
        let fast = |rate: u32| self.next_free + interval(rate) > now + Duration::from_secs(1);
        crowded || limits.max_per_second.is_some_and(fast)
    }
}

impl Lane {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, taken: Mutex::new(Taken { in_flight: 0, next_free: now, paused: None }) }
    }

    /// What it is asked at most.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.taken().in_flight
    }

    /// Until when the provider asked for a pause, if that is not over.
    pub(super) fn paused(&self, now: Instant) -> Option<Instant> {
        self.taken().paused.filter(|until| *until > now)
    }

    /// Notes a pause. A longer one that it asked for before stands.
    pub(super) fn pause(&self, until: Instant) {
        let mut taken = self.taken();
        taken.paused = taken.paused.max(Some(until));
    }

    /// Whether there is no place for another attempt.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.taken().is_full(self.limits, now)
    }

    /// Takes a place; false when there is none.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut taken = self.taken();
        if taken.is_full(self.limits, now) {
            return false;
        }
        taken.in_flight += 1;
        if let Some(rate) = self.limits.max_per_second {
            taken.next_free = taken.next_free.max(now) + interval(rate);
        }
        true
    }

    /// Gives back what an attempt took of a second, as nothing was asked.
    pub(super) fn give_back(&self) {
        if let Some(rate) = self.limits.max_per_second {
            let mut taken = self.taken();
            taken.next_free = taken.next_free.checked_sub(interval(rate)).unwrap_or(taken.next_free);
        }
    }

    pub(super) fn release(&self) {
        let mut taken = self.taken();
        taken.in_flight = taken.in_flight.saturating_sub(1);
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seconds_worth_may_come_at_once_and_no_more() {
        for rate in [1, 2, 3, 7] {
            let start = Instant::now();
            let lane = Lane::new(Limits { max_per_second: Some(rate), max_in_flight: None }, start);
            let at_once = (0..20).filter(|_| lane.take(start)).count();
            assert_eq!((at_once, lane.is_full(start)), (rate as usize, true), "{rate} a second");
            // Later, as many as fit into the time.
            lane.give_back();
            assert_eq!([lane.take(start), lane.take(start)], [true, false], "{rate} a second");
            let later = start + Duration::from_millis(1_001);
            assert_eq!((0..20).filter(|_| lane.take(later)).count(), rate as usize, "{rate} a second");
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_attempt_has_ended() {
        let now = Instant::now();
        let lane = Lane::new(Limits { max_per_second: None, max_in_flight: Some(2) }, now);
        assert_eq!([lane.take(now), lane.take(now), lane.take(now)], [true, true, false]);
        lane.release();
        assert_eq!((lane.in_flight(), lane.is_full(now), lane.take(now), lane.take(now)), (1, false, true, false));
    }
}
