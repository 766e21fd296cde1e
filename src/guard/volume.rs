//! How much goes to one country, compared with other weeks, and what everything costs.
//!
//! Must not decide what follows.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Case, DAY, HOUR};
use super::settings::Mode;
use super::{Decision, Found, Guard, Rule, kinds};
use crate::locks::lock;
use crate::otp::{Channel, Country};
use crate::store::{Add, Key, StoreFault, Tally};

/// Days that an hour is compared with: a week has each kind of day once.
const DAYS: i64 = 7;

/// Kept until the last comparison is made.
const HISTORY: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// How long it is known since when there is history.
const SINCE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Looking at a counter that is not there makes one; it soon leaves again.
const LOOK: Duration = Duration::from_secs(60);

const HOURS_A_DAY: i64 = 24;

/// The caps of the running hour, by country and channel: they need eight counters to find and change once an hour.
#[derive(Debug, Default)]
pub(super) struct Caps(Mutex<HashMap<(Country, Channel), Cap>>);

#[derive(Debug, Clone)]
struct Cap {
    hour: i64,
    /// Where the hour's messages are counted.
    key: Key,
    /// `None` while there is no whole week to compare with.
    most: Option<u64>,
    is_reached: bool,
}

/// What may be spent in a window.
#[derive(Debug)]
struct SpendCap {
    window: &'static str,
    length: Duration,
    most: u64,
    /// Where it is counted what is.
    key: Key,
}

impl SpendCap {
    /// Four fifths: somebody should know before it is all.
    const fn most_of_it(&self) -> u64 {
        self.most / 5 * 4
    }
}

impl Guard {
    /// Messages to the country in this hour. What is over the cap is not counted: an attack must not become the usual.
    pub(super) async fn volume(&self, case: &Case<'_>) -> Found {
        let country = case.message.recipient.country().filter(|_| self.config.mode(Rule::Volume) != Mode::Off);
        let Some(country) = country else { return Ok(None) };
        let (channel, hour) = (case.message.channel, self.seconds() / 3600);
        let known = lock(&self.caps.0).get(&(country, channel)).cloned().filter(|cap| cap.hour == hour);
        let mut cap = match known {
            Some(cap) => cap,
            None => {
                let key = self.hour_key(country, channel, hour);
                Cap { hour, key, most: self.cap(country, channel, hour).await?, is_reached: false }
            }
        };
        if !cap.is_reached {
            let count = self.ledger.tally(Tally { key: cap.key.clone(), add: Add::Count(1), ttl: HISTORY }).await?;
            cap.is_reached = cap.most.is_some_and(|most| count > most);
        }
        let is_reached = cap.is_reached;
        lock(&self.caps.0).insert((country, channel), cap);
        // Numbers long known go on: they are the people who would pay for somebody else's attack.
        Ok((is_reached && !case.is_known()).then_some(Rule::Volume))
    }

    /// The cap of an hour; `None` while there is no whole week to compare with.
    async fn cap(&self, country: Country, channel: Channel, hour: i64) -> Result<Option<u64>, StoreFault> {
        let since = self.ledger.key(kinds::SINCE, "since", &[]);
        let first = self.ledger.store.read(&since).await?;
        let Some(first) = first.and_then(|b| std::str::from_utf8(&b).ok()?.parse::<i64>().ok()) else {
            self.ledger.store.write(&[since], Bytes::from(hour.to_string()), SINCE).await?;
            return Ok(None);
        };
        if hour - first < DAYS * HOURS_A_DAY {
            return Ok(None);
        }
        let past = (1..=DAYS).map(|days| {
            let key = self.hour_key(country, channel, hour - days * HOURS_A_DAY);
            Tally { key, add: Add::Count(0), ttl: LOOK }
        });
        let total: u64 = self.ledger.store.tally(&past.collect::<Vec<_>>()).await?.into_iter().sum();
        let limits = self.config.per_country;
        let usual = (total.saturating_mul(limits.factor)).div_ceil(DAYS.unsigned_abs());
        Ok(Some(usual.max(self.config.share(limits.floor, channel))))
    }

