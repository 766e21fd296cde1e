//! The last hooks, for whoever asks what happened: what their log lines say, kept in memory.
//!
//! Must not hold what a log line must not, nor grow: records and the texts in them are counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use crate::locks::lock;
use crate::otp::{Channel, Country, EventId, RequestType, Verdict};

/// Hooks of callers who were recognised. A page shows as many without being long.
const MAX_HOOKS: usize = 100;

/// Hooks of those who were not. They have a list of their own: anybody can call, and must not push out what Okta did.
const MAX_UNAUTHENTICATED: usize = 20;

/// Bytes of one text. Ours are shorter; names of providers and rules of faults might not be.
const MAX_BYTES: usize = 256;

/// As much of an event id as is ever shown, in bytes.
const MAX_ID_BYTES: usize = 64;

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With an outcome.
    Outcome(Verdict),
    /// By a panic of ours, before anything was sent.
    Broken,
    /// Its code had run out.
    Expired,
    /// There was no place for it.
    Overloaded,
    /// It was answered before.
    Repeat,
    /// It was answered before, and Okta may not have heard it.
    RepeatUnheard,
    /// Its body did not come in time.
    SlowBody,
    /// Its body was too large.
    TooLarge,
    /// Its caller was not recognised.
    Unauthorized,
    /// That is not known yet.
    Unknown,
    /// It could not be read.
    Unreadable,
}

impl Ending {
    /// The verdict in logs, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outcome(verdict) => verdict.as_str(),
            Self::Broken => "broken",
            Self::Expired => "expired",
            Self::Overloaded => "overloaded",
            Self::Repeat => "repeat",
            Self::RepeatUnheard => "repeat_unheard",
            Self::SlowBody => "slow_body",
            Self::TooLarge => "too_large",
            Self::Unauthorized => "unauthorized",
            Self::Unknown => "unknown",
            Self::Unreadable => "bad_request",
        }
    }
}

/// What is told of one hook when it has been answered: names from the configuration, words from fixed sets, a keyed hash
/// of the number, Okta's event id.
#[derive(Debug, Clone)]
pub struct HookRecord {
    /// When it was answered.
    pub at: Timestamp,
    /// From the first byte of the request to the answer.
    pub elapsed: Duration,
    /// Key of the org in the configuration.
    pub org: Arc<str>,
    /// Verdict of the outcome, or why there is none.
    pub ending: Ending,
    /// Whether the caller was not recognised.
    pub unauthenticated: bool,
    /// How the message was to travel, when the request was read that far; so with the next ones.
    pub channel: Option<Channel>,
    /// Country of the number.
    pub country: Option<Country>,
    /// Okta's id of the event.
    pub event_id: Option<EventId>,
    /// Why Okta asked.
    pub request_type: Option<RequestType>,
    /// Whether it was a preview.
    pub preview: bool,
    /// Keyed hash of the number; empty without one.
    pub phone_ref: String,
    /// The route that was taken, or the rule that forbade one.
    pub route: Option<Arc<str>>,
    /// Who decided the verdict.
    pub provider: Option<String>,
    /// The provider's id of the accepted message.
    pub transaction_id: Option<String>,
    /// Every attempt, with its end and its time.
    pub attempts: Vec<String>,
    /// Providers of the plan that were not asked, each with the reason.
    pub skipped: Vec<String>,
    /// By what a repeat was known.
    pub repeat: Option<&'static str>,
    /// Who was asked for this person a moment ago.
    pub resend: Option<String>,
    /// What could not be read, what was wrong with an access token, or that we broke.
    pub fault: Option<String>,
}

impl HookRecord {
    /// Of one hook of an org, of which nothing is known yet.
    pub fn new(org: &Arc<str>) -> Self {
        Self {
            at: Timestamp::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            org: Arc::clone(org),
            ending: Ending::Unknown,
            unauthenticated: false,
            channel: None,
            country: None,
            event_id: None,
            request_type: None,
            preview: false,
            phone_ref: String::new(),
            route: None,
            provider: None,
            transaction_id: None,
            attempts: Vec::new(),
            skipped: Vec::new(),
            repeat: None,
            resend: None,
            fault: None,
        }
    }

