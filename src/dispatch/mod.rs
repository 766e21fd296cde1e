//! Attempts inside the deadline: asks the plan's providers one after another until one takes the message, and says what
//! became of it.
//!
//! Must not know Okta, routes or any vendor. An attempt that was begun is never cancelled: when we stop waiting it goes
//! on by itself, and its late outcome is counted and logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::deadline::{Clock, Deadline};
use crate::metrics::{AttemptLabels, Metrics};
use crate::otp::{Accepted, Attempt, Channel, Content, FailureKind, Message, Next, Outcome, ProviderName, SendError};
use crate::provider::{Provider, SendOptions};
use crate::route::Plan;

/// An attempt that has not ended after this is given up: no vendor answers a create call later than that.
const HARD_CAP: Duration = Duration::from_secs(10);

/// Sends of one code when none of them can have worked.
const MAX_ATTEMPTS: usize = 3;

/// Sends of one code when one of them may have worked: a person gets two copies at most.
const MAX_ATTEMPTS_WITH_DOUBT: usize = 2;

/// One message on its way, shared with the attempts that may outlive the answer.
#[derive(Debug)]
pub struct Job {
    /// The message.
    pub message: Message,
    /// What it says.
    pub content: Content,
    /// The keyed hash of its number, for log lines.
    pub phone_ref: String,
    /// Whether any attempt was begun: a panic before that lost nothing.
    pub begun: Arc<AtomicBool>,
}

/// `after_unconfirmed.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterUnconfirmed {
    /// Ask the next provider: a duplicate is better than nothing.
    Next,
    /// Ask nobody else.
    Stop,
}

/// How one org wants attempts made.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long one attempt is waited for while another provider could still be asked.
    pub attempt_timeout: Duration,
    /// Nothing starts with less than this left.
    pub min_attempt: Duration,
    /// What follows an unconfirmed text.
    pub after_unconfirmed_sms: AfterUnconfirmed,
    /// What follows an unconfirmed call.
    pub after_unconfirmed_voice: AfterUnconfirmed,
}

impl Policy {
    fn after_unconfirmed(&self, channel: Channel) -> AfterUnconfirmed {
        match channel {
            Channel::Sms => self.after_unconfirmed_sms,
            Channel::Voice => self.after_unconfirmed_voice,
        }
    }
}

/// Dispatches the messages of one org.
#[derive(Debug, Clone)]
pub struct Dispatch {
    providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    policy: Policy,
    metrics: Arc<Metrics>,
    clock: Clock,
    tasks: TaskTracker,
}

impl Dispatch {
    /// Dispatches to these providers; begun attempts run on `tasks`, which a shutdown waits for.
    pub fn new(
        providers: impl IntoIterator<Item = Arc<dyn Provider>>,
        policy: Policy,
        metrics: Arc<Metrics>,
        clock: Clock,
        tasks: TaskTracker,
    ) -> Self {
        let providers = providers.into_iter().map(|p| (p.name().clone(), p)).collect();
        Self { providers, policy, metrics, clock, tasks }
    }

    /// Makes attempts until one is accepted, a failure forbids another, or the deadline leaves no room.
    pub async fn run(&self, job: &Arc<Job>, plan: &Plan, deadline: &Deadline) -> Outcome {
        let channel = job.message.channel;
        let mut race = Race::new();
        let candidates: Vec<_> = plan.providers.iter().filter_map(|name| self.providers.get(name)).collect();
        for (place, provider) in candidates.iter().enumerate() {
            if deadline.remaining() < self.policy.min_attempt || !race.may_begin() {
                break;
            }
            self.begin(job, provider, &mut race);
            let until = self.patience(channel, place + 1 < candidates.len(), &race, deadline);
            if race.wait(until).await || !self.may_go_on(channel, &race) {
                break;
            }
        }
        race.linger(deadline.due()).await;
        let attempts = race.finish();
        for attempt in &attempts {
            let kind = attempt.result.as_ref().err().map(|e| e.kind);
            self.metrics.attempts.get_or_create(&AttemptLabels::new(&attempt.provider, channel, kind)).inc();
        }
        Outcome::of(channel, Arc::clone(&plan.route), attempts)
    }

    /// Until when the attempt begun last is waited for: to the deadline when nobody could be asked after it.
    fn patience(&self, channel: Channel, more: bool, race: &Race, deadline: &Deadline) -> Instant {
        let last = !more
            || race.attempts.len() >= MAX_ATTEMPTS_WITH_DOUBT
            || self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Stop
            || deadline.remaining() < self.policy.min_attempt * 2;
        if last {
            return deadline.due();
        }
        let leaves_room = deadline.due() - self.policy.min_attempt;
        leaves_room.min(Instant::now() + self.policy.attempt_timeout)
    }

    /// Whether the attempt begun last allows another provider.
    fn may_go_on(&self, channel: Channel, race: &Race) -> bool {
        match race.last_kind().next() {
            Next::Provider => true,
            Next::ByPolicy => self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Next,
            Next::Stop => false,
        }
    }

