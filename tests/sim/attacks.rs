//! Six attacks, one a day in the second week, each as its authors would write it.

use std::time::Duration;

use okta_telephony_hook::otp::Channel;

use crate::chance::Chance;
use crate::world::Event;

/// An attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Two thousand numbers of one prefix in ten minutes, fifty addresses.
    OnePrefix,
    /// Two thousand numbers of four hundred prefixes in an hour, five hundred addresses.
    SpreadPrefixes,
    /// A thousand users of whom each has one number enrolled: the same.
    OnePhone,
    /// International revenue share: calls to two hundred dear numbers in two hours.
    Calls,
    /// Three thousand numbers all over one country in six hours, each address twice.
    ManyAddresses,
    /// A thousand numbers of a prefix that one provider takes for fraud after twenty, and another would take.
    AroundProvider,
}

impl Attack {
    pub const ALL: [Self; 6] =
        [Self::OnePrefix, Self::SpreadPrefixes, Self::OnePhone, Self::Calls, Self::ManyAddresses, Self::AroundProvider];

    pub const fn name(self) -> &'static str {
        match self {
            Self::OnePrefix => "one prefix",
            Self::SpreadPrefixes => "spread prefixes",
            Self::OnePhone => "one phone",
            Self::Calls => "calls",
            Self::ManyAddresses => "many addresses",
            Self::AroundProvider => "around provider",
        }
    }

    /// After how many messages a provider's own fraud guard wakes up.
    pub const fn provider_patience(self) -> u64 {
        match self {
            Self::AroundProvider => 20,
            Self::OnePrefix | Self::SpreadPrefixes | Self::OnePhone | Self::Calls | Self::ManyAddresses => u64::MAX,
        }
    }

    /// How many messages, over how many seconds.
    const fn size(self) -> (u64, u64) {
        match self {
            Self::OnePrefix => (2000, 600),
            Self::SpreadPrefixes => (2000, 3600),
            Self::OnePhone => (1000, 3600),
            Self::Calls => (600, 7200),
            Self::ManyAddresses => (3000, 6 * 3600),
            Self::AroundProvider => (1000, 3600),
        }
    }

    fn number(self, n: u64, chance: &mut Chance) -> String {
        match self {
            // Azerbaijan, in no order.
            Self::OnePrefix => format!("+99450123{:04}", n * 1237 % 10_000),
            // Uzbekistan: five of each prefix, far apart in time.
            Self::SpreadPrefixes => format!("+99890{:03}{:04}", n % 400, chance.below(10_000)),
            Self::OnePhone => "+447911123456".to_owned(),
            // The Maldives.
            Self::Calls => format!("+96079{:02}{:03}", n % 20, n % 200 * 4 + 100),
            // Indonesia, where some people live.
            Self::ManyAddresses => format!("+62813{:08}", chance.below(100_000_000)),
            // Nigeria.
            Self::AroundProvider => format!("+234803123{:04}", n * 1237 % 10_000),
        }
    }

    fn address(self, n: u64) -> String {
        let addresses = match self {
            Self::OnePrefix | Self::AroundProvider => 50,
            Self::SpreadPrefixes | Self::OnePhone | Self::Calls => 500,
            Self::ManyAddresses => 1500,
        };
        let n = n % addresses;
        format!("192.{}.{}.{}", 100 + self as u64, n / 250, n % 250)
    }

    pub fn events(self, chance: &mut Chance) -> Vec<Event> {
        let (messages, seconds) = self.size();
        // From Monday on, at two in the afternoon.
        let begin = ((7 + self as u64) * 24 + 14) * 3600;
        let event = |n: u64| Event {
            at: Duration::from_secs(begin) + Duration::from_millis(n * seconds * 1000 / messages),
            number: self.number(n, chance),
            user: format!("00x{}x{n}", self as u64),
            address: self.address(n),
            channel: if self == Self::Calls { Channel::Voice } else { Channel::Sms },
            enrols: true,
            attack: Some(self),
        };
        (0..messages).map(event).collect()
    }
}
