//! How many messages one number, one user and one address get in a while; and which numbers are known.
//!
//! Must not decide what follows.

use std::slice;
use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Case, DAY, HOUR, Known, TEN_MINUTES};
use super::settings::Mode;
use super::{Guard, Rule, Verdict, kinds};
use crate::otp::Channel;
use crate::secret::KeyedHash;
use crate::store::{Add, Key, StoreFault, Tally};

/// A number is remembered for a month after it was last renewed: most people sign in once a week at least.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// It is renewed this long after it was written: with every message would be many writes for nothing.
const RENEWAL_SECONDS: i64 = 10 * 24 * 60 * 60;

/// A number is known a day after its first message: a fraud that takes a day per number is none.
const ACQUAINTANCE_SECONDS: i64 = 24 * 60 * 60;

/// Which of the windows of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    TenMinutes,
    Hour,
    Day,
}

impl Window {
    /// The kind of its keys, and how long it is. Texts and calls are counted apart.
    const fn parts(self, channel: Channel) -> (&'static str, Duration) {
        match (self, channel) {
            (Self::TenMinutes, Channel::Sms) => (kinds::SMS_10M, TEN_MINUTES),
            (Self::TenMinutes, Channel::Voice) => (kinds::VOICE_10M, TEN_MINUTES),
            (Self::Hour, Channel::Sms) => (kinds::SMS_1H, HOUR),
            (Self::Hour, Channel::Voice) => (kinds::VOICE_1H, HOUR),
            (Self::Day, Channel::Sms) => (kinds::SMS_1D, DAY),
            (Self::Day, Channel::Voice) => (kinds::VOICE_1D, DAY),
        }
    }
}

/// What is counted for one message, and the rule that is broken beyond `most`.
#[derive(Debug)]
pub(super) struct Limit<'a> {
    pub(super) rule: Rule,
    pub(super) tally: Tally<'a>,
    pub(super) most: u64,
}

