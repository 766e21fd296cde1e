//! Repeats: an event is claimed before anything is sent, and whoever brings it again hears the first answer again.
//!
//! Must not send, and must not lose a code: whatever is in doubt here goes through. A repeat is known by Okta's event id,
//! and for a short while by what it would send to whom. This process remembers by itself; a store that replicas share
//! is asked as well, within its time-out, and missed if it fails.

mod local;
mod replicas;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::deadline::{Clock, Deadline};
use crate::metrics::Metrics;
use crate::okta::{Replies, Reply};
use crate::otp::Message;
use crate::secret::{KeyedHash, Pseudonyms};
use crate::store::{Faults, State, StoreFault};
use local::{Local, Slot, Taken};
use replicas::{Found, Hold, Replicas};

/// Okta challenges one number at most every 30 s, so a code that comes again sooner is a repeat on the way, under
/// whatever event id; later it is a person who asked again.
const FINGERPRINT_WINDOW: Duration = Duration::from_secs(20);

/// An administrator who tries the same preview again means it.
const PREVIEW_WINDOW: Duration = Duration::from_secs(10);

/// A repeat that comes after the code has run out is still a repeat.
const AFTERLIFE: Duration = Duration::from_secs(5 * 60);

/// A date from another century must not keep an answer until then.
const MAX_LIFE: Duration = Duration::from_secs(60 * 60);

/// Knows the messages of the last minutes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dedupe(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pseudonyms: Pseudonyms,
    clock: Clock,
    metrics: Arc<Metrics>,
    faults: Faults,
    local: Local,
    replicas: Option<Arc<Replicas>>,
}

/// One call, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Key of the org in the configuration.
    pub org: &'a str,
    /// What it asks for.
    pub message: &'a Message,
    /// When it must be answered.
    pub deadline: &'a Deadline,
    /// Whether a send was begun for it: a claim that is dropped before that is nobody's.
    pub begun: &'a Arc<AtomicBool>,
    /// What the org answers when the outcome is not known.
    pub replies: &'a Replies,
}

/// What a call has come upon.
#[derive(Debug)]
pub enum Claim {
    /// The first of its kind: to be carried out and answered.
    First(Ticket),
    /// Has been carried out, or is being: nothing may be sent for it.
    Repeat(Repeat),
}

/// The answer to a repeat.
#[derive(Debug)]
pub struct Repeat {
    /// The first answer, byte for byte, or what stands for one that did not come in time.
    pub reply: Reply,
    /// By what the repeat was known.
    pub reason: Reason,
    /// Whether it is the first answer.
    pub heard: bool,
}

/// By what a repeat was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The event had been answered.
    Event,
    /// It was being carried out.
    InFlight,
    /// The same code to the same person had just been answered, under another event or none.
    Fingerprint,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Event, Self::InFlight, Self::Fingerprint];

    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::InFlight => "in_flight",
            Self::Fingerprint => "fingerprint",
        }
    }
}

/// What a message is known by, and for how long.
#[derive(Debug, Clone, Copy)]
struct Identity {
    event: Option<KeyedHash>,
    fingerprint: KeyedHash,
    event_window: Duration,
    fingerprint_window: Duration,
}

impl Identity {
    /// By what a message is known whose event is another message's.
    fn event_and_content(&self) -> Option<KeyedHash> {
        self.event.map(|event| event.with(&self.fingerprint))
    }
}

/// The right, and the duty, to carry a message out.
#[derive(Debug)]
pub struct Ticket {
    slot: Arc<Slot>,
    replicas: Option<(Arc<Replicas>, Hold)>,
    begun: Arc<AtomicBool>,
    answered: bool,
}

impl Dedupe {
    /// Remembers in this process, and in the shared store if there is one. What must be told to the store after the
    /// answer runs on `tasks`.
    pub fn new(
        state: &State,
        pseudonyms: Pseudonyms,
        clock: Clock,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
    ) -> Self {
        let replicas = state.shared().map(|store| Arc::new(Replicas::new(store, state, tasks.clone())));
        let local = Local::new(state.max_entries());
        Self(Arc::new(Inner { pseudonyms, clock, metrics, faults: state.faults().clone(), local, replicas }))
    }

    /// How long a claim may wait for the store; nothing without a shared one.
    pub fn patience(&self) -> Duration {
        self.0.replicas.as_ref().map_or(Duration::ZERO, |replicas| replicas.timeout())
    }

    /// Claims the message of a call. A repeat of one that is being carried out waits for its answer, until its own
    /// deadline.
    pub async fn claim(&self, call: Call<'_>) -> Claim {
        let id = self.identify(call.org, call.message);
        loop {
            match self.0.local.take(&id) {
                Taken::First { slot, conflict, full } => {
                    if full {
                        self.0.faults.note("claim", &StoreFault::Full);
                    }
                    return self.lead(call, &id, slot, conflict).await;
                }
                Taken::Repeat { slot, reason } => {
                    if let Some(repeat) = self.hear(call, &id, &slot, reason).await {
                        return Claim::Repeat(repeat);
                    }
                }
            }
        }
    }

