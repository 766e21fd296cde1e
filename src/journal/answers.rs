//! What Okta was answered, for when it tells that it could make nothing of an answer.
//!
//! Must not know what was sent, nor to whom: a request's id and a time are enough.

use std::time::Duration;

use bytes::Bytes;

use super::{Inner, Journal};
use crate::otp::RequestId;
use crate::store::{Key, StoreFault};

/// How long an answer is remembered. Okta tells within minutes; its documentation promises nothing below an hour.
const TTL: Duration = Duration::from_secs(2 * 60 * 60);

/// One answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// From the first byte of the request to the answer.
    pub elapsed: Duration,
    /// Whether it left the code to Okta, which Okta counts as a failure too.
    pub leaves_to_okta: bool,
}

impl Journal {
    /// Remembers how a request of an org was answered, without delaying the answer.
    pub async fn answered(&self, org: &str, request: &RequestId, answer: Answer) {
        let inner = self.0.clone();
        let key = inner.answer(org, request);
        let word = if answer.leaves_to_okta { LEFT } else { OURS };
        let value = format!("{} {word}", answer.elapsed.as_millis());
        let (key, value) = ([key], Bytes::from(value));
        let write = async move { drop(inner.keep(|| inner.store.write(&key, value.clone(), TTL)).await) };
        self.aside(write).await;
    }

    /// How a request of an org was answered, if it ever came here.
    ///
    /// # Errors
    /// When the store does not tell: then it may have come.
    pub async fn answer_to(&self, org: &str, request: &RequestId) -> Result<Option<Answer>, StoreFault> {
        Ok(self.0.store.read(&self.0.answer(org, request)).await?.and_then(|value| Answer::read(&value)))
    }
}

impl Answer {
    fn read(value: &[u8]) -> Option<Self> {
        let (elapsed, word) = str::from_utf8(value).ok()?.split_once(' ')?;
        Some(Self { elapsed: Duration::from_millis(elapsed.parse().ok()?), leaves_to_okta: word == LEFT })
    }
}

/// The words as stored.
const LEFT: &str = "left";
const OURS: &str = "ours";

impl Inner {
    fn answer(&self, org: &str, request: &RequestId) -> Key {
        let of = [b"journal-answer".as_slice(), org.as_bytes(), request.as_str().as_bytes()];
        Key::new("journal-answer", self.pseudonyms.hash(&of))
    }
}
