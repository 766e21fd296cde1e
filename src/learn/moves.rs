//! Who is put last on which route, and what the log was told of it.
//!
//! Must not judge anybody: it is told who falls behind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::Way;
use super::window::Moment;

/// Whoever is put last still comes first for one message of so many, so that it goes on being measured.
const SHARE: u32 = 50;

/// A share near the line goes to and fro: the log hears of it this often at most.
const QUIET: Duration = Duration::from_secs(5 * 60);

/// Routes, providers and countries. Beyond it the log may hear something twice.
const MOST: usize = 1024;

/// What is known of the moves of one org.
#[derive(Debug, Default)]
pub(super) struct Moves(HashMap<(Arc<str>, Way), Move>);

#[derive(Debug)]
struct Move {
    /// What the log was told last: that it falls behind, or that it does not any more.
    behind: bool,
    told: Moment,
    /// Messages it would have come before others for.
    messages: u32,
}

/// What is to be done for one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether the provider is put last: not for the share that measures it.
    pub(super) moves: bool,
    /// Whether the log should hear of it.
    pub(super) tells: bool,
}

impl Moves {
    /// Whether there is anybody to be told of.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A provider falls behind on a route.
    pub(super) fn behind(&mut self, route: &Arc<str>, way: &Way, now: Moment) -> Step {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let key = (Arc::clone(route), way.clone());
        let known = self.0.entry(key);
        let is_new = matches!(known, Entry::Vacant(_));
        let known = known.or_insert(Move { behind: true, told: now, messages: 0 });
        let tells = is_new || (!known.behind && now.since(known.told) >= QUIET);
        if tells {
            (known.behind, known.told) = (true, now);
        }
        known.messages = known.messages.wrapping_add(1);
        Step { moves: !known.messages.is_multiple_of(SHARE), tells }
    }

    /// A provider keeps up on a route; true when the log should hear that it does so again.
    pub(super) fn keeps_up(&mut self, route: &Arc<str>, way: &Way, now: Moment) -> bool {
        let key = (Arc::clone(route), way.clone());
        let Some(known) = self.0.get_mut(&key) else { return false };
        if now.since(known.told) < QUIET {
            return false;
        }
        if known.behind {
            (known.behind, known.told) = (false, now);
            return true;
        }
        self.0.remove(&key);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::{Channel, ProviderName};

    #[test]
    fn the_log_hears_of_each_change_once_and_not_of_every_turn() {
        let route: Arc<str> = "default".into();
        let way = Way { provider: ProviderName::new("a"), country: None, channel: Channel::Sms };
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        let mut moves = Moves::default();
        assert!(!moves.keeps_up(&route, &way, at(0)), "it always has");
        let told = |moves: &mut Moves, second| moves.behind(&route, &way, at(second)).tells;
        assert_eq!([0, 1, 2].map(|second| told(&mut moves, second)), [true, false, false]);
        assert!(!moves.keeps_up(&route, &way, at(10)), "a moment ago it did not");
        assert!(!told(&mut moves, 299) && moves.keeps_up(&route, &way, at(300)));
        assert!(!moves.keeps_up(&route, &way, at(301)) && !told(&mut moves, 599) && told(&mut moves, 600));
        assert!(moves.keeps_up(&route, &way, at(900)) && !moves.keeps_up(&route, &way, at(1200)));
        assert!(moves.is_empty(), "and then it is forgotten");
    }
}