    fn hour_key(&self, country: Country, channel: Channel, hour: i64) -> Key {
        let parts = [country.as_str().as_bytes(), channel.as_str().as_bytes(), &hour.to_be_bytes()];
        self.ledger.key(kinds::COUNTRY, "country", &parts)
    }

    /// What is spent. Only what goes on is charged: both windows are looked at first, so that neither counts what the other
    /// refuses, and a message that is too dear costs the cheaper ones behind it nothing.
    pub(super) async fn spend(&self, case: &Case<'_>) -> Found {
        let prices = &self.config.spend;
        let caps = self.spend_caps();
        if prices.mode == Mode::Off {
            return Ok(None);
        }
        let price = prices.of(case.message);
        let is_exempt = case.message.recipient.country().is_some_and(|country| prices.never_stop.contains(&country));
        if prices.mode == Mode::Enforce && !is_exempt {
            let spent = self.add_to_spend(&caps, 0).await?;
            let mut passed =
                caps.iter().zip(spent).filter(|(cap, spent)| spent.saturating_add(price) > cap.most).peekable();
            if passed.peek().is_some() {
                // Where much is left in the window, it is the message that is dear.
                passed
                    .filter(|(cap, spent)| *spent >= cap.most_of_it())
                    .for_each(|(cap, _)| self.tell_reached(cap, false));
                return Ok(Some(Rule::Spend));
            }
        }
        let totals = self.add_to_spend(&caps, price).await?;
        for (cap, total) in caps.iter().zip(&totals) {
            self.watch_spend(cap, total - price.min(*total), *total);
        }
        // Of many that looked at once, those are refused whose charge goes beyond.
        Ok((!is_exempt && caps.iter().zip(totals).any(|(cap, total)| total > cap.most)).then_some(Rule::Spend))
    }

    /// Adds to what was spent in every window at once.
    async fn add_to_spend(&self, caps: &[SpendCap], price: u64) -> Result<Vec<u64>, StoreFault> {
        let tally = |cap: &SpendCap| Tally { key: cap.key.clone(), add: Add::Count(price), ttl: cap.length };
        self.ledger.store.tally(&caps.iter().map(tally).collect::<Vec<_>>()).await
    }

    fn spend_caps(&self) -> Vec<SpendCap> {
        let prices = &self.config.spend;
        let windows = [("hour", HOUR, kinds::SPEND_1H, prices.per_hour), ("day", DAY, kinds::SPEND_1D, prices.per_day)];
        let cap = |(window, length, kind, most): (_, _, _, Option<u64>)| {
            Some(SpendCap { window, length, most: most?, key: self.ledger.key(kind, "spend", &[]) })
        };
        windows.into_iter().filter_map(cap).collect()
    }

    /// Tells of the two marks a message has taken what was spent beyond.
    fn watch_spend(&self, cap: &SpendCap, before: u64, total: u64) {
        let passes = |mark: u64| before < mark && total >= mark;
        if passes(cap.most) {
            self.tell_reached(cap, true);
        } else if passes(cap.most_of_it()) {
            let (window, cap) = (cap.window, cap.most);
            tracing::warn!(org = %self.ledger.org, window, cap, "four fifths of the spend cap are reached");
            self.note(Rule::Spend, Decision::Warned);
        }
    }

    /// Tells that a cap is reached: at the mark, and once in a while by what is refused because it would go beyond.
    fn tell_reached(&self, cap: &SpendCap, is_news: bool) {
        if self.reached.is_due(cap.window) || is_news {
            tracing::error!(org = %self.ledger.org, window = cap.window, cap = cap.most, "the spend cap is reached");
            self.note(Rule::Spend, Decision::Warned);
        }
    }
}
