//! What the rules count in: the state store, under keys that are keyed hashes, and one message as they see it.
//!
//! Must not know any limit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Rule;
use super::prefix::WIDE;
use crate::otp::{Message, Phone, UserId};
use crate::secret::{KeyedHash, Pseudonyms};
use crate::store::{Key, Store, StoreFault, Tally};

/// Ten minutes: the life of a code, twice.
pub(super) const TEN_MINUTES: Duration = Duration::from_secs(10 * 60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The store of one org, and how its keys are made.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) store: Arc<dyn Store>,
    /// Where known numbers stand.
    pub(super) numbers: Arc<dyn Store>,
    pub(super) pseudonyms: Pseudonyms,
    pub(super) org: Arc<str>,
}

/// One message before the guard.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) message: &'a Message,
    pub(super) phone_ref: &'a str,
    /// The hashes of what most rules count by, each made once: the kinds of their keys tell the rules apart.
    pub(super) number: KeyedHash,
    pub(super) user: Option<KeyedHash>,
    pub(super) address: Option<KeyedHash>,
    /// Of its number without the last four digits.
    pub(super) wide: KeyedHash,
    /// How well its number is known.
    pub(super) known: Known,
    /// Whether numbers beside its own are blocked, and it is not.
    pub(super) beside_block: bool,
    /// Rules it broke that are only observed.
    pub(super) observed: Vec<Rule>,
}

/// How well a number is known. Pumped numbers are always new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing is remembered of it.
    Never,
    /// First seen not long ago.
    Lately,
    /// First seen at this second since 1970, long ago; and whether it would soon be forgotten.
    Long { first: i64, is_fading: bool },
}

impl<'a> Case<'a> {
    pub(super) fn is_known(&self) -> bool {
        matches!(self.known, Known::Long { .. })
    }

    /// The number without its last digits.
    pub(super) fn prefix(&self, cut: usize) -> &'a str {
        beginning(&self.message.recipient, cut)
    }
}

/// The address a message was asked for from, where one tells people apart. Of IPv6 the network: a household has 2^64 of
/// them.
fn address(message: &Message) -> Option<[u8; 16]> {
    let ip = message.client_ip.map(|ip| ip.to_canonical())?;
    if ip.is_loopback() || ip.is_unspecified() {
        return None;
    }
    let bits = match ip {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6) >> 64 << 64,
    };
    Some(bits.to_be_bytes())
}

/// A number without its last digits. Every number has at least seven.
pub(super) fn beginning(phone: &Phone, cut: usize) -> &str {
    let digits = phone.expose_digits();
    &digits[..digits.len() - cut]
}

impl Ledger {
    /// A message that is to be judged.
    pub(super) fn case<'a>(&self, message: &'a Message, phone_ref: &'a str) -> Case<'a> {
        let number = self.phone(message.recipient.expose_digits());
        Case {
            message,
            phone_ref,
            number,
            user: message.user.as_ref().map(|user| self.user(user)),
            address: address(message).map(|address| self.hash("ip", &[&address])),
            wide: self.prefix(beginning(&message.recipient, WIDE)),
            known: Known::Never,
            beside_block: false,
            observed: Vec::new(),
        }
    }

    /// Adds to one counter or set, and says how far it has come.
    pub(super) async fn tally(&self, tally: Tally<'_>) -> Result<u64, StoreFault> {
        self.store.tally(&[tally]).await.map(|counts| counts.into_iter().sum())
    }

    /// The hash of something within this org.
    pub(super) fn hash(&self, what: &str, parts: &[&[u8]]) -> KeyedHash {
        let mut all: Vec<&[u8]> = vec![b"guard", what.as_bytes(), self.org.as_bytes()];
        all.extend_from_slice(parts);
        self.pseudonyms.hash(&all)
    }

    /// A number's hash, whatever the channel.
    pub(super) fn phone(&self, digits: &str) -> KeyedHash {
        self.hash("phone", &[digits.as_bytes()])
    }

    /// A user's hash.
    pub(super) fn user(&self, user: &UserId) -> KeyedHash {
        self.hash("user", &[user.expose().as_bytes()])
    }

    /// The hash of the beginning of a number.
    pub(super) fn prefix(&self, digits: &str) -> KeyedHash {
        self.hash("prefix", &[digits.as_bytes()])
    }

    pub(super) fn key(&self, kind: &'static str, what: &str, parts: &[&[u8]]) -> Key {
        Key::new(kind, self.hash(what, parts))
    }
}
