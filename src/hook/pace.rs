//! How long hooks take whose message is sent, so that one stopped in silence takes as long: a clock must not tell whoever
//! tries numbers which of them are known to be fraud.
//!
//! Must not know why a message was stopped, nor wait beyond a deadline.

use std::sync::Mutex;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::locks::lock;

/// So many hooks are what is usual of late.
const KEPT: usize = 64;

/// The times of the last hooks of one org that a provider accepted.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    times: Vec<Duration>,
    /// Where the next time is written.
    next: usize,
    /// How many have been drawn: in turns, which gives as many of each length as there were.
    drawn: usize,
}

impl Pace {
    /// Notes how long a hook took whose message a provider accepted.
    pub(super) fn note(&self, time: Duration) {
        let mut ring = lock(&self.0);
        let next = ring.next;
        match ring.times.get_mut(next) {
            Some(place) => *place = time,
            None => ring.times.push(time),
        }
        ring.next = (next + 1) % KEPT;
    }

    /// Waits until a hook has taken as long as one of the last that were sent; not at all when there was none.
    pub(super) async fn keep(&self, deadline: &Deadline) {
        let Some(time) = self.draw() else { return };
        let left = time.saturating_sub(deadline.elapsed());
        deadline.bound(tokio::time::sleep(left)).await;
    }

    fn draw(&self) -> Option<Duration> {
        let mut ring = lock(&self.0);
        let place = ring.drawn.checked_rem(ring.times.len())?;
        ring.drawn = ring.drawn.wrapping_add(1);
        Some(ring.times[place])
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    async fn waits(pace: &Pace, budget: u64) -> u128 {
        let begun = Instant::now();
        pace.keep(&Deadline::new(begun, Duration::from_millis(budget))).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stopped_takes_as_long_as_what_was_sent_of_late() {
        let pace = Pace::default();
        assert_eq!(waits(&pace, 2000).await, 0, "nothing was sent yet");
        for time in [300, 400, 500] {
            pace.note(Duration::from_millis(time));
        }
        assert_eq!([waits(&pace, 2000).await, waits(&pace, 2000).await, waits(&pace, 450).await], [300, 400, 450]);
        for _ in 0..KEPT {
            pace.note(Duration::from_millis(100));
        }
        for _ in 0..2 * KEPT {
            assert_eq!(waits(&pace, 2000).await, 100, "the last ones count");
        }
        let begun = Instant::now();
        let deadline = Deadline::new(begun, Duration::from_secs(2));
        tokio::time::advance(Duration::from_millis(90)).await;
        pace.keep(&deadline).await;
        assert_eq!(begun.elapsed().as_millis(), 100, "what the hook took already is part of it");
    }
}