    /// Begins an attempt on a task of its own: whoever waits for it may go, the attempt stays.
    fn begin(&self, job: &Arc<Job>, provider: &Arc<dyn Provider>, race: &mut Race) {
        job.begun.store(true, Ordering::Release);
        let (job, provider) = (Arc::clone(job), Arc::clone(provider));
        let report = Report {
            place: race.open(provider.name().clone()),
            to: race.sender.clone(),
            started: Instant::now(),
            provider: provider.name().clone(),
            job: Arc::clone(&job),
            metrics: Arc::clone(&self.metrics),
            sent: false,
        };
        let now = self.clock.now();
        self.tasks.spawn(async move {
            let options = SendOptions { content: &job.content, now };
            let result = timeout(HARD_CAP, provider.send(&job.message, options)).await;
            report.send(result.unwrap_or_else(|_| Err(SendError::new(FailureKind::Unconfirmed, "timeout"))));
        });
    }
}

/// The attempts under way for one message, and what has come of them.
#[derive(Debug)]
struct Race {
    attempts: Vec<Entry>,
    sender: mpsc::UnboundedSender<Finished>,
    receiver: mpsc::UnboundedReceiver<Finished>,
}

#[derive(Debug)]
struct Entry {
    provider: ProviderName,
    started: Instant,
    finished: Option<(Result<Accepted, SendError>, Duration)>,
}

#[derive(Debug)]
struct Finished {
    place: usize,
    result: Result<Accepted, SendError>,
    elapsed: Duration,
}

impl Race {
    fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { attempts: Vec::new(), sender, receiver }
    }

    fn open(&mut self, provider: ProviderName) -> usize {
        self.attempts.push(Entry { provider, started: Instant::now(), finished: None });
        self.attempts.len() - 1
    }

    /// Waits until the attempt begun last has ended or `until` has come; true when any attempt was accepted.
    async fn wait(&mut self, until: Instant) -> bool {
        while self.attempts.last().is_some_and(|a| a.finished.is_none()) {
            let Ok(Some(finished)) = timeout_at(until, self.receiver.recv()).await else { return false };
            let accepted = finished.result.is_ok();
            self.attempts[finished.place].finished = Some((finished.result, finished.elapsed));
            if accepted {
                return true;
            }
        }
        false
    }

    /// The kind of the attempt begun last; one that has not ended is in doubt.
    fn last_kind(&self) -> FailureKind {
        let finished = self.attempts.last().and_then(|a| a.finished.as_ref());
        finished.and_then(|(result, _)| result.as_ref().err()).map_or(FailureKind::Unconfirmed, |e| e.kind)
    }

    /// Whether the limits on attempts leave room for one more.
    fn may_begin(&self) -> bool {
        let doubt = |a: &Entry| match &a.finished {
            None => true,
            Some((Ok(_), _)) => false,
            Some((Err(e), _)) => e.kind == FailureKind::Unconfirmed,
        };
        let limit = if self.attempts.iter().any(doubt) { MAX_ATTEMPTS_WITH_DOUBT } else { MAX_ATTEMPTS };
        self.attempts.len() < limit
    }

    /// With nobody left to ask, an attempt still under way may yet be accepted: waits for that until `until`.
    async fn linger(&mut self, until: Instant) {
        let settled = |a: &Entry| matches!(&a.finished, Some((Ok(_), _)));
        while !self.attempts.iter().any(settled) && self.attempts.iter().any(|a| a.finished.is_none()) {
            let Ok(Some(finished)) = timeout_at(until, self.receiver.recv()).await else { return };
            self.attempts[finished.place].finished = Some((finished.result, finished.elapsed));
        }
    }

    /// Closes the race: what comes from now on is late.
    fn finish(mut self) -> Vec<Attempt> {
        self.receiver.close();
        while let Ok(finished) = self.receiver.try_recv() {
            self.attempts[finished.place].finished = Some((finished.result, finished.elapsed));
        }
        let unanswered = || Err(SendError::new(FailureKind::Unconfirmed, "timeout"));
        let attempts = self.attempts.into_iter();
        attempts
            .map(|entry| {
                let (result, elapsed) = entry.finished.unwrap_or_else(|| (unanswered(), entry.started.elapsed()));
                Attempt { provider: entry.provider, result, elapsed }
            })
            .collect()
    }
}

/// Tells the race how an attempt ended, also when it panicked; tells log and metrics when the race is over.
struct Report {
    place: usize,
    to: mpsc::UnboundedSender<Finished>,
    started: Instant,
    provider: ProviderName,
    job: Arc<Job>,
    metrics: Arc<Metrics>,
    sent: bool,
}

impl Report {
    fn send(mut self, result: Result<Accepted, SendError>) {
        self.deliver(result);
    }

    fn deliver(&mut self, result: Result<Accepted, SendError>) {
        self.sent = true;
        let finished = Finished { place: self.place, result, elapsed: self.started.elapsed() };
        let Err(mpsc::error::SendError(late)) = self.to.send(finished) else { return };
        let channel = self.job.message.channel;
        let kind = late.result.as_ref().err().map(|e| e.kind);
        self.metrics.late_outcomes.get_or_create(&AttemptLabels::new(&self.provider, channel, kind)).inc();
        tracing::info!(
            provider = %self.provider,
            channel = channel.as_str(),
            kind = kind.map_or("accepted", FailureKind::as_str),
            code = late.result.as_ref().err().map(|e| e.code.as_str()),
            transaction_id = late.result.as_ref().ok().map(|a| a.transaction_id.as_str()),
            elapsed_ms = late.elapsed.as_millis(),
            event_id = self.job.message.event_id.as_ref().map(tracing::field::display),
            phone_ref = self.job.phone_ref,
            "late outcome"
        );
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.sent {
            self.deliver(Err(SendError::new(FailureKind::Unconfirmed, "panic")));
        }
    }
}
