//! The failover budget: how many messages may go on to a second provider.
//!
//! Must not know which providers. Without it a brown-out of the first provider doubles the load of the second, and
//! takes that one down too.

use std::time::Duration;

use tokio::time::Instant;

/// How far back messages and failovers count; Finagle's default.
const SECONDS: usize = 10;

/// Failovers always allowed, per second: a small org must never run out.
const FLOOR_PER_SECOND: u32 = 10;

/// Failovers allowed for every hundred messages.
const PERCENT: u32 = 20;

/// Messages and failovers of the last ten seconds.
#[derive(Debug)]
pub(super) struct Budget {
    slots: [Slot; SECONDS],
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    since: Instant,
    messages: u32,
    failovers: u32,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { slots: [Slot { since: now, messages: 0, failovers: 0 }; SECONDS] }
    }

    /// A message arrived.
    pub(super) fn deposit(&mut self, now: Instant) {
        self.slot(now).messages += 1;
    }

    /// Takes one failover out; false when there is none left.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        let recent = self.slots.iter().filter(|s| now.duration_since(s.since) < Duration::from_secs(SECONDS as u64));
        let (messages, failovers) =
            recent.fold((0, 0), |(messages, failovers), s| (messages + s.messages, failovers + s.failovers));
        let allowed = FLOOR_PER_SECOND * SECONDS as u32 + messages * PERCENT / 100;
        let granted = failovers < allowed;
        if granted {
            self.slot(now).failovers += 1;
        }
        granted
    }

    /// Puts one back that was none after all.
    pub(super) fn refund(&mut self, now: Instant) {
        let slot = self.slot(now);
        slot.failovers = slot.failovers.saturating_sub(1);
    }

    fn slot(&mut self, now: Instant) -> &mut Slot {
        let newest = (0..SECONDS).max_by_key(|i| self.slots[*i].since).unwrap_or_default();
        if now.duration_since(self.slots[newest].since) < Duration::from_secs(1) {
            return &mut self.slots[newest];
        }
        let oldest = (0..SECONDS).min_by_key(|i| self.slots[*i].since).unwrap_or_default();
        self.slots[oldest] = Slot { since: now, messages: 0, failovers: 0 };
        &mut self.slots[oldest]
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
