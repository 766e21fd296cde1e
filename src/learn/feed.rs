//! One org's event feed: which of its codes were used, and whether the feed is alive.
//!
//! Must not know what an event says. A feed that has died must not look like codes that nobody uses: what is judged is
//! what was sent well before the last event.

use std::time::Duration;

use super::Way;
use super::cells::Cells;
use super::judge::Tally;
use super::window::Moment;
use super::{MINUTE, WINDOW_MINUTES};
use crate::otp::ProviderName;

/// A code is used within its life, which Okta makes five minutes by default.
const LIFE_MINUTES: u32 = 5;

/// After so long without an event nothing more is counted; when events come again, counting begins anew.
const FREEZE: Duration = Duration::from_secs(15 * 60);

/// After so long without an event what was learnt from it is too old to be told.
const SILENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// Fewer codes than this may all go unused.
const MIN_CODES: u32 = 20;

/// The window before the last event, and what is counted after it until it is known to have been the last.
const SLOTS: usize = WINDOW_MINUTES as usize + FREEZE.as_secs() as usize / 60 + 1;

/// Providers and countries of one org; about 600 bytes each.
const MAX_CELLS: usize = 1024;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Awaited,
    Used,
}

/// The event feed of one org.
#[derive(Debug)]
pub(super) struct Feed {
    cells: Cells<2, SLOTS>,
    /// Where counting began.
    since: Moment,
    last: Option<Moment>,
    /// Codes sent since the last event.
    unheard: u32,
    silent: bool,
}

impl Feed {
    /// A feed that nothing has come from yet.
    pub(super) fn new(now: Moment) -> Self {
        Self { cells: Cells::new(MAX_CELLS), since: now, last: None, unheard: 0, silent: false }
    }

    /// Something has come; true when the feed had been silent.
    pub(super) fn heard(&mut self, now: Moment) -> bool {
        if self.last.is_none_or(|last| now.since(last) > FREEZE) {
            // The use of what was sent in between may never be heard of.
            self.cells.clear();
            self.since = now;
        }
        (self.last, self.unheard) = (Some(now), 0);
        std::mem::take(&mut self.silent)
    }

    /// A code was sent whose use will be heard of.
    pub(super) fn awaits(&mut self, way: &Way, now: Moment) {
        let Some(last) = self.last else { return };
        self.unheard = self.unheard.saturating_add(1);
        if now.since(last) <= FREEZE {
            self.cells.add(way, now.slot(MINUTE), Kind::Awaited as usize);
        }
    }

    /// A code was used that was sent at `sent`.
    pub(super) fn used(&mut self, way: &Way, sent: Moment) {
        if sent >= self.since {
            self.cells.add(way, sent.slot(MINUTE), Kind::Used as usize);
        }
    }

    /// How many of a way's codes were used, of those that were old enough when the last event came.
    pub(super) fn tally(&self, way: &Way, now: Moment) -> Tally {
        let Some(last) = self.last.filter(|last| now.since(*last) < SILENCE) else { return Tally::default() };
        let minute = last.slot(MINUTE);
        let [awaited, used] = self.cells.sum(way, &(minute + 1 - WINDOW_MINUTES..=minute - LIFE_MINUTES - 1));
        Tally::new(used, awaited)
    }

    /// Looks whether the feed has fallen silent; true when that is new. Forgets what can no longer be judged.
    pub(super) fn look(&mut self, now: Moment) -> bool {
        let Some(last) = self.last else { return false };
        if now.since(last) < SILENCE {
            self.cells.drop_idle_since(last.slot(MINUTE) + 1 - WINDOW_MINUTES);
            return false;
        }
        self.cells.clear();
        self.unheard >= MIN_CODES && !std::mem::replace(&mut self.silent, true)
    }

    /// Whether codes are sent and nothing is heard of them.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Forgets the ways of some providers.
    pub(super) fn forget(&mut self, gone: impl Fn(&ProviderName) -> bool) {
        self.cells.forget(gone);
    }
}
