//! What comes of attempts after Okta was answered: noted in the journal, behind the outcome that Okta heard.
//!
//! Must not decide what an entry holds, nor hold up an answer.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Shared;
use crate::dispatch::Afterwards;
use crate::journal::Journal;
use crate::otp::{Attempt, Message};

/// Notes the late acceptances of one message.
#[derive(Debug)]
pub(super) struct Late {
    org: Arc<str>,
    journal: Journal,
    since: Timestamp,
    noted: CancellationToken,
}

impl Late {
    /// For a message that is about to be sent. The guard goes to whoever notes its outcome: nothing is noted before it
    /// is dropped, which a panic does too.
    pub(super) fn new(org: &Arc<str>, shared: &Shared) -> (Self, DropGuard) {
        let noted = CancellationToken::new();
        let guard = noted.clone().drop_guard();
        let (org, journal, since) = (Arc::clone(org), shared.journal.clone(), shared.clock.now());
        (Self { org, journal, since, noted }, guard)
    }
}

#[async_trait]
impl Afterwards for Late {
    async fn ended(&self, message: &Message, attempt: &Attempt) {
        if attempt.result.is_ok() {
            self.noted.cancelled().await;
            self.journal.note_late(&self.org, message, attempt, self.since).await;
        }
    }
}
