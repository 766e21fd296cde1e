//! How many messages one number, one user and one address get in a while; and which numbers are known.
//!
//! Must not decide what follows.

use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Case, DAY, HOUR, Known, TEN_MINUTES};
use super::settings::Mode;
use super::{Found, Guard, Rule, Verdict};
use crate::otp::Channel;
use crate::secret::KeyedHash;
use crate::store::{Key, StoreFault};

/// A number is remembered for a month after it was last renewed: most people sign in once a week at least.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// It is renewed this long after it was written: with every message would be many writes for nothing.
const RENEWAL_SECONDS: i64 = 10 * 24 * 60 * 60;

/// A number is known a day after its first message: a fraud that takes a day per number is none.
const ACQUAINTANCE_SECONDS: i64 = 24 * 60 * 60;

/// The kind of the keys under which it is remembered since when a number is known.
const KNOWN: &str = "guard-known";

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
            (Self::TenMinutes, Channel::Sms) => ("guard-10m-sms", TEN_MINUTES),
            (Self::TenMinutes, Channel::Voice) => ("guard-10m-voice", TEN_MINUTES),
            (Self::Hour, Channel::Sms) => ("guard-1h-sms", HOUR),
            (Self::Hour, Channel::Voice) => ("guard-1h-voice", HOUR),
            (Self::Day, Channel::Sms) => ("guard-1d-sms", DAY),
            (Self::Day, Channel::Voice) => ("guard-1d-voice", DAY),
        }
    }
}

impl Guard {
    /// Messages to the number.
    pub(super) async fn phone(&self, case: &Case<'_>, window: Window) -> Found {
        let limits = self.config.per_phone;
        let limit = match window {
            Window::TenMinutes => limits.per_10_minutes,
            Window::Hour => limits.per_hour,
            Window::Day => limits.per_day,
        };
        if limits.mode == Mode::Off {
            return Ok(None);
        }
        self.within(case, window, case.number, limit).await.map(|fits| (!fits).then_some(Rule::Phone))
    }

    /// Messages for the user.
    pub(super) async fn user(&self, case: &Case<'_>, window: Window) -> Found {
        let limits = self.config.per_user;
        let limit = match window {
            Window::TenMinutes => limits.per_10_minutes,
            Window::Hour | Window::Day => limits.per_day,
        };
        let Some(user) = case.user.filter(|_| limits.mode != Mode::Off) else { return Ok(None) };
        self.within(case, window, user, limit).await.map(|fits| (!fits).then_some(Rule::User))
    }

    /// Different numbers of the user, over both channels.
    pub(super) async fn numbers_of_user(&self, case: &Case<'_>) -> Found {
        let limits = self.config.per_user;
        let Some(user) = case.user.filter(|_| limits.mode != Mode::Off) else { return Ok(None) };
        let numbers = self.numbers(case, &Key::new("guard-user-phones", user), DAY).await?;
        Ok((numbers > limits.phones_per_day).then_some(Rule::User))
    }

    /// Messages to new numbers asked for from the address.
    pub(super) async fn address(&self, case: &Case<'_>) -> Found {
        let limits = self.config.per_ip;
        let Some(address) = self.counted_address(case) else { return Ok(None) };
        let fits = self.within(case, Window::TenMinutes, address, limits.per_10_minutes).await?;
        Ok((!fits).then_some(Rule::Ip))
    }

    /// Different new numbers asked for from the address, over both channels.
    pub(super) async fn numbers_of_address(&self, case: &Case<'_>) -> Found {
        let Some(address) = self.counted_address(case) else { return Ok(None) };
        let numbers = self.numbers(case, &Key::new("guard-ip-phones", address), HOUR).await?;
        Ok((numbers > self.config.per_ip.phones_per_hour).then_some(Rule::Ip))
    }

    fn counted_address(&self, case: &Case<'_>) -> Option<KeyedHash> {
        case.address.filter(|_| self.config.per_ip.mode != Mode::Off && !case.is_known())
    }

    async fn within(&self, case: &Case<'_>, window: Window, of: KeyedHash, limit: u64) -> Result<bool, StoreFault> {
        let (kind, length) = window.parts(case.message.channel);
        let count = self.ledger.store.count(&Key::new(kind, of), 1, length).await?;
        // Whoever has been called for days prefers calls; what pays by the call is new.
        let limit = if case.is_known() { limit } else { self.config.share(limit, case.message.channel) };
        Ok(count <= limit)
    }

    async fn numbers(&self, case: &Case<'_>, key: &Key, length: Duration) -> Result<u64, StoreFault> {
        self.ledger.store.distinct(key, &[&case.member], length).await
    }

    /// How well the number is known, if a rule asks.
    pub(super) async fn acquaintance(&self, case: &Case<'_>) -> Result<Known, StoreFault> {
        if !self.config.asks_for_acquaintance() {
            return Ok(Known::Never);
        }
        let stored = self.ledger.store.read(&Key::new(KNOWN, case.number)).await?;
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
    pub(super) async fn remember(&self, case: &Case<'_>) -> Found {
        // Limits say nothing of a number: an office that is over one is made of people.
        let is_suspect = case.observed.iter().any(|rule| matches!(rule.verdict(), Verdict::Block { .. }));
        if !self.config.asks_for_acquaintance() || is_suspect {
            return Ok(None);
        }
        let first = match case.known {
            Known::Never => self.seconds(),
            Known::Long { first, is_fading: true } => first,
            Known::Lately | Known::Long { is_fading: false, .. } => return Ok(None),
        };
        self.write_known(case, first).await?;
        Ok(None)
    }

    /// Takes a number for one that is new, however long it was known.
    pub(super) async fn forget(&self, case: &Case<'_>) -> Result<(), StoreFault> {
        self.write_known(case, self.seconds()).await
    }

    async fn write_known(&self, case: &Case<'_>, first: i64) -> Result<(), StoreFault> {
        let value = Bytes::from(format!("{first} {}", self.seconds()));
        self.ledger.store.write(&Key::new(KNOWN, case.number), value, MEMORY).await
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.clock.now().as_second()
    }
}
