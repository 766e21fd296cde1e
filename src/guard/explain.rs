//! What the guard would look at, for a person to read.
//!
//! Must not count anything.

use std::time::Duration;

use super::settings::Mode;
use super::{Guard, Rule, Verdict};
use crate::otp::{Channel, Country, Message};
use crate::settings::show;

/// What the guard says to a message by where it goes, and what it would count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// By where it goes alone.
    pub verdict: Verdict,
    /// The rules that are not off.
    pub lines: Vec<Line>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its key under `guard`.
    pub rule: &'static str,
    /// How serious it is.
    pub mode: Mode,
    /// What it allows a message of this channel.
    pub allows: String,
}

impl Guard {
    /// Explains what is looked at for a message.
    pub fn explain(&self, message: &Message) -> Explanation {
        let broken = self.config.destinations.forbids(message);
        let enforced = broken.filter(|rule| self.config.mode(*rule) == Mode::Enforce);
        let lines = [
            ("countries", Rule::Country, self.destinations_allow(broken)),
            ("per_phone", Rule::Phone, self.phone_allows(message.channel)),
            ("per_user", Rule::User, self.user_allows(message.channel)),
            ("per_ip", Rule::Ip, self.address_allows(message.channel)),
            ("per_prefix", Rule::Prefix, self.prefix_allows()),
            ("provider_fraud", Rule::ProviderFraud, self.provider_allows()),
            ("per_country", Rule::Volume, self.volume_allows(message.channel)),
            ("spend", Rule::Spend, self.spend_allows(message)),
        ];
        let line = |(name, rule, allows): (&'static str, Rule, String)| {
            let mode = self.config.mode(rule);
            (mode != Mode::Off).then_some(Line { rule: name, mode, allows })
        };
        Explanation {
            verdict: enforced.map_or(Verdict::Allow, Rule::verdict),
            lines: lines.into_iter().filter_map(line).collect(),
        }
    }

    fn destinations_allow(&self, broken: Option<Rule>) -> String {
        let destinations = &self.config.destinations;
        let list = |word: &str, countries: &[Country]| {
            let codes: Vec<&str> = countries.iter().map(Country::as_str).collect();
            (!codes.is_empty()).then(|| format!("{word} {}", codes.join(" ")))
        };
        let lists = [
            list("only", &destinations.allow),
            list("not", &destinations.deny),
            list("enrolment only", &destinations.enrollment_allow),
        ];
        let lists = lists.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let lists = if lists.is_empty() { "every country".to_owned() } else { lists };
        broken.map_or(lists.clone(), |rule| format!("{lists}: breaks {}", rule.as_str()))
    }

    fn phone_allows(&self, channel: Channel) -> String {
        let share = |limit| self.config.share(limit, channel);
        let limits = self.config.per_phone;
        let (short, hour, day) = (share(limits.per_10_minutes), share(limits.per_hour), share(limits.per_day));
        format!("{short} in ten minutes, {hour} in an hour, {day} in a day")
    }

    fn user_allows(&self, channel: Channel) -> String {
        let share = |limit| self.config.share(limit, channel);
        let limits = self.config.per_user;
        let (short, day) = (share(limits.per_10_minutes), share(limits.per_day));
        format!("{short} in ten minutes, {day} in a day, {} numbers in a day", limits.phones_per_day)
    }

    fn address_allows(&self, channel: Channel) -> String {
        let limits = self.config.per_ip;
        let short = self.config.share(limits.per_10_minutes, channel);
        format!("{short} in ten minutes, {} numbers in an hour, both of new numbers", limits.phones_per_hour)
    }

    fn prefix_allows(&self) -> String {
        let limits = self.config.per_prefix;
        let (numbers, run) = (limits.numbers - 1, limits.run - 1);
        format!("{numbers} new numbers in ten minutes, {run} in a row; block {}", hours(limits.block))
    }

    fn provider_allows(&self) -> String {
        format!("no number beside one refused as fraud; block {}", hours(self.config.provider_fraud.block))
    }

    fn volume_allows(&self, channel: Channel) -> String {
        let limits = self.config.per_country;
        let floor = self.config.share(limits.floor, channel);
        format!("{floor} in an hour, or {} times the usual", limits.factor)
    }

    fn spend_allows(&self, message: &Message) -> String {
        let prices = &self.config.spend;
        let cap = |name: &str, micros: Option<u64>| micros.map(|micros| format!("{} in {name}", dollars(micros)));
        let caps = [cap("an hour", prices.per_hour), cap("a day", prices.per_day)];
        let caps = caps.into_iter().flatten().collect::<Vec<_>>().join(", ");
        format!("{caps}; this message {}", dollars(prices.of(message)))
    }
}

fn hours(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds.is_multiple_of(3600) { format!("{} h", seconds / 3600) } else { show(duration) }
}

fn dollars(micros: u64) -> String {
    let cents_of_cents = micros / 100;
    format!("${}.{:04}", cents_of_cents / 10_000, cents_of_cents % 10_000)
}
