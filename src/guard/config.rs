//! `[orgs.*.guard]`, checked.
//!
//! Must not count anything.

use std::collections::BTreeMap;
use std::time::Duration;

use super::destination::Destinations;
use super::settings::{Mode, PerCountry, PerIp, PerPhone, PerPrefix, PerUser, ProviderFraud, Settings, Spend};
use super::{Decision, Rule, Verdict};
use crate::otp::{Channel, Country, Message};
use crate::settings::{Findings, List};

/// A block that lasts longer outlives the incident and whoever remembers it.
const MAX_BLOCK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// `[orgs.*.guard]`, checked. No mode in it is above the overall one.
#[derive(Debug, Clone)]
pub struct Config {
    modes: Modes,
    pub(super) destinations: Destinations,
    pub(super) per_phone: PerPhone,
    pub(super) per_user: PerUser,
    pub(super) per_ip: PerIp,
    pub(super) per_prefix: PerPrefix,
    pub(super) per_country: PerCountry,
    pub(super) provider_fraud: ProviderFraud,
    pub(super) spend: Prices,
    pub(super) voice_share: u64,
}

/// How serious each rule is, but those that have their mode in what they were made to.
#[derive(Debug, Clone, Copy)]
struct Modes {
    per_phone: Mode,
    per_user: Mode,
    per_ip: Mode,
    per_prefix: Mode,
    per_country: Mode,
    provider_fraud: Mode,
}

/// What messages cost and how much they may, in millionths of a dollar.
#[derive(Debug, Clone)]
pub(super) struct Prices {
    pub(super) mode: Mode,
    sms: u64,
    sms_by_country: BTreeMap<Country, u64>,
    voice: u64,
    voice_by_country: BTreeMap<Country, u64>,
    pub(super) per_hour: Option<u64>,
    pub(super) per_day: Option<u64>,
    pub(super) never_stop: Vec<Country>,
}

impl Prices {
    /// What a message costs.
    pub(super) fn of(&self, message: &Message) -> u64 {
        let (general, by_country) = match message.channel {
            Channel::Sms => (self.sms, &self.sms_by_country),
            Channel::Voice => (self.voice, &self.voice_by_country),
        };
        message.recipient.country().and_then(|country| by_country.get(&country)).copied().unwrap_or(general)
    }
}

impl Config {
    /// How serious a rule is.
    pub(super) fn mode(&self, rule: Rule) -> Mode {
        match rule {
            Rule::Country | Rule::Range => self.destinations.mode,
            Rule::Phone => self.modes.per_phone,
            Rule::User => self.modes.per_user,
            Rule::Ip => self.modes.per_ip,
            Rule::Prefix | Rule::Sequence => self.modes.per_prefix,
            Rule::Volume => self.modes.per_country,
            Rule::ProviderFraud => self.modes.provider_fraud,
            Rule::Spend => self.spend.mode,
        }
    }

    /// What can be decided: rule and decision, as they are counted.
    pub fn decisions(&self) -> Vec<(&'static str, &'static str)> {
        let decision = |rule: Rule| match (self.mode(rule), rule.verdict()) {
            (Mode::Off, _) => None,
            (Mode::Observe, _) => Some((rule.as_str(), Decision::Observed)),
            (Mode::Enforce, Verdict::Block { .. }) => Some((rule.as_str(), Decision::Blocked)),
            (Mode::Enforce, Verdict::Refuse { .. } | Verdict::Allow) => Some((rule.as_str(), Decision::Refused)),
        };
        let mut decisions: Vec<_> = Rule::ALL.into_iter().filter_map(decision).collect();
        if !self.is_off() {
            decisions.push(("store", Decision::AllowedFailOpen));
        }
        if self.mode(Rule::Spend) != Mode::Off {
            decisions.push((Rule::Spend.as_str(), Decision::Warned));
        }
        decisions.into_iter().map(|(rule, decision)| (rule, decision.as_str())).collect()
    }

    /// Whether nothing at all is looked at.
    pub(super) fn is_off(&self) -> bool {
        Rule::ALL.into_iter().all(|rule| self.mode(rule) == Mode::Off)
    }

    /// Whether it matters how well a number is known.
    pub(super) fn asks_for_acquaintance(&self) -> bool {
        [Rule::Phone, Rule::User, Rule::Ip, Rule::Prefix, Rule::ProviderFraud]
            .into_iter()
            .any(|rule| self.mode(rule) != Mode::Off)
    }

