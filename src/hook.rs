//! The story: what happens to one call of Okta's telephony inline hook, one line a step.
//!
//! Must not know axum or any vendor. `http` hands in headers and a body yet unread, and writes out the reply.

mod aftermath;
mod late;
mod load;
mod order;
mod pace;
mod record;
mod rejection;
mod settings;
mod skew;

use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use crate::agenda::Agenda;
use crate::deadline::{Clock, Deadline};
use crate::dedupe::{self, Claim, Dedupe};
use crate::dispatch::switches::Switches;
use crate::dispatch::{Dispatch, Job};
use crate::guard::{self, Explanation, Guard};
use crate::journal::Journal;
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::okta::{Decoded, Replies, Reply, decode, request_id};
use crate::otp::{Content, Message, Outcome, ProviderName, Verdict};
use crate::recent::Recent;
use crate::secret::Pseudonyms;
use crate::store::State;
use late::Late;
use load::Load;
use pace::Pace;
use record::Record;
pub use record::verdicts;
use rejection::Rejection;
pub use rejection::Unread;
pub use settings::{Config, Settings};
use skew::Skew;

/// Kept back from the budget for writing the answer out: what is measured at the caller must still lie inside it.
const REPLY_RESERVE: Duration = Duration::from_millis(25);

/// What is done between the body and the first attempt, beside waiting for the store, on a machine that is busy.
const INTAKE: Duration = Duration::from_millis(50);

/// One org's hook.
#[derive(Debug)]
pub struct Hook {
    config: Config,
    guard: Arc<Guard>,
    dispatch: Dispatch,
    load: Load,
    pace: Pace,
    skew: Skew,
    shared: Shared,
}

/// What the hooks of all orgs share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    /// The last hooks, for the operator's page.
    pub recent: Recent,
    /// Makes keyed hashes for log lines.
    pub pseudonyms: Pseudonyms,
    /// The wall clock.
    pub clock: Clock,
    /// Carries what must outlive a caller; a shutdown waits for it.
    pub tasks: TaskTracker,
    /// One permit for each hook that may be in flight.
    pub places: Arc<Semaphore>,
    /// What an operator forbids at run time.
    pub switches: Switches,
    /// Knows repeats.
    pub dedupe: Dedupe,
    /// Who was sent what by whom.
    pub journal: Journal,
    /// What is still to be done about codes that were sent.
    pub agenda: Agenda,
    /// Who wants to hear what became of a code.
    pub wants_feedback: Arc<BTreeSet<ProviderName>>,
    /// How providers do, by what comes back.
    pub learn: Learn,
    /// Where is remembered what outlives a hook.
    pub state: State,
    /// What guards stand on: one place for as long as the process lives, whatever becomes of the configuration.
    pub guard: guard::Tools,
}

/// What a hook that is worked on takes from others, until it is dropped.
struct Held<'a> {
    /// One of the server's places in flight.
    _place: SemaphorePermit<'a>,
    /// One of the transactions that the org may have at Okta.
    _transaction: load::Place<'a>,
}

impl Hook {
    /// One org's hook, from its checked settings.
    pub fn new(config: Config, dispatch: Dispatch, shared: Shared) -> Self {
        let guard = Arc::new(Guard::new(config.guard.clone(), &config.name, shared.guard.clone()));
        let skew = Skew::new(&config.name, &shared.metrics);
        let load = Load::new(config.okta_concurrency, Instant::now());
        Self { load, pace: Pace::default(), skew, config, guard, dispatch, shared }
    }

