//! The attempts under way for one message: who is still out, who answered, and what comes too late.
//!
//! Must not decide who is asked. The attempts run on the message's own task as long as somebody waits for them; those
//! that are left behind move to tasks of their own.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::health::{Permit, Turn};
use super::{Job, MAX_SENDS, MAX_SENDS_WITH_DOUBT};
use crate::learn::{Learn, Way};
use crate::metrics::{AttemptLabels, Metrics};
use crate::otp::{Accepted, Attempt, FailureKind, Next, ProviderName, SendError};
use crate::outbound::Handover;

/// Until when an attempt is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// If it has not handed its message over by then.
    pub(super) unwritten: Instant,
    /// If it has, and nobody has answered.
    pub(super) unanswered: Instant,
}

/// What becomes of one attempt.
type Ending = Result<Accepted, SendError>;

/// An attempt at work.
pub(super) type Work = Pin<Box<dyn Future<Output = Ending> + Send>>;

/// The attempts under way for one message, and what has come of them.
pub(super) struct Race {
    attempts: Vec<Entry>,
    job: Arc<Job>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
}

struct Entry {
    provider: ProviderName,
    /// Nothing once it has ended: its place at the provider is another message's then, however long this one takes.
    permit: Option<Permit>,
    started: Instant,
    handover: Handover,
    /// Who learns of its end, unless it is a preview's.
    learn: Option<(Learn, Way)>,
    /// Nothing once it has ended.
    work: Option<Work>,
    finished: Option<(Ending, Duration)>,
}

impl Race {
    /// Nobody has begun. What is left behind in the end moves to `tasks`.
    pub(super) fn new(job: &Arc<Job>, metrics: &Arc<Metrics>, tasks: &TaskTracker) -> Self {
        Self { attempts: Vec::new(), job: Arc::clone(job), metrics: Arc::clone(metrics), tasks: tasks.clone() }
    }

    /// Enters an attempt.
    pub(super) fn begin(
        &mut self,
        provider: &ProviderName,
        permit: Permit,
        handover: Handover,
        learn: Option<(Learn, Way)>,
        work: Work,
    ) {
        let (provider, permit, work) = (provider.clone(), Some(permit), Some(work));
        self.attempts.push(Entry { provider, permit, started: Instant::now(), handover, learn, work, finished: None });
    }

    /// How often a provider was asked so far.
    pub(super) fn asked(&self) -> usize {
        self.attempts.iter().filter(|entry| !entry.is_unasked()).count()
    }

    /// How many of these are sends: a provider that was never reached has no copy to send.
    pub(super) fn sends(&self) -> usize {
        self.attempts.iter().filter(|entry| !entry.is_unasked() && !entry.is_unsent()).count()
    }

    /// Whether a provider's turn has been.
    pub(super) fn has_tried(&self, provider: &ProviderName) -> bool {
        self.attempts.iter().any(|entry| entry.provider == *provider)
    }

    /// Waits until the attempt begun last has ended, any was accepted, or patience is over.
    pub(super) async fn wait(&mut self, patience: Patience) {
        let ended = self.ends_by(patience.unwritten).await;
        if !ended && self.attempts.last_mut().is_some_and(Entry::withdraw) {
            return;
        }
        if !ended
            && !self.ends_by(patience.unanswered).await
            && let Some(entry) = self.attempts.last_mut()
        {
            entry.give_up();
        }
    }