    /// A limit of texts as it stands for a channel.
    pub(super) fn share(&self, limit: u64, channel: Channel) -> u64 {
        match channel {
            Channel::Sms => limit,
            Channel::Voice => limit.div_ceil(self.voice_share),
        }
    }
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Config {
        self.check_limits(at, findings);
        // Limits that people do not come near are enforced by default. What tells people from fraud by their number being
        // new, or by what is usual, is observed until an operator has seen what it would have done.
        let enforced = |own| self.mode_of(own, Mode::Enforce);
        let observed = |own| self.mode_of(own, Mode::Observe);
        let countries = enforced(self.countries.mode);
        Config {
            modes: Modes {
                per_phone: enforced(self.per_phone.mode),
                per_user: enforced(self.per_user.mode),
                per_ip: observed(self.per_ip.mode),
                per_prefix: observed(self.per_prefix.mode),
                per_country: observed(self.per_country.mode),
                provider_fraud: enforced(self.provider_fraud.mode),
            },
            destinations: self.countries.check(countries, &format!("{at}.countries"), findings),
            per_phone: self.per_phone,
            per_user: self.per_user,
            per_ip: self.per_ip,
            per_prefix: self.per_prefix,
            per_country: self.per_country,
            provider_fraud: self.provider_fraud,
            spend: self.spend.check(enforced(self.spend.mode), &format!("{at}.spend"), findings),
            voice_share: self.voice_share.max(1),
        }
    }

    /// The mode of a rule that has this one of its own, or none and this default.
    fn mode_of(&self, own: Option<Mode>, default: Mode) -> Mode {
        match self.mode {
            Some(overall) => own.map_or(overall, |own| own.min(overall)),
            None => own.unwrap_or(default),
        }
    }

    fn check_limits(&self, at: &str, findings: &mut Findings) {
        let (phone, user, ip) = (self.per_phone, self.per_user, self.per_ip);
        for (key, limit, least) in [
            ("voice_share", self.voice_share, 1),
            ("per_phone.per_10_minutes", phone.per_10_minutes, 1),
            ("per_phone.per_hour", phone.per_hour, 1),
            ("per_phone.per_day", phone.per_day, 1),
            ("per_user.per_10_minutes", user.per_10_minutes, 1),
            ("per_user.per_day", user.per_day, 1),
            ("per_user.phones_per_day", user.phones_per_day, 1),
            ("per_ip.per_10_minutes", ip.per_10_minutes, 1),
            ("per_ip.phones_per_hour", ip.phones_per_hour, 1),
            // Two neighbours are a couple with one contract.
            ("per_prefix.numbers", self.per_prefix.numbers, 3),
            ("per_prefix.run", self.per_prefix.run, 3),
            ("per_country.floor", self.per_country.floor, 1),
            ("per_country.factor", self.per_country.factor, 1),
        ] {
            if limit < least {
                findings.fault(format!("{at}.{key}"), format!("must be at least {least}"));
            }
        }
        if phone.per_10_minutes > phone.per_hour || phone.per_hour > phone.per_day {
            findings.warn(format!("{at}.per_phone"), "has a limit that a shorter time already allows more than");
        }
        let minute = Duration::from_secs(60);
        let prefix = self.per_prefix;
        findings.within(format!("{at}.per_prefix.block"), prefix.block, minute, MAX_BLOCK);
        findings.within(format!("{at}.per_prefix.max_block"), prefix.max_block, prefix.block, MAX_BLOCK);
        findings.within(format!("{at}.provider_fraud.block"), self.provider_fraud.block, minute, MAX_BLOCK);
    }
}

impl Spend {
    fn check(&self, mode: Mode, at: &str, findings: &mut Findings) -> Prices {
        let mut table = |key: &str, prices: &BTreeMap<String, u64>| {
            let mut checked = BTreeMap::new();
            for (country, price) in prices {
                checked.extend(known(country, &format!("{at}.{key}"), findings).map(|country| (country, *price)));
            }
            checked
        };
        let sms_by_country = table("sms_micros_by_country", &self.sms_micros_by_country);
        let voice_by_country = table("voice_micros_by_country", &self.voice_micros_by_country);
        for (key, cap) in [("per_hour_micros", self.per_hour_micros), ("per_day_micros", self.per_day_micros)] {
            if cap == Some(0) {
                findings.fault(format!("{at}.{key}"), "must be above zero; a switch stops everything");
            }
        }
        let is_capped = self.per_hour_micros.is_some() || self.per_day_micros.is_some();
        Prices {
            mode: if is_capped { mode } else { Mode::Off },
            sms: self.sms_micros,
            sms_by_country,
            voice: self.voice_micros,
            voice_by_country,
            per_hour: self.per_hour_micros,
            per_day: self.per_day_micros,
            never_stop: countries(&self.never_stop, &format!("{at}.never_stop"), findings),
        }
    }
}

/// Reads a list of countries.
pub(super) fn countries(list: &List, at: &str, findings: &mut Findings) -> Vec<Country> {
    list.0.iter().filter_map(|code| known(code, at, findings)).collect()
}

fn known(code: &str, at: &str, findings: &mut Findings) -> Option<Country> {
    let country = Country::with_numbers(code);
    if country.is_none() {
        findings.fault(at, "must hold two-letter country codes such as GB");
    }
    country
}
