//! `[orgs.*.guard]`: what is limited, and how strictly, as typed.
//!
//! Must not count anything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::settings::{List, duration, optional_word};

/// How serious a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Neither counted nor looked at.
    Off,
    /// Counted and told, never acted upon.
    Observe,
    /// Acted upon.
    Enforce,
}

impl Mode {
    /// The word used in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// `[orgs.*.guard]`, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The mode of every rule that has none of its own, and the most that any may do. Without one each rule has its own or
    /// its default.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Where messages may go.
    pub countries: Countries,
    /// Messages to one number.
    pub per_phone: PerPhone,
    /// Messages for one user.
    pub per_user: PerUser,
    /// Messages asked for from one address.
    pub per_ip: PerIp,
    /// New numbers side by side.
    pub per_prefix: PerPrefix,
    /// Messages to one country.
    pub per_country: PerCountry,
    /// What a provider's own fraud guard refused.
    pub provider_fraud: ProviderFraud,
    /// What messages cost.
    pub spend: Spend,
    /// Calls to new numbers have one part in so many of the limits of texts, rounded up.
    pub voice_share: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: None,
            countries: Countries::default(),
            per_phone: PerPhone::default(),
            per_user: PerUser::default(),
            per_ip: PerIp::default(),
            per_prefix: PerPrefix::default(),
            per_country: PerCountry::default(),
            provider_fraud: ProviderFraud::default(),
            spend: Spend::default(),
            // A call costs several times a text, is asked for less, and is what revenue share fraud is after.
            voice_share: 4,
        }
    }
}

/// `countries`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Countries {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// The only countries, as ISO 3166 alpha-2 codes; none: all.
    pub allow: List,
    /// Countries that get nothing.
    pub deny: List,
    /// The only countries in which a number may be enrolled; none: as `allow`.
    pub enrollment_allow: List,
    /// Beginnings of numbers that get nothing, beside the ranges that never do.
    pub deny_prefixes: List,
    /// Beginnings of numbers that are an exception to shorter denied ones; not to `allow` and `deny`.
    pub allow_prefixes: List,
}

/// `per_phone`. A person who mistypes asks again two or three times; nobody signs in 15 times a day by text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerPhone {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Messages in ten minutes.
    pub per_10_minutes: u64,
    /// Messages in an hour.
    pub per_hour: u64,
    /// Messages in a day.
    pub per_day: u64,
}

impl Default for PerPhone {
    fn default() -> Self {
        Self { mode: None, per_10_minutes: 5, per_hour: 10, per_day: 15 }
    }
}

/// `per_user`. Okta's id is known before the number is: a stolen session cannot text a whole country.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerUser {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Messages in ten minutes.
    pub per_10_minutes: u64,
    /// Messages in a day.
    pub per_day: u64,
    /// Different numbers in a day.
    pub phones_per_day: u64,
}

impl Default for PerUser {
    fn default() -> Self {
        Self { mode: None, per_10_minutes: 5, per_day: 20, phones_per_day: 3 }
    }
}

/// `per_ip`. Counts new numbers alone: an office behind one address signs in by the hundred, with numbers long known.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerIp {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Messages to new numbers in ten minutes.
    pub per_10_minutes: u64,
    /// Different new numbers in an hour.
    pub phones_per_hour: u64,
}

impl Default for PerIp {
    fn default() -> Self {
        Self { mode: None, per_10_minutes: 10, phones_per_hour: 5 }
    }
}

/// `per_prefix`. Whoever is paid by the message holds numbers side by side.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerPrefix {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Different new numbers in ten minutes that have all but the last four, or three, digits in common.
    pub numbers: u64,
    /// Consecutive new numbers in ten minutes.
    pub run: u64,
    /// How long the first block lasts; the next within two days twice as long, and so on.
    #[serde(deserialize_with = "duration")]
    pub block: Duration,
    /// How long a block lasts at most.
    #[serde(deserialize_with = "duration")]
    pub max_block: Duration,
}

impl Default for PerPrefix {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        Self { mode: None, numbers: 5, run: 4, block: hours(1), max_block: hours(12) }
    }
}

/// `per_country`. In an hour so many messages as usual at this hour, times `factor`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerCountry {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// Messages in an hour that are always fine.
    pub floor: u64,
    /// Times the average of the same hour of the last seven days.
    pub factor: u64,
}

impl Default for PerCountry {
    fn default() -> Self {
        Self { mode: None, floor: 20, factor: 3 }
    }
}

/// `provider_fraud`. What one provider's fraud guard refuses is not tried at another.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderFraud {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// How long numbers that have all but the last four digits in common are blocked.
    #[serde(deserialize_with = "duration")]
    pub block: Duration,
}

impl Default for ProviderFraud {
    fn default() -> Self {
        // As long as Twilio's Fraud Guard blocks a prefix.
        Self { mode: None, block: Duration::from_secs(12 * 60 * 60) }
    }
}

/// `spend`, in millionths of a dollar. Without a cap it is off.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spend {
    /// How serious it is, if not as `guard.mode` or its default says.
    #[serde(deserialize_with = "optional_word")]
    pub mode: Option<Mode>,
    /// A text to a country without a price of its own.
    pub sms_micros: u64,
    /// A text, by country.
    pub sms_micros_by_country: BTreeMap<String, u64>,
    /// A call to a country without a price of its own.
    pub voice_micros: u64,
    /// A call, by country.
    pub voice_micros_by_country: BTreeMap<String, u64>,
    /// Cap for an hour.
    pub per_hour_micros: Option<u64>,
    /// Cap for a day.
    pub per_day_micros: Option<u64>,
    /// Countries that get their messages beyond a cap too.
    pub never_stop: List,
}

impl Default for Spend {
    fn default() -> Self {
        Self {
            mode: None,
            // Guesses on the careful side: a price that is too high stops early, one that is too low stops late.
            sms_micros: 100_000,
            sms_micros_by_country: BTreeMap::new(),
            voice_micros: 200_000,
            voice_micros_by_country: BTreeMap::new(),
            per_hour_micros: None,
            per_day_micros: None,
            never_stop: List::default(),
        }
    }
}