    /// Cuts what is too long to be kept. Hardly anything ever is, so hardly anything is written anew.
    fn cut(&mut self) {
        if let Some(id) = self.event_id.take_if(|id| id.as_str().len() > MAX_ID_BYTES) {
            self.event_id = EventId::parse(&id.to_string());
        }
        let lists = self.attempts.iter_mut().chain(&mut self.skipped);
        let single = [&mut self.provider, &mut self.transaction_id, &mut self.resend, &mut self.fault];
        for text in lists.chain(single.into_iter().flatten()).filter(|text| text.len() > MAX_BYTES) {
            let whole = (0..=MAX_BYTES).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(whole.unwrap_or_default());
            text.shrink_to_fit();
        }
    }
}

/// The last hooks. Cheap to clone: clones share them.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Rings>);

#[derive(Debug, Default)]
struct Rings {
    hooks: Mutex<Ring>,
    unauthenticated: Mutex<Ring>,
}

/// The oldest first.
type Ring = VecDeque<Arc<HookRecord>>;

impl Recent {
    /// Remembers one, and forgets the oldest.
    pub fn note(&self, mut told: HookRecord) {
        told.cut();
        let (ring, most) = match told.unauthenticated {
            false => (&self.0.hooks, MAX_HOOKS),
            true => (&self.0.unauthenticated, MAX_UNAUTHENTICATED),
        };
        let told = Arc::new(told);
        let mut ring = lock(ring);
        let oldest = if ring.len() < most { None } else { ring.pop_front() };
        ring.push_back(told);
        // What is forgotten is freed when nobody waits for the lock any more.
        drop(ring);
        drop(oldest);
    }

    /// All that are remembered, the newest first.
    pub fn list(&self) -> Vec<Arc<HookRecord>> {
        let mut all: Vec<Arc<HookRecord>> = lock(&self.0.hooks).iter().rev().cloned().collect();
        all.extend(lock(&self.0.unauthenticated).iter().rev().cloned());
        all.sort_by_key(|told| std::cmp::Reverse(told.at));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(second: i64) -> HookRecord {
        HookRecord { at: Timestamp::from_second(second).expect("in range"), ..HookRecord::new(&"main".into()) }
    }

    #[test]
    fn the_newest_hundred_are_kept_and_unauthenticated_ones_push_none_of_them_out() {
        let recent = Recent::default();
        for second in 0..10_000 {
            recent.note(told(second));
            recent.note(HookRecord { unauthenticated: true, ..told(second) });
        }
        let all = recent.clone().list();
        let seconds = |unauthenticated: bool| {
            let of = |told: &&Arc<HookRecord>| told.unauthenticated == unauthenticated;
            all.iter().filter(of).map(|told| told.at.as_second()).collect::<Vec<_>>()
        };
        assert_eq!(seconds(false), (9_900..10_000).rev().collect::<Vec<_>>());
        assert_eq!(seconds(true), (9_980..10_000).rev().collect::<Vec<_>>());
        assert!(all.is_sorted_by_key(|told| std::cmp::Reverse(told.at)), "one list");
    }

    #[test]
    fn what_comes_from_outside_is_cut_to_what_is_shown() {
        let recent = Recent::default();
        let id = EventId::parse(&format!("{}\u{202e}{}", "e".repeat(60), "e".repeat(60_000))).expect("not empty");
        let long = "é".repeat(300);
        recent.note(HookRecord {
            event_id: Some(id.clone()),
            fault: Some(long.clone()),
            attempts: vec![long.clone(), "a accepted 1ms".to_owned()],
            ..told(1)
        });
        let kept = &recent.list()[0];
        let kept_id = kept.event_id.as_ref().expect("kept");
        assert_eq!((kept_id.to_string(), kept_id.as_str().len()), (id.to_string(), 64));
        assert_eq!(kept.fault.as_deref(), Some(&*"é".repeat(128)));
        assert_eq!(kept.attempts, ["é".repeat(128), "a accepted 1ms".to_owned()]);
    }
}