    /// The checked settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers one call, on a task of its own: a caller who hangs up cancels nothing, and a panic is answered too.
    ///
    /// `received` is the instant of the request's first byte; `body` is not polled before the caller is known.
    pub async fn call<B>(self: &Arc<Self>, received: Instant, headers: HeaderMap, body: B) -> Reply
    where
        B: Future<Output = Result<Bytes, Unread>> + Send + 'static,
    {
        let begun = Arc::new(AtomicBool::new(false));
        let (hook, mark) = (Arc::clone(self), Arc::clone(&begun));
        // Boxed: a task is moved several times on its way to the runtime, and this one is large.
        let answer = self.shared.tasks.spawn(Box::pin(async move {
            let mut deadline = Deadline::new(received, hook.budget());
            let mut record = Record::new(&hook.config.name, &hook.shared.metrics);
            let told = hook.tell(&headers, body, &mut deadline, Arc::clone(&mark), &mut record);
            let reply = match AssertUnwindSafe(told).catch_unwind().await {
                Ok(Ok(reply)) => reply,
                Ok(Err(rejection)) => record.rejected(&rejection),
                Err(_) => {
                    record.broken(&mark);
                    hook.broken(&mark, deadline.elapsed())
                }
            };
            hook.note_answer(record.request(), &reply, deadline.elapsed()).await;
            record.write(&deadline, &hook.shared);
            reply
        }));
        match answer.await {
            Ok(reply) => reply,
            // A panic of what comes after the answer is known: noting it, or writing the record.
            Err(_) => self.broken(&begun, received.elapsed()),
        }
    }

    /// The story.
    async fn tell<B>(
        &self,
        headers: &HeaderMap,
        body: B,
        deadline: &mut Deadline,
        begun: Arc<AtomicBool>,
        record: &mut Record,
    ) -> Result<Reply, Rejection>
    where
        B: Future<Output = Result<Bytes, Unread>>,
    {
        self.config.authenticate.check(headers, self.shared.clock.now())?;
        self.shared.learn.hook(&self.config.name);
        let (_held, allowed) = self.enter()?;
        let decoded = {
            // Gone with the block: it holds the code, and its connection's buffer.
            let body = deadline.bound(body).await.unwrap_or(Err(Unread::Slow))?;
            decode(&body, self.config.default_country).inspect_err(|_| record.unreadable(request_id(&body)))?
        };
        self.shorten(deadline, allowed);
        let (job, until_noted) = self.job(decoded, begun, record);
        if self.has_expired(&job.message) {
            return Ok(self.answer_expired(&job, deadline, record).await);
        }
        // Both at once, then the guard: a store that is slow costs its time-out once.
        let until = deadline.due().min(Instant::now() + self.shared.state.timeout());
        let previous = self.shared.journal.previous(&self.config.name, &job.message);
        let (claim, previous) = tokio::join!(self.claim(&job, deadline), previous);
        let ticket = match claim {
            Claim::First(ticket) => ticket,
            Claim::Repeat(repeat) => return Ok(record.repeat(repeat)),
        };
        self.skew.note(&job.message, self.shared.clock.now());
        record.previous(previous.as_ref());
        let outcome = match self.forbids(&job, until).await {
            Some(outcome) => self.as_if_sent(outcome, deadline).await,
            None => {
                let plan = self.plan(&job.message, previous.as_ref());
                let outcome = self.dispatch.run(&job, &plan, deadline).await;
                self.learn_from(&job, &outcome, deadline);
                outcome
            }
        };
        record.outcome(&outcome);
        let reply = self.reply(&job.message, &outcome, deadline);
        ticket.answer(&reply);
        self.note_outcome(&job.message, &outcome, previous, until_noted).await;
        Ok(reply)
    }

    /// Takes a place in flight, if there is one, and tells how much time there is: less when the org runs short of
    /// transactions.
    fn enter(&self) -> Result<(Held<'_>, Duration), Rejection> {
        let place = self.shared.places.try_acquire().map_err(|_| Rejection::Overloaded)?;
        let (transaction, allowed) = self.load.enter(Instant::now(), self.budget(), self.least());
        Ok((Held { _place: place, _transaction: transaction }, allowed))
    }

    /// Leaves so much time, once the body is here: however slow that was, an attempt must still fit in.
    fn shorten(&self, deadline: &mut Deadline, allowed: Duration) {
        if allowed < self.budget() {
            deadline.shorten(allowed.max(deadline.elapsed() + self.least()));
            self.shared.metrics.shortened.inc();
        }
    }

    fn budget(&self) -> Duration {
        self.config.budget - REPLY_RESERVE
    }

    /// The least that a hook with its body needs: for one attempt behind a store that is slow.
    fn least(&self) -> Duration {
        self.config.policy.min_attempt + INTAKE + self.shared.dedupe.patience()
    }

