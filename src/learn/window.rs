//! Counts over a sliding window: a ring of short slots, each cleared when its time comes again.
//!
//! Must not know what is counted, nor look at a clock.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Milliseconds on the monotonic clock. They begin a day before the server does: what was sent before a restart has a
/// moment too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Moment {
    /// The moment so long after the start.
    pub(super) fn after_start(elapsed: Duration) -> Self {
        Self(millis(DAY + elapsed))
    }

    /// So long before this one.
    pub(super) fn minus(self, age: Duration) -> Self {
        Self(self.0.saturating_sub(millis(age)))
    }

    /// The time since an earlier moment; zero when it is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The number of the slot it falls into, of slots this long. Never zero within the time that counts.
    pub(super) fn slot(self, length: Duration) -> u32 {
        u32::try_from(self.0 / millis(length).max(1)).unwrap_or(u32::MAX)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// So many kinds of counts in each of so many slots.
#[derive(Debug)]
pub(super) struct Window<const KINDS: usize, const SLOTS: usize>(Box<[Slot<KINDS>]>);

#[derive(Debug, Clone, Copy)]
struct Slot<const KINDS: usize> {
    number: u32,
    counts: [u32; KINDS],
}

impl<const KINDS: usize, const SLOTS: usize> Window<KINDS, SLOTS> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self(vec![Slot { number: 0, counts: [0; KINDS] }; SLOTS].into())
    }

    /// Counts one of a kind in the slot of this number, unless that slot has left the ring.
    pub(super) fn add(&mut self, number: u32, kind: usize) {
        let slot = &mut self.0[number as usize % SLOTS];
        if slot.number > number {
            return;
        }
        if slot.number < number {
            *slot = Slot { number, counts: [0; KINDS] };
        }
        slot.counts[kind] = slot.counts[kind].saturating_add(1);
    }

    /// What was counted in these slots, by kind.
    pub(super) fn sum(&self, slots: &RangeInclusive<u32>) -> [u32; KINDS] {
        let mut sum = [0_u32; KINDS];
        for slot in self.0.iter().filter(|slot| slots.contains(&slot.number)) {
            for (sum, count) in sum.iter_mut().zip(slot.counts) {
                *sum = sum.saturating_add(count);
            }
        }
        sum
    }

    /// Whether nothing was counted in this slot or a later one.
    pub(super) fn is_idle_since(&self, number: u32) -> bool {
        self.0.iter().all(|slot| slot.number < number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_moment_before_the_start_has_a_slot_of_its_own() {
        let start = Moment::after_start(Duration::ZERO);
        assert_eq!(start.slot(MINUTE), 24 * 60);
        assert_eq!(start.minus(30 * MINUTE).slot(MINUTE), 24 * 60 - 30);
        assert_eq!(Moment::after_start(MINUTE).since(start), MINUTE);
        assert_eq!(start.since(Moment::after_start(MINUTE)), Duration::ZERO);
    }

    #[test]
    fn what_is_older_than_the_ring_is_gone_and_cannot_come_back() {
        let mut window = Window::<2, 3>::new();
        for (slot, kind) in [(10, 0), (10, 1), (11, 0), (12, 0), (12, 0)] {
            window.add(slot, kind);
        }
        assert_eq!(window.sum(&(10..=12)), [4, 1]);
        assert_eq!(window.sum(&(11..=11)), [1, 0]);
        window.add(13, 1);
        assert_eq!(window.sum(&(10..=13)), [3, 1], "slot 10 made room");
        window.add(10, 1);
        assert_eq!(window.sum(&(0..=99)), [3, 1], "too late to be counted");
        assert!(window.is_idle_since(14) && !window.is_idle_since(13));
    }
}
