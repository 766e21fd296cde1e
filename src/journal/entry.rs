//! One entry of the journal, and how it is written.
//!
//! Must not hold a number, a user or a code: what stands for them is a keyed hash.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::learn::{Sent, Way};
use crate::otp::{Channel, Country, Delivery, FailureKind, ProviderName, TransactionId};
use crate::store::Key;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key of the org in the configuration.
    pub org: String,
    /// Who was asked: whoever took it, else whoever explains why nobody did.
    pub provider: ProviderName,
    /// How it travelled.
    pub channel: Channel,
    /// The country of the number; `None` for ranges of no country, and in entries of earlier versions.
    pub country: Option<Country>,
    /// The provider's id, when it took the message.
    pub transaction_id: Option<TransactionId>,
    /// Why not; `None` when the provider took it.
    pub failure: Option<FailureKind>,
    /// How far the message has come since, by the provider's reports.
    pub delivery: Option<Delivery>,
    /// When Okta was answered; when it asked, if the message was taken later than that.
    pub sent_at: Timestamp,
    /// The keyed hash of the event.
    pub event: Option<String>,
    /// Whether its use is awaited: a provider took it in time, for a user who is known, and it was no resend.
    pub awaited: bool,
    /// Where the last send to the same recipient stands; `None` in entries of earlier versions.
    pub(super) to: Option<Key>,
}

/// The entry as it is stored: what a later version adds, an earlier one does not mind.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    org: Cow<'a, str>,
    #[serde(borrow)]
    provider: Cow<'a, str>,
    channel: Channel,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    country: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    transaction_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    delivery: Option<Cow<'a, str>>,
    sent_at: Timestamp,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    event: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
}

/// An entry rarely needs more: written at once.
const ROOM: usize = 512;

/// The word for what is no failure, as in metrics.
const ACCEPTED: &str = "accepted";

impl Entry {
    /// The message that it is about, for whoever learns from what became of it.
    pub fn sent(&self) -> Sent {
        let way = Way { provider: self.provider.clone(), country: self.country, channel: self.channel };
        Sent { way, at: self.sent_at, awaited: self.awaited }
    }

    pub(super) fn written(&self) -> Bytes {
        let written = Written {
            org: self.org.as_str().into(),
            provider: self.provider.as_str().into(),
            channel: self.channel,
            country: self.country.as_ref().map(|country| country.as_str().into()),
            transaction_id: self.transaction_id.as_ref().map(|id| id.as_str().into()),
            kind: self.failure.map_or(ACCEPTED, FailureKind::as_str).into(),
            delivery: self.delivery.map(|delivery| delivery.as_str().into()),
            sent_at: self.sent_at,
            event: self.event.as_deref().map(Cow::Borrowed),
            awaited: self.awaited,
            to: self.to.as_ref().map(|key| key.to_string()),
        };
        let mut bytes = Vec::with_capacity(ROOM);
        // Texts and a date only, and memory: serde_json has nothing to refuse.
        drop(serde_json::to_writer(&mut bytes, &written));
        bytes.into()
    }

    /// Reads an entry; one that cannot be read is as none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            org: written.org.into_owned(),
            provider: ProviderName::new(&written.provider),
            channel: written.channel,
            country: written.country.as_deref().and_then(Country::parse),
            transaction_id: written.transaction_id.as_deref().and_then(TransactionId::parse),
            failure: match &*written.kind {
                ACCEPTED => None,
                kind => Some(FailureKind::parse(kind)?),
            },
            delivery: written.delivery.as_deref().and_then(Delivery::parse),
            sent_at: written.sent_at,
            event: written.event.map(Cow::into_owned),
            awaited: written.awaited,
            to: written.to.as_deref().and_then(Key::parse),
        })
    }
}
