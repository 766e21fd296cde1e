//! Time: the instant an answer is due, and the wall clock that dates of messages are compared with.
//!
//! Must not know what has to be done by then. Waiting goes by the monotonic clock alone; a wall clock that jumps
//! moves no deadline.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

/// The instant an answer is due, counted from the first byte of the request.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    due: Instant,
    /// What `due` was before anybody shortened it.
    whole: Instant,
}

impl Deadline {
    /// Starts a budget at the instant the first byte arrived.
    pub fn new(started: Instant, budget: Duration) -> Self {
        let due = started + budget;
        Self { started, due, whole: due }
    }

    /// Leaves less time: `budget` from the first byte, never more than before.
    pub fn shorten(&mut self, budget: Duration) {
        self.due = self.due.min(self.started + budget);
    }

    /// Gives back what `shorten` took; true if it had taken any.
    pub fn restore(&mut self) -> bool {
        std::mem::replace(&mut self.due, self.whole) != self.whole
    }

    /// The instant itself.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// What is left; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Time since the first byte.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for `work` until the deadline; `None` when it passes first. `work` is dropped then.
    pub async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.due, work).await.ok()
    }
}

/// The wall clock, passed in so that tests can hold it still.
#[derive(Clone, Copy)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// The machine's clock.
    pub const SYSTEM: Self = Self(Timestamp::now);

    /// A clock of one's own, for tests.
    pub fn new(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// How long ago a moment was; zero when it lies ahead, as it may by another machine's clock.
    pub fn since(&self, moment: Timestamp) -> Duration {
        Duration::try_from(self.now().duration_since(moment)).unwrap_or_default()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