    /// The message on its way, and what holds back what `Late` has to note of it. An attempt that ends after the answer
    /// waits in there until `until_noted` is dropped: by the journal, when it has the outcome that Okta heard, or by whoever
    /// leaves the story before that.
    fn job(&self, decoded: Decoded, begun: Arc<AtomicBool>, record: &mut Record) -> (Arc<Job>, DropGuard) {
        let Decoded { message, oddities } = decoded;
        let phone_ref = self.shared.pseudonyms.of(&message.recipient);
        record.message(&message, &phone_ref);
        record.odd(&oddities);
        let (late, until_noted) = Late::new(&self.config, &self.shared);
        let content = self.content(&message);
        (Arc::new(Job { content, message, phone_ref, begun, afterwards: Arc::new(late) }), until_noted)
    }

    fn has_expired(&self, message: &Message) -> bool {
        message.life_left(self.shared.clock.now()).is_some_and(|left| left < Message::MIN_LIFE)
    }

    /// The answer to a code that has run out: that it has, or what the message was answered when it had not.
    async fn answer_expired(&self, job: &Job, deadline: &Deadline, record: &mut Record) -> Reply {
        if let Some(repeat) = self.shared.dedupe.recall(self.dedupe_call(job, deadline)).await {
            return record.repeat(repeat);
        }
        self.skew.note(&job.message, self.shared.clock.now());
        record.expired();
        Replies::expired(job.message.locale.as_ref(), deadline.elapsed())
    }

    async fn claim(&self, job: &Job, deadline: &Deadline) -> Claim {
        self.shared.dedupe.claim(self.dedupe_call(job, deadline)).await
    }

    fn dedupe_call<'a>(&'a self, job: &'a Job, deadline: &'a Deadline) -> dedupe::Call<'a> {
        let (org, replies) = (&*self.config.name, &self.config.replies);
        dedupe::Call { org, message: &job.message, deadline, begun: &job.begun, replies }
    }

    /// The outcome of a message that a switch or the guard forbids.
    async fn forbids(&self, job: &Job, until: Instant) -> Option<Outcome> {
        if self.shared.switches.forbids(&job.message).is_some() {
            return Some(Outcome::blocked(job.message.channel, record::SWITCH));
        }
        self.guard.check(&job.message, &job.phone_ref, until).await.outcome(&job.message)
    }

    /// Has what is stopped in silence take as long as what is sent, while Okta has transactions to spare.
    async fn as_if_sent(&self, outcome: Outcome, deadline: &Deadline) -> Outcome {
        if self.config.replies.is_silent(outcome.verdict) && self.load.is_easy() {
            self.pace.keep(deadline).await;
        }
        outcome
    }

    /// Notes how long a message took that was accepted, and lets the guard learn from what tells of fraud, without waiting
    /// for it.
    fn learn_from(&self, job: &Arc<Job>, outcome: &Outcome, deadline: &Deadline) {
        if outcome.verdict == Verdict::Accepted {
            self.pace.note(deadline.elapsed());
        }
        if Guard::learns_from(outcome) {
            let (guard, job, seen) = (Arc::clone(&self.guard), Arc::clone(job), outcome.clone());
            self.shared.tasks.spawn(async move { guard.learn(&job.message, &seen).await });
        }
    }

    /// What the guard looks at for a message, without counting it.
    pub fn explain(&self, message: &Message) -> Explanation {
        self.guard.explain(message)
    }

    /// What a message says, in the org's texts.
    pub fn content(&self, message: &Message) -> Content {
        self.config.texts.content(message, self.shared.clock.now())
    }

    fn reply(&self, message: &Message, outcome: &Outcome, deadline: &Deadline) -> Reply {
        self.config.replies.reply(outcome, message.locale.as_ref(), deadline.elapsed())
    }

    /// The answer after a panic of ours: what is known is whether a send may be under way.
    fn broken(&self, begun: &AtomicBool, elapsed: Duration) -> Reply {
        let begun = begun.load(Ordering::Acquire);
        self.shared.metrics.panics.inc();
        tracing::error!(org = %self.config.name, begun, "a hook panicked; please report this");
        if begun { self.config.replies.doubtful(None, elapsed) } else { Replies::broken(Some(elapsed)) }
    }
}
