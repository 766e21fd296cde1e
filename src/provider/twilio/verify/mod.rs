//! Twilio Verify: our code, under the sender, the text and the fraud guard that Twilio keeps.
//!
//! Must not know what a failure leads to; never keeps a code or a number, and never logs. A create is one exchange,
//! but for words that it refuses: then there is a second, as Twilio's own documentation has it. An earlier verification
//! that stands in the way is cancelled. Source: twilio-oai `verify_v2`.

mod feedback;
mod form;
mod locale;
mod settings;
#[cfg(test)]
mod tests;
mod wording;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::feedback::Feedback;
pub use self::settings::{Config, Settings, Supersede};
use self::wording::Wording;
use super::remembered::Remembered;
use super::{FORM, answer, check};
use crate::locks::lock;
use crate::otp::{Accepted, Channel, Content, FailureKind, Message, Phone, ProviderName, SendError, TransactionId};
use crate::outbound::{Handover, Outbound, Request};
use crate::provider::account::join;
use crate::provider::{Check, Fate, FeedbackClient, Means, Provider, SendOptions};

/// How long a verification stays pending unless Twilio's Support changed it. If they did, a cancel comes too late and
/// is answered 404, or does not come: then Verify behaves as under `reuse`.
const PENDING_LIFE: Duration = Duration::from_secs(600);

/// Creates that one pending verification allows.
const MAX_SENDS: u8 = 5;

/// What a further one is answered with.
const MAX_SENDS_REACHED: &str = "60203";

/// Nobody waits for the cancel of a verification that has no sends left, but a shutdown: as long as for an attempt.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A third of the default attempt time-out: what a cancel takes is missing from the create, which alone delivers.
const CANCEL_TIMEOUT: Duration = Duration::from_millis(400);

/// One Verify service.
#[derive(Debug)]
pub struct Verify {
    name: ProviderName,
    config: Config,
    verifications_url: Url,
    outbound: Outbound,
    tasks: TaskTracker,
    /// Ends verifications.
    feedback: Feedback,
    /// Also known to `feedback`.
    pending: Arc<Remembered<Pending>>,
    /// What this service turned out not to speak. At most the tags that exist, for each channel.
    refused_locales: Mutex<BTreeSet<(Channel, String)>>,
}

/// The verification of one number that is not over yet, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    /// `None` when the answer that held it was lost: then only the number names the verification.
    id: Option<TransactionId>,
    /// Creates it has served.
    sends: u8,
}

impl Verify {
    /// A service under this name.
    pub fn new(name: ProviderName, config: Config, means: Means<'_>) -> Self {
        let pending = Arc::new(Remembered::new(PENDING_LIFE, means.pseudonyms));
        Self {
            name,
            verifications_url: verifications_url(&config),
            feedback: Feedback::new(&config, means.outbound.clone(), Arc::clone(&pending)),
            config,
            outbound: means.outbound.clone(),
            tasks: means.tasks.clone(),
            pending,
            refused_locales: Mutex::default(),
        }
    }

    fn create(&self, message: &Message, channel: Channel, wording: Wording<'_>) -> Result<Request, SendError> {
        if !self.supports(channel) {
            return Err(answer::not_configured());
        }
        let form = form::form(&self.config, message, channel, wording)?;
        Ok(Request::post(self.verifications_url.clone(), &self.config.authorization, FORM, form))
    }

    /// Creates a verification, and once more after an answer that proves that nothing was sent and that other words mend
    /// it. At most one of the two creates can have been accepted.
    async fn deliver(&self, message: &Message, channel: Channel, handover: &Handover) -> Result<Accepted, SendError> {
        let wanted = self.wording(message, channel);
        let mut wording = wanted;
        let mut answer = self.outbound.deliver(self.create(message, channel, wording)?, handover).await?;
        if let Some(mended) = wording.mended(&answer) {
            if handover.claim().is_err() {
                return answer::classify(&answer).map_err(unmended);
            }
            // Twilio's documented remedy. Failing over instead would cost a sound provider its turn over a language.
            wording = mended;
            let again = self.outbound.deliver(self.create(message, channel, wording)?, handover).await;
            // Whatever becomes of this one, the first create was written.
            answer = again.map_err(|e| SendError { unsent: false, ..e })?;
        }
        let result = answer::classify(&answer);
        if result.as_ref().is_err_and(|e| e.code == MAX_SENDS_REACHED) {
            self.release(message);
        }
        if let (Some(refused), None, Ok(_)) = (wanted.locale, wording.locale, &result)
            && wanted.template == wording.template
        {
            // Only now is it proven that the locale was at fault and not, say, a wrong service.
            self.refused_locales().insert((channel, refused.to_owned()));
        }
        result
    }

