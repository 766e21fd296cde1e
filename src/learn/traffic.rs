//! One org's hooks by the time of day, to notice that none come any more.
//!
//! Must not know what a hook asks for.

use std::time::Duration;

use super::window::{Moment, Window};

/// So long without a hook may mean something.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// It does when at least so many came in the same hour of the day before.
const MIN_HOOKS: u32 = 20;

/// The hour is that up to now, so it is counted in shorter pieces.
const PIECE: Duration = Duration::from_secs(5 * 60);
const PIECES_OF_AN_HOUR: u32 = 12;
const PIECES_OF_A_DAY: u32 = 24 * PIECES_OF_AN_HOUR;

/// A day, the hour before it, and a little.
const SLOTS: usize = 26 * PIECES_OF_AN_HOUR as usize;

/// When the org's hooks came.
#[derive(Debug)]
pub(super) struct Traffic {
    hooks: Window<1, SLOTS>,
    last: Option<Last>,
    silent: bool,
}

/// The last hook.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Moment,
    /// Seconds since 1970, for people.
    second: i64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { hooks: Window::new(), last: None, silent: false }
    }

    /// A hook has come; true when they had stopped. `second` is the wall clock's, since 1970.
    pub(super) fn hook(&mut self, at: Moment, second: i64) -> bool {
        self.hooks.add(at.slot(PIECE), 0);
        self.last = Some(Last { at, second });
        std::mem::take(&mut self.silent)
    }

    /// Looks whether hooks have stopped coming; when that is new, tells how many came in the same hour of the day
    /// before.
    pub(super) fn look(&mut self, now: Moment) -> Option<u32> {
        let last = self.last?;
        if self.silent || now.since(last.at) < SILENCE {
            return None;
        }
        let end = now.slot(PIECE).saturating_sub(PIECES_OF_A_DAY);
        let [hooks] = self.hooks.sum(&(end.saturating_sub(PIECES_OF_AN_HOUR)..=end.saturating_sub(1)));
        self.silent = hooks >= MIN_HOOKS;
        self.silent.then_some(hooks)
    }

    /// Whether hooks have stopped coming.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// When the last hook came, in seconds since 1970.
    pub(super) fn last_second(&self) -> Option<i64> {
        self.last.map(|last| last.second)
    }
}