    /// Whether, by then, the attempt begun last has ended, or any was accepted.
    async fn ends_by(&mut self, until: Instant) -> bool {
        while !self.is_won() && self.attempts.last().is_some_and(|a| a.finished.is_none()) {
            if timeout_at(until, self.next()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Whether somebody was asked, and everybody who was has failed for certain, in a way that lets the message go on.
    pub(super) fn is_lost(&self) -> bool {
        self.asked() > 0 && self.kinds().all(|kind| kind.next() == Next::Provider)
    }

    /// Waits until any attempt ends; false when none is under way, or `until` comes first.
    pub(super) async fn next_end(&mut self, until: Instant) -> bool {
        self.attempts.iter().any(|a| a.finished.is_none()) && timeout_at(until, self.next()).await.is_ok()
    }

    /// How each attempt failed, in the order they were begun; one that has not ended is in doubt.
    pub(super) fn kinds(&self) -> impl Iterator<Item = FailureKind> {
        self.attempts.iter().map(Entry::kind)
    }

    /// How the next provider's turn comes.
    pub(super) fn turn(&self) -> Turn {
        match self.asked() {
            0 => Turn::First,
            _ if self.kinds().all(|kind| kind == FailureKind::Rejected) => Turn::Detour,
            _ => Turn::Failover,
        }
    }

    /// Whose turn was last, and how that failed.
    pub(super) fn last(&self) -> Option<(&ProviderName, FailureKind)> {
        self.attempts.last().map(|entry| (&entry.provider, entry.kind()))
    }

    /// Whether the limits on sends leave room for one more.
    pub(super) fn may_begin(&self) -> bool {
        let limit =
            if self.kinds().any(|kind| kind == FailureKind::Unconfirmed) { MAX_SENDS_WITH_DOUBT } else { MAX_SENDS };
        self.sends() < limit
    }

    /// Closes the race: what comes from now on is late.
    pub(super) fn finish(mut self) -> Vec<Attempt> {
        let ending = |entry: &mut Entry| match entry.finished.take() {
            Some((result, elapsed)) => (result, elapsed),
            None => (Err(unanswered()), entry.started.elapsed()),
        };
        let attempt = |entry: &mut Entry| {
            entry.leave();
            let (result, elapsed) = ending(entry);
            Attempt { provider: entry.provider.clone(), result, elapsed }
        };
        self.attempts.iter_mut().map(attempt).collect()
    }

    /// Whether an attempt was accepted.
    pub(super) fn is_won(&self) -> bool {
        self.attempts.iter().any(|a| matches!(&a.finished, Some((Ok(_), _))))
    }

    /// Drives every attempt until at least one of them ends.
    async fn next(&mut self) {
        poll_fn(|cx| {
            let mut ended = false;
            for entry in &mut self.attempts {
                ended |= entry.poll(cx);
            }
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        // A refusal that stops the message also stops whoever has not handed it over yet.
        if self.kinds().any(|kind| kind.next() == Next::Stop) {
            self.attempts.iter_mut().for_each(Entry::leave);
        }
    }
}

impl Drop for Race {
    /// A send that was handed over is seen through, whoever stopped waiting for it and why.
    fn drop(&mut self) {
        for mut entry in self.attempts.drain(..) {
            entry.leave();
            if entry.work.is_some() {
                self.tasks.spawn(entry.see_through(Arc::clone(&self.job), Arc::clone(&self.metrics)));
            }
        }
    }
}

impl Entry {
    fn is_unasked(&self) -> bool {
        matches!(&self.finished, Some((Err(e), _)) if e.unasked)
    }

    fn is_unsent(&self) -> bool {
        matches!(&self.finished, Some((Err(e), _)) if e.unsent)
    }

    fn kind(&self) -> FailureKind {
        let error = self.finished.as_ref().and_then(|(ending, _)| ending.as_ref().err());
        error.map_or(FailureKind::Unconfirmed, |e| e.kind)
    }

    /// True when the attempt ends with this.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(work) = &mut self.work else { return false };
        // A panic in a provider is that attempt's end, and a doubt: bytes may have been written.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        let ending = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(ending)) => ending,
            Err(_) => Err(SendError::new(FailureKind::Unconfirmed, "panic")),
        };
        self.end(ending);
        true
    }

    fn end(&mut self, ending: Ending) {
        self.work = None;
        if let Some(permit) = self.permit.take() {
            permit.settle(ending.as_ref().map(drop));
        }
        let was_asked = !ending.as_ref().is_err_and(|e| e.unasked);
        if let Some((learn, way)) = self.learn.as_ref().filter(|_| was_asked) {
            learn.ended(way, ending.is_ok());
        }
        self.finished = Some((ending, self.started.elapsed()));
    }

    /// Its time to hand the message over has come and gone; true when it did not: nothing will be, and that is certain.
    fn withdraw(&mut self) -> bool {
        let unwritten = self.work.is_some() && self.handover.withdraw();
        if unwritten {
            self.end(Err(SendError::unsent("timeout")));
        }
        unwritten
    }

    /// Its time to answer is over. Not answering by then is a failure of the provider, whatever it says later.
    fn give_up(&mut self) {
        self.handover.close();
        if let Some(permit) = &self.permit {
            permit.settle(Err(&unanswered()));
        }
    }

    /// The race is over, or stopped. If nothing was handed over the attempt says nothing of the provider: its time was not
    /// over.
    fn leave(&mut self) {
        if self.work.is_some() && self.handover.close() {
            let error = SendError::new(FailureKind::Unavailable, "too_late");
            self.end(Err(SendError { unasked: true, ..error }));
        }
    }

    /// Waits for an attempt that nobody else waits for any more, and tells log, metrics and whoever remembers it how it
    /// ended.
    async fn see_through(mut self, job: Arc<Job>, metrics: Arc<Metrics>) {
        poll_fn(|cx| if self.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        let Some((ending, elapsed)) = self.finished.take() else { return };
        let channel = job.message.channel;
        let failure = ending.as_ref().err();
        let kind = failure.map(|e| e.kind);
        metrics.ended_late(&AttemptLabels::new(&self.provider, channel, kind));
        tracing::info!(
            provider = %self.provider,
            channel = channel.as_str(),
            kind = kind.map_or("accepted", FailureKind::as_str),
            code = failure.map(|e| e.code.as_str()),
            transaction_id = ending.as_ref().ok().map(|a| a.transaction_id.as_str()),
            elapsed_ms = elapsed.as_millis(),
            event_id = job.message.event_id.as_ref().map(tracing::field::display),
            phone_ref = job.phone_ref,
            "late outcome"
        );
        job.afterwards.ended(&job.message, &Attempt { provider: self.provider, result: ending, elapsed }).await;
    }
}

fn unanswered() -> SendError {
    SendError::new(FailureKind::Unconfirmed, "timeout")
}