    /// What to ask for, without a locale that this service has refused before.
    fn wording(&self, message: &Message, channel: Channel) -> Wording<'_> {
        let wording = Wording::of(&self.config, message);
        let spoken = |tag: &&str| !self.refused_locales().contains(&(channel, (*tag).to_owned()));
        Wording { locale: wording.locale.filter(spoken), ..wording }
    }

    fn refused_locales(&self) -> MutexGuard<'_, BTreeSet<(Channel, String)>> {
        lock(&self.refused_locales)
    }

    /// The verification to end before this number gets a new code.
    fn superseded(&self, number: &Phone) -> Option<Pending> {
        let pending = self.pending.find(number)?;
        match self.config.supersede {
            Supersede::Cancel => Some(pending),
            // The next create is certain to be refused: cancelling first saves the round trip that would say so.
            Supersede::Reuse => (pending.sends >= MAX_SENDS).then_some(pending),
        }
    }

    /// Ends a pending verification; tells whether it is certainly over. 404 says so too: it had ended by itself.
    ///
    /// Any failure is ignored, as the create may well succeed without. One that takes too long is dropped, not left to
    /// run: it must not reach Twilio after the create and end the new verification.
    async fn cancel(&self, id: Option<&TransactionId>, number: &Phone) -> bool {
        let id = id.map(TransactionId::as_str).filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric()));
        let segment = id.map_or_else(|| format!("%2B{}", number.expose_digits()), str::to_owned);
        matches!(timeout(CANCEL_TIMEOUT, self.feedback.end(&segment, Fate::Unused)).await, Ok(Ok(())))
    }

    /// Cancels a verification that takes no more codes, for the next sign-in. This one goes to the next provider, and does
    /// not wait.
    ///
    /// Without feedback a sixth sign-in inside ten minutes meets it, whichever instance sent the five: so it is named by
    /// the number, as this process may not know its id. Should a cancel come so late that it ends a newer verification,
    /// no code is lost: they have been sent, and Okta compares them itself.
    fn release(&self, message: &Message) {
        let feedback = self.feedback.clone();
        let number = message.recipient.clone();
        self.tasks.spawn(async move {
            // One that fails leaves things as they were: the next sign-in finds the same and tries again.
            let _ = timeout(RELEASE_TIMEOUT, feedback.cancel_number(&number)).await;
        });
    }

    /// Notes the verification that a create left pending, or may have left.
    fn remember(&self, number: &Phone, result: &Result<Accepted, SendError>) {
        let earlier = self.pending.find(number);
        let pending = match result {
            Ok(accepted) => {
                let id = Some(accepted.transaction_id.clone());
                let earlier_sends = earlier.filter(|e| e.id == id).map_or(0, |e| e.sends);
                Pending { id, sends: earlier_sends.saturating_add(1) }
            }
            Err(e) if e.kind == FailureKind::Unconfirmed => {
                Pending { id: None, sends: earlier.map_or(0, |e| e.sends).saturating_add(1) }
            }
            Err(_) => return,
        };
        self.pending.put(number, pending);
    }
}

fn verifications_url(config: &Config) -> Url {
    join(&config.base_url, &format!("/v2/Services/{}/Verifications", config.service_sid))
}

/// A refusal that comes too late to be mended. As it may be the words alone that are refused, it blames no account.
fn unmended(refusal: SendError) -> SendError {
    match refusal.kind {
        FailureKind::Account => SendError { kind: FailureKind::Rejected, ..refusal },
        _ => refusal,
    }
}

fn channel(content: &Content) -> Channel {
    match content {
        Content::Text(_) => Channel::Sms,
        Content::Speech(_) => Channel::Voice,
    }
}

#[async_trait]
impl Provider for Verify {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "twilio-verify"
    }

    fn supports(&self, channel: Channel) -> bool {
        self.config.supports(channel)
    }

    fn requests(&self, message: &Message, options: SendOptions<'_>) -> Result<Vec<Request>, SendError> {
        let channel = channel(options.content);
        self.create(message, channel, self.wording(message, channel)).map(|request| vec![request])
    }

    fn addresses(&self) -> Vec<Url> {
        vec![self.config.base_url.clone()]
    }

    async fn check(&self) -> Vec<Check> {
        let config = &self.config;
        let url = join(&config.base_url, &format!("/v2/Services/{}", config.service_sid));
        vec![check::service(&self.outbound, url, &config.authorization).await]
    }

    fn feedback_client(&self) -> Option<FeedbackClient> {
        Some(FeedbackClient::Verify(self.feedback.clone()))
    }

    async fn send(
        &self,
        message: &Message,
        options: SendOptions<'_>,
        handover: &Handover,
    ) -> Result<Accepted, SendError> {
        let channel = channel(options.content);
        // What can be refused without a call must not cost the earlier verification its life.
        drop(self.create(message, channel, Wording::default())?);
        let number = &message.recipient;
        if let Some(pending) = self.superseded(number)
            && self.cancel(pending.id.as_ref(), number).await
        {
            self.pending.remove(number);
        }
        let result = self.deliver(message, channel, handover).await;
        self.remember(number, &result);
        result
    }
}