    /// The answer a message was given or is about to be given, if it is known: for one that shall not be claimed.
    pub async fn recall(&self, call: Call<'_>) -> Option<Repeat> {
        let id = self.identify(call.org, call.message);
        if let Some((slot, reason)) = self.0.local.find(&id)
            && let Some(repeat) = self.hear(call, &id, &slot, reason).await
        {
            return Some(repeat);
        }
        let replicas = self.0.replicas.as_ref()?;
        let (key, reason, answer) = replicas.find(&id).await?;
        let Some(reply) = answer else {
            let followed = replicas.follow(&key, call.deadline.due()).await;
            let heard = followed.is_some();
            return Some(self.known(Reason::InFlight, followed.unwrap_or_else(|| call.unconfirmed()), heard));
        };
        if reason == Reason::Fingerprint {
            replicas.tell_alias(&id, &reply);
        }
        Some(self.known(reason, reply, true))
    }

    /// The answer in a slot, waited for until the call's deadline. `None`: whoever held it will not answer, and has sent
    /// nothing.
    async fn hear(&self, call: Call<'_>, id: &Identity, slot: &Slot, reason: Reason) -> Option<Repeat> {
        let was_open = slot.is_open();
        let (reply, heard) = match slot.wait(call.deadline.due()).await {
            Some(answer) => (answer?, true),
            None => (call.unconfirmed(), false),
        };
        if let (Some(replicas), Reason::Fingerprint) = (&self.0.replicas, reason) {
            replicas.tell_alias(id, &reply);
        }
        Some(self.known(if was_open { Reason::InFlight } else { reason }, reply, heard))
    }

    /// Goes on as the first in this process: the replicas may know better.
    async fn lead(&self, call: Call<'_>, id: &Identity, slot: Arc<Slot>, conflict: bool) -> Claim {
        let mut ticket = Ticket { slot, replicas: None, begun: Arc::clone(call.begun), answered: false };
        let Some(replicas) = &self.0.replicas else {
            self.note_conflict(call.message, conflict);
            return Claim::First(ticket);
        };
        let (found, hold) = replicas.claim(id).await;
        ticket.replicas = Some((Arc::clone(replicas), hold));
        let (reason, answer) = match found {
            Found::First { conflict: seen } => {
                self.note_conflict(call.message, seen.unwrap_or(conflict));
                return Claim::First(ticket);
            }
            Found::Repeat { reason, answer: Some(reply), .. } => (reason, Some(reply)),
            Found::Repeat { key, .. } => (Reason::InFlight, replicas.follow(&key, call.deadline.due()).await),
        };
        if let Some(reply) = answer {
            self.0.local.forget_fingerprint(id, &ticket.slot);
            ticket.answer(&reply);
            Claim::Repeat(self.known(reason, reply, true))
        } else {
            let reply = call.unconfirmed();
            ticket.give_up(&reply);
            Claim::Repeat(self.known(reason, reply, false))
        }
    }

    fn identify(&self, org: &str, message: &Message) -> Identity {
        let pseudonyms = &self.0.pseudonyms;
        let event = pseudonyms.event(org, message);
        let fingerprint = pseudonyms.hash(&[
            b"fingerprint",
            org.as_bytes(),
            message.user.as_ref().map_or("", |user| user.expose()).as_bytes(),
            message.recipient.expose().as_bytes(),
            message.code.expose().as_bytes(),
            message.channel.as_str().as_bytes(),
            message.request_type.as_str().as_bytes(),
        ]);
        if message.preview {
            let window = PREVIEW_WINDOW;
            return Identity { event, fingerprint, event_window: window, fingerprint_window: window };
        }
        let life = message.life_left(self.0.clock.now()).unwrap_or(Message::USUAL_LIFE).min(MAX_LIFE);
        Identity { event, fingerprint, event_window: life + AFTERLIFE, fingerprint_window: FINGERPRINT_WINDOW }
    }

    fn known(&self, reason: Reason, reply: Reply, heard: bool) -> Repeat {
        self.0.metrics.duplicate_averted(reason.as_str());
        Repeat { reply, reason, heard }
    }

    /// An event id that comes with another content is either not one event's, or somebody plays with it. A preview that
    /// was edited keeps its id and alarms nobody.
    fn note_conflict(&self, message: &Message, conflict: bool) {
        if conflict && !message.preview {
            self.0.metrics.event_conflicts.inc();
            tracing::warn!(
                event_id = message.event_id.as_ref().map(tracing::field::display),
                "an event came again with another number, code or channel: sent as a new one"
            );
        }
    }
}

impl Call<'_> {
    fn unconfirmed(&self) -> Reply {
        self.replies.doubtful(self.message.locale.as_ref(), self.deadline.elapsed())
    }
}

impl Ticket {
    /// Gives the answer to everybody who brings the message again. Tells the shared store without being waited for.
    pub fn answer(mut self, reply: &Reply) {
        self.answered = true;
        self.slot.settle(Some(reply.clone()));
        if let Some((replicas, hold)) = self.replicas.take() {
            replicas.finish(hold, reply);
        }
    }

    /// Leaves a message that another replica carries out. Its answer may still come, so this process asks again when it
    /// is asked again; only what is held here is answered with what was said.
    fn give_up(mut self, said: &Reply) {
        self.answered = true;
        self.slot.settle(None);
        if let Some((replicas, hold)) = self.replicas.take() {
            replicas.finish(hold, said);
        }
    }
}

impl Drop for Ticket {
    /// A panic of ours before anything was sent gives the message back; after that it stays claimed: somebody may have
    /// got the code.
    fn drop(&mut self) {
        if self.answered || self.begun.load(Ordering::Acquire) {
            return;
        }
        self.slot.settle(None);
        if let Some((replicas, hold)) = self.replicas.take() {
            replicas.release(hold);
        }
    }
}
