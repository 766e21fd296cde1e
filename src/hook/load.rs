//! Our own load, as Okta feels it: every hook in flight holds one of the org's few concurrent transactions.
//!
//! Must not know what a hook does. When a slow provider would use up the org's sign-in capacity, hooks are given less
//! time, by Little's law: arrivals per second × time in flight = hooks in flight.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::locks::lock;

/// Below this share of the org's limit nothing is shortened.
const EASY_SHARE: f64 = 0.5;

/// The share of the org's limit that hooks may hold.
const FAIR_SHARE: f64 = 0.6;

/// Over how long arrivals are averaged. Some fifty at once are no reason to hurry: they are gone before more come.
const WINDOW: Duration = Duration::from_secs(2);

/// One org's hooks in flight, and how fast they arrive.
#[derive(Debug)]
pub(super) struct Load {
    /// Concurrent transactions the org may have at Okta.
    limit: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_flight: u32,
    /// Arrivals in the running window and in the one before.
    since: Instant,
    current: u32,
    previous: u32,
}

/// A hook in flight; leaves when dropped.
#[derive(Debug)]
pub(super) struct Place<'a>(&'a Load);

impl Load {
    pub(super) fn new(limit: u32, now: Instant) -> Self {
        Self { limit, state: Mutex::new(State { in_flight: 0, since: now, current: 0, previous: 0 }) }
    }

    /// A hook arrives: its place, and how much of `budget` it may take, never less than `least`.
    pub(super) fn enter(&self, now: Instant, budget: Duration, least: Duration) -> (Place<'_>, Duration) {
        let mut state = self.state();
        let rate = state.arrive(now);
        state.in_flight += 1;
        let allowed = if self.has_room(&state) || rate <= 0.0 {
            budget
        } else {
            Duration::from_secs_f64(FAIR_SHARE * f64::from(self.limit) / rate).clamp(least.min(budget), budget)
        };
        (Place(self), allowed)
    }

    /// Whether so few are in flight that none has to be short.
    pub(super) fn is_easy(&self) -> bool {
        self.has_room(&self.state())
    }

    fn has_room(&self, state: &State) -> bool {
        f64::from(state.in_flight) <= EASY_SHARE * f64::from(self.limit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Counts an arrival; gives arrivals per second over a sliding window.
    fn arrive(&mut self, now: Instant) -> f64 {
        let elapsed = now.duration_since(self.since);
        if elapsed >= WINDOW {
            self.previous = if elapsed < WINDOW * 2 { self.current } else { 0 };
            (self.current, self.since) = (0, now);
        }
        self.current += 1;
        let into = now.duration_since(self.since).div_duration_f64(WINDOW);
        (f64::from(self.previous) * (1.0 - into) + f64::from(self.current)) / WINDOW.as_secs_f64()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(2600);
    const LEAST: Duration = Duration::from_millis(500);

    #[test]
    fn a_calm_org_has_the_whole_budget() {
        let mut now = Instant::now();
        let load = Load::new(75, now);
        for _ in 0..200 {
            let (_place, allowed) = load.enter(now, BUDGET, LEAST);
            assert_eq!(allowed, BUDGET);
            now += Duration::from_millis(50);
        }
    }

    #[test]
    fn at_sixty_a_second_and_many_in_flight_three_quarters_of_a_second_are_left() {
        let mut now = Instant::now();
        let load = Load::new(75, now);
        let mut places = Vec::new();
        let mut allowed = BUDGET;
        for _ in 0..180 {
            let (place, given) = load.enter(now, BUDGET, LEAST);
            (allowed, _) = (given, places.push(place));
            now += Duration::from_micros(16_667);
        }
        assert!((700..=800).contains(&allowed.as_millis()), "{allowed:?}");
        // Nobody gets less than an attempt needs.
        for _ in 0..2000 {
            places.push(load.enter(now, BUDGET, LEAST).0);
        }
        assert_eq!(load.enter(now, BUDGET, LEAST).1, LEAST);
        assert!(!load.is_easy());
        places.clear();
        assert!(load.is_easy());
        assert_eq!(load.enter(now, BUDGET, LEAST).1, BUDGET);
    }
}
