//! Switches an operator sets at run time: drain or disable a provider, disable a country, a channel or everything.
//!
//! Must not know how they are set. Effective with the next message; gone with the process, as a configuration that
//! nobody reads in a file must not outlive an incident.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use crate::locks;
use crate::otp::{Channel, Country, Message, ProviderName};

/// What a switch acts upon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "lowercase")]
pub enum Target {
    /// Every message.
    Everything,
    /// Messages over one channel.
    Channel(#[serde(serialize_with = "as_text")] Channel),
    /// Messages to one country.
    Country(#[serde(serialize_with = "as_text")] Country),
    /// One provider.
    Provider(#[serde(serialize_with = "as_text")] ProviderName),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Channel(channel) => write!(f, "channel {channel}"),
            Self::Country(country) => write!(f, "country {country}"),
            Self::Provider(provider) => write!(f, "provider {provider}"),
        }
    }
}

fn as_text<T: ToString, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// How a switch is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    /// A provider is asked only for a message of which no other can be asked: nothing fails over to it.
    Drained,
    /// Nothing is sent.
    Disabled,
}

impl Setting {
    /// The word in requests, pages and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Disabled => "disabled",
        }
    }
}

/// All switches. Cheap to clone: clones share them.
#[derive(Debug, Clone, Default)]
pub struct Switches {
    any: Arc<AtomicBool>,
    set: Arc<RwLock<BTreeMap<Target, Setting>>>,
}

impl Switches {
    /// Sets a switch; false when it was set so already.
    pub fn set(&self, target: Target, setting: Setting) -> bool {
        let mut set = locks::write(&self.set);
        let before = set.insert(target, setting);
        self.any.store(true, Ordering::Release);
        before != Some(setting)
    }

    /// Clears a switch; false when it was not set.
    pub fn clear(&self, target: &Target) -> bool {
        let mut set = locks::write(&self.set);
        let was_set = set.remove(target).is_some();
        self.any.store(!set.is_empty(), Ordering::Release);
        was_set
    }

    /// Every switch that is set.
    pub fn list(&self) -> Vec<(Target, Setting)> {
        let set = locks::read(&self.set);
        set.iter().map(|(target, setting)| (target.clone(), *setting)).collect()
    }

    /// The switch that forbids a message, if one does.
    pub fn forbids(&self, message: &Message) -> Option<Target> {
        let country = message.recipient.country();
        let countries = [country, country.and_then(Country::mainland)].into_iter().flatten().map(Target::Country);
        let targets = [Target::Everything, Target::Channel(message.channel)];
        targets.into_iter().chain(countries).find(|target| self.of(target).is_some())
    }

    /// How a provider's switch is set.
    pub(super) fn of_provider(&self, name: &ProviderName) -> Option<Setting> {
        self.of(&Target::Provider(name.clone()))
    }

    fn of(&self, target: &Target) -> Option<Setting> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        locks::read(&self.set).get(target).copied()
    }
}
