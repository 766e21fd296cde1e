//! Counts of the last while, in buckets of equal length that are used again and again.
//!
//! Must not know what is counted, nor clocks: the present moment is handed in.

use std::time::Duration;

use tokio::time::Instant;

/// What was counted in the last `N` times `width`.
#[derive(Debug)]
pub(super) struct Ring<T, const N: usize> {
    width: Duration,
    newest: usize,
    buckets: [(Instant, T); N],
}

impl<T: Copy + Default, const N: usize> Ring<T, N> {
    pub(super) fn new(width: Duration, now: Instant) -> Self {
        Self { width, newest: 0, buckets: [(now, T::default()); N] }
    }

    /// The bucket of the present moment.
    pub(super) fn current(&mut self, now: Instant) -> &mut T {
        if now.duration_since(self.buckets[self.newest].0) >= self.width {
            self.newest = (self.newest + 1) % N;
            self.buckets[self.newest] = (now, T::default());
        }
        &mut self.buckets[self.newest].1
    }

    /// The buckets that are not too old.
    pub(super) fn recent(&self, now: Instant) -> impl Iterator<Item = T> {
        let span = self.width * N as u32;
        self.buckets.iter().filter(move |(since, _)| now.duration_since(*since) < span).map(|(_, counts)| *counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_for_as_long_as_all_buckets_last() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut ring = Ring::<u32, 3>::new(Duration::from_secs(5), start);
        for seconds in [0, 4, 5, 9, 10, 14] {
            *ring.current(after(seconds)) += 1;
        }
        let told = |ring: &Ring<u32, 3>, seconds| ring.recent(after(seconds)).sum::<u32>();
        assert_eq!([14, 15, 20, 25].map(|seconds| told(&ring, seconds)), [6, 4, 2, 0]);
        *ring.current(after(60)) += 1;
        assert_eq!(told(&ring, 60), 1, "after a long rest nothing old is told");
    }
}
