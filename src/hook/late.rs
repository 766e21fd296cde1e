//! What comes of attempts after Okta was answered: noted in the journal, behind the outcome that Okta heard.
//!
//! Must not decide what an entry holds, nor hold up an answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::aftermath::{end_of, until_told};
use super::{Config, Shared};
use crate::agenda::Agenda;
use crate::deadline::Clock;
use crate::dispatch::Afterwards;
use crate::journal::Journal;
use crate::otp::{Attempt, Message, ProviderName};

/// Notes the late acceptances of one message.
#[derive(Debug)]
pub(super) struct Late {
    org: Arc<str>,
    journal: Journal,
    agenda: Agenda,
    /// Who hears of the end of a code; nobody where nobody would tell of uses.
    wants_feedback: Option<Arc<BTreeSet<ProviderName>>>,
    clock: Clock,
    since: Timestamp,
    noted: CancellationToken,
}

impl Late {
    /// For a message that is about to be sent. The guard goes to whoever notes its outcome: nothing is noted before it
    /// is dropped, which a panic does too.
    pub(super) fn new(config: &Config, shared: &Shared) -> (Self, DropGuard) {
        let noted = CancellationToken::new();
        let until_noted = noted.clone().drop_guard();
        let late = Self {
            org: Arc::clone(&config.name),
            journal: shared.journal.clone(),
            agenda: shared.agenda.clone(),
            wants_feedback: config.event_hook.as_ref().map(|_| Arc::clone(&shared.wants_feedback)),
            clock: shared.clock,
            since: shared.clock.now(),
            noted,
        };
        (late, until_noted)
    }
}

#[async_trait]
impl Afterwards for Late {
    async fn ended(&self, message: &Message, attempt: &Attempt) {
        let Some(item) = end_of(message, attempt, self.since) else { return };
        self.noted.cancelled().await;
        let is_noted = self.journal.note_late(&self.org, message, attempt, self.since).await;
        let is_awaited = is_noted && message.user.is_some();
        if is_awaited && self.wants_feedback.as_ref().is_some_and(|names| names.contains(&attempt.provider)) {
            self.agenda.note([item], until_told(message, self.clock.now())).await;
        }
    }
}
