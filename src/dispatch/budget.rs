//! The failover budget: how many messages may go on to a second provider.
//!
//! Must not know which providers. Without it a brown-out of the first provider doubles the load of the second, and
//! takes that one down too.

use std::time::Duration;

use tokio::time::Instant;

use super::ring::Ring;

/// How far back messages and failovers count; Finagle's default.
const SECONDS: usize = 10;

/// Failovers always allowed, per second: a small org must never run out.
const FLOOR_PER_SECOND: u32 = 10;

/// Failovers allowed for every hundred messages.
const PERCENT: u32 = 20;

/// Messages and failovers of the last ten seconds.
#[derive(Debug)]
pub(super) struct Budget {
    ring: Ring<Counts, SECONDS>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    messages: u32,
    failovers: u32,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { ring: Ring::new(Duration::from_secs(1), now) }
    }

    /// A message arrived.
    pub(super) fn deposit(&mut self, now: Instant) {
        self.ring.current(now).messages += 1;
    }

    /// Takes one failover out; false when there is none left.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        let (messages, failovers) = self
            .ring
            .recent(now)
            .fold((0, 0), |(messages, failovers), c| (messages + c.messages, failovers + c.failovers));
        let allowed = FLOOR_PER_SECOND * SECONDS as u32 + messages * PERCENT / 100;
        let granted = failovers < allowed;
        if granted {
            self.ring.current(now).failovers += 1;
        }
        granted
    }

    /// Puts one back that was none after all.
    pub(super) fn refund(&mut self, now: Instant) {
        let counts = self.ring.current(now);
        counts.failovers = counts.failovers.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_messages_and_a_floor_may_fail_over() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        (0..1000).for_each(|_| budget.deposit(start));
        let granted = (0..1000).filter(|_| budget.withdraw(start)).count();
        assert_eq!(granted, 100 + 200);
        // Ten seconds later nothing of it counts any more.
        let later = start + Duration::from_secs(11);
        assert_eq!((0..1000).filter(|_| budget.withdraw(later)).count(), 100);
    }
}
