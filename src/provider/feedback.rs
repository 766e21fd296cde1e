//! What some providers want to hear after the fact: what became of a code that they delivered.
//!
//! Must not know how that became known, nor whether a call that failed is made again. One exchange each, which sends
//! nobody a message.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::eight_by_eight;
use super::twilio::verify;
use crate::otp::{Channel, FailureKind, Phone, SendError, TransactionId};

/// Nobody waits for these calls, but a shutdown waits for their tasks: as long as for an attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its person gave it back.
    Used,
    /// A newer code has taken its place, or its time has run out.
    Unused,
}

impl Fate {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Used, Self::Unused];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unused => "unused",
        }
    }
}

/// What a provider is told.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// The provider's own id of the message.
    pub id: &'a TransactionId,
    /// How the message travelled: some providers want to hear of texts alone.
    pub channel: Channel,
    /// What became of its code.
    pub fate: Fate,
    /// When, if that is known: the call may be made much later.
    pub at: Option<Timestamp>,
}

/// A provider that wants to hear it. Cheap to clone.
#[derive(Debug, Clone)]
pub enum FeedbackClient {
    /// 8x8, of texts that it tracks.
    EightByEight(eight_by_eight::Feedback),
    /// Twilio Verify, of everything.
    Verify(verify::Feedback),
}

impl FeedbackClient {
    /// Tells what became of a code; false when this provider does not want to hear of that channel, and nothing was
    /// asked. A message that the provider no longer knows is as good as told. Waits up to 10 s.
    ///
    /// # Errors
    /// When it could not be told; `FailureKind::is_transient` says whether it is worth another try.
    pub async fn tell(&self, news: News<'_>) -> Result<bool, SendError> {
        match (self, news.channel) {
            (Self::EightByEight(eight), Channel::Sms) => {
                told(eight.tell(news.id, news.fate, news.at)).await.map(|()| true)
            }
            (Self::EightByEight(_), Channel::Voice) => Ok(false),
            (Self::Verify(verify), Channel::Sms | Channel::Voice) => {
                told(verify.tell(news.id, news.fate)).await.map(|()| true)
            }
        }
    }

    /// Tells that a code sent to this number was used, when nothing else of it is known; false when this provider knows
    /// messages by their ids alone, and nothing was asked.
    ///
    /// # Errors
    /// As `tell`.
    pub async fn approve_number(&self, number: &Phone) -> Result<bool, SendError> {
        match self {
            Self::EightByEight(_) => Ok(false),
            Self::Verify(verify) => told(verify.approve_number(number)).await.map(|()| true),
        }
    }
}

async fn told(call: impl Future<Output = Result<(), SendError>>) -> Result<(), SendError> {
    timeout(TIMEOUT, call).await.unwrap_or_else(|_| Err(SendError::new(FailureKind::Unconfirmed, "timeout")))
}