impl Guard {
    /// Counts all at once, and says which rules are broken.
    pub(super) async fn count<const N: usize>(&self, limits: [Option<Limit<'_>>; N]) -> Result<Vec<Rule>, StoreFault> {
        let (mut tallies, mut rules) = (Vec::with_capacity(N), Vec::with_capacity(N));
        for limit in limits.into_iter().flatten() {
            tallies.push(limit.tally);
            rules.push((limit.rule, limit.most));
        }
        if tallies.is_empty() {
            return Ok(Vec::new());
        }
        let counts = self.ledger.store.tally(&tallies).await?;
        Ok(rules.into_iter().zip(counts).filter(|((_, most), count)| count > most).map(|((rule, _), _)| rule).collect())
    }

    /// Messages to the number.
    pub(super) fn phone(&self, case: &Case<'_>, window: Window) -> Option<Limit<'static>> {
        let limits = self.config.per_phone;
        let most = match window {
            Window::TenMinutes => limits.per_10_minutes,
            Window::Hour => limits.per_hour,
            Window::Day => limits.per_day,
        };
        (self.config.mode(Rule::Phone) != Mode::Off)
            .then(|| self.messages(case, Rule::Phone, window, case.number, most))
    }

    /// Messages for the user.
    pub(super) fn user(&self, case: &Case<'_>, window: Window) -> Option<Limit<'static>> {
        let limits = self.config.per_user;
        let most = match window {
            Window::TenMinutes => limits.per_10_minutes,
            Window::Hour | Window::Day => limits.per_day,
        };
        Some(self.messages(case, Rule::User, window, self.counted_user(case)?, most))
    }

    /// Different numbers of the user, over both channels.
    pub(super) fn numbers_of_user<'a>(&self, case: &'a Case<'_>) -> Option<Limit<'a>> {
        let key = Key::new(kinds::USER_PHONES, self.counted_user(case)?);
        Some(Limit { rule: Rule::User, tally: numbers(case, key, DAY), most: self.config.per_user.phones_per_day })
    }

    /// Messages to new numbers asked for from the address.
    pub(super) fn address(&self, case: &Case<'_>) -> Option<Limit<'static>> {
        let most = self.config.per_ip.per_10_minutes;
        Some(self.messages(case, Rule::Ip, Window::TenMinutes, self.counted_address(case)?, most))
    }

    /// Different new numbers asked for from the address, over both channels.
    pub(super) fn numbers_of_address<'a>(&self, case: &'a Case<'_>) -> Option<Limit<'a>> {
        let key = Key::new(kinds::IP_PHONES, self.counted_address(case)?);
        Some(Limit { rule: Rule::Ip, tally: numbers(case, key, HOUR), most: self.config.per_ip.phones_per_hour })
    }

    fn counted_user(&self, case: &Case<'_>) -> Option<KeyedHash> {
        case.user.filter(|_| self.config.mode(Rule::User) != Mode::Off)
    }

    fn counted_address(&self, case: &Case<'_>) -> Option<KeyedHash> {
        case.address.filter(|_| self.config.mode(Rule::Ip) != Mode::Off && !case.is_known())
    }

    fn messages(&self, case: &Case<'_>, rule: Rule, window: Window, of: KeyedHash, most: u64) -> Limit<'static> {
        let (kind, ttl) = window.parts(case.message.channel);
        // Whoever has been called for days prefers calls; what pays by the call is new.
        let most = if case.is_known() { most } else { self.config.share(most, case.message.channel) };
        Limit { rule, tally: Tally { key: Key::new(kind, of), add: Add::Count(1), ttl }, most }
    }

    /// How well the number is known, if a rule asks.
    pub(super) async fn acquaintance(&self, case: &Case<'_>) -> Result<Known, StoreFault> {
        if !self.config.asks_for_acquaintance() {
            return Ok(Known::Never);
        }
        let stored = self.ledger.numbers.read(&Key::new(kinds::KNOWN, case.number)).await?;
        let written = stored.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()?.split_once(' '));
        let seconds = |text: &str| text.parse::<i64>().ok();
        let seconds = written.and_then(|(first, renewed)| Some((seconds(first)?, seconds(renewed)?)));
        let now = self.seconds();
        Ok(match seconds {
            None => Known::Never,
            Some((first, _)) if now - first < ACQUAINTANCE_SECONDS => Known::Lately,
            Some((first, renewed)) => Known::Long { first, is_fading: now - renewed >= RENEWAL_SECONDS },
        })
    }

    /// Remembers a number unless it looks like fraud; one that is known already, before it fades.
    pub(super) async fn remember(&self, case: &Case<'_>) -> Result<(), StoreFault> {
        // Limits say nothing of a number: an office that is over one is made of people.
        let is_suspect = case.observed.iter().any(|rule| matches!(rule.verdict(), Verdict::Block { .. }));
        if !self.config.asks_for_acquaintance() || is_suspect {
            return Ok(());
        }
        let first = match case.known {
            Known::Never => self.seconds(),
            Known::Long { first, is_fading: true } => first,
            Known::Lately | Known::Long { is_fading: false, .. } => return Ok(()),
        };
        self.write_known(case, first).await
    }

    /// Takes a number for one that is new, however long it was known.
    pub(super) async fn forget(&self, case: &Case<'_>) -> Result<(), StoreFault> {
        self.write_known(case, self.seconds()).await
    }

    async fn write_known(&self, case: &Case<'_>, first: i64) -> Result<(), StoreFault> {
        let value = Bytes::from(format!("{first} {}", self.seconds()));
        self.ledger.numbers.write(&[Key::new(kinds::KNOWN, case.number)], value, MEMORY).await
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.clock.now().as_second()
    }
}

/// How many different numbers there are under a key, with this one.
pub(super) fn numbers<'a>(case: &'a Case<'_>, key: Key, ttl: Duration) -> Tally<'a> {
    Tally { key, add: Add::Members(slice::from_ref(&case.number)), ttl }
}
