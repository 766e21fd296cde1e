//! What is noted when a hook has been answered, so that what is heard later can be held against it.
//!
//! Must not change the answer, nor delay it by more than memory takes.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::DropGuard;

use super::Hook;
use crate::agenda::Item;
use crate::journal::{Answer, Previous};
use crate::okta::Reply;
use crate::otp::{Attempt, Message, Outcome, RequestId};

/// Okta tells of a use within seconds; only then does a code count as not used.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// What is to be done when the code of a message that was taken is over; `None` when it was not taken.
pub(super) fn end_of(message: &Message, attempt: &Attempt, sent_at: Timestamp) -> Option<Item> {
    let accepted = attempt.result.as_ref().ok()?;
    Some(Item::Over {
        provider: attempt.provider.to_string(),
        transaction_id: accepted.transaction_id.as_str().to_owned(),
        channel: message.channel,
        since: sent_at,
    })
}

/// After how long a code that was not used counts as over.
pub(super) fn until_told(message: &Message, now: Timestamp) -> Duration {
    message.life_left(now).unwrap_or(Message::USUAL_LIFE) + TOLD_WITHIN
}

impl Hook {
    /// Remembers an answer, whatever it says: Okta tells of those it could not use in the org's event hook, if it has one.
    pub(super) async fn note_answer(&self, request: Option<&RequestId>, reply: &Reply, elapsed: Duration) {
        let Some(request) = request.filter(|_| self.config.event_hook.is_some()) else { return };
        let answer = Answer { elapsed, leaves_to_okta: reply.leaves_to_okta() };
        self.shared.journal.answered(&self.config.name, request, answer).await;
    }

    /// Notes what became of a message, and when its code will be over. `until_noted` is dropped when the journal has
    /// it.
    pub(super) async fn note_outcome(
        &self,
        message: &Message,
        outcome: &Outcome,
        previous: Option<Previous>,
        until_noted: DropGuard,
    ) {
        let (org, journal) = (&self.config.name, &self.shared.journal);
        let Some(sent) = journal.note(org, message, outcome, previous.as_ref(), until_noted).await else { return };
        // Nobody would tell of uses: every code would look unused.
        if self.config.event_hook.is_none() {
            return;
        }
        if sent.awaited {
            self.shared.learn.awaits(org, &sent.way);
        }
        self.note_end(message, outcome, sent.at);
        if let Some(previous) = previous {
            self.note_superseded(outcome, previous);
        }
    }

    /// Has whoever took a message hear of it when its code has run out, if it wants to and a use would be known.
    fn note_end(&self, message: &Message, outcome: &Outcome, sent_at: Timestamp) {
        let wants =
            |attempt: &&Attempt| message.user.is_some() && self.shared.wants_feedback.contains(&attempt.provider);
        let taken = outcome.decisive().filter(wants);
        let Some(item) = taken.and_then(|attempt| end_of(message, attempt, sent_at)) else { return };
        let delay = until_told(message, self.shared.clock.now());
        let agenda = self.shared.agenda.clone();
        self.shared.tasks.spawn(async move { agenda.note([item], delay).await });
    }

    /// A newer code has gone out: has whoever took the one before hear that it will not be used. A provider that took
    /// both has seen it.
    fn note_superseded(&self, outcome: &Outcome, previous: Previous) {
        let took_both = outcome.decisive().is_some_and(|a| a.provider == previous.provider);
        if took_both || !self.shared.wants_feedback.contains(&previous.provider) {
            return;
        }
        let Some(id) = previous.transaction_id else { return };
        let item = Item::Over {
            provider: previous.provider.to_string(),
            transaction_id: id.as_str().to_owned(),
            channel: outcome.channel,
            since: previous.sent_at,
        };
        let agenda = self.shared.agenda.clone();
        self.shared.tasks.spawn(async move { agenda.hurry(item).await });
    }
}
