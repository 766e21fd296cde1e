//! The attempts under way for one message: who is still out, who answered, and what comes too late.
//!
//! Must not decide who is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::health::Ticket;
use super::{Job, MAX_ATTEMPTS, MAX_ATTEMPTS_WITH_DOUBT};
use crate::metrics::{AttemptLabels, Metrics};
use crate::otp::{Accepted, Attempt, FailureKind, ProviderName, SendError};

/// The attempts under way for one message, and what has come of them.
#[derive(Debug)]
pub(super) struct Race {
    attempts: Vec<Entry>,
    sender: mpsc::UnboundedSender<Finished>,
    receiver: mpsc::UnboundedReceiver<Finished>,
}

#[derive(Debug)]
struct Entry {
    provider: ProviderName,
    ticket: Arc<Ticket>,
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
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { attempts: Vec::new(), sender, receiver }
    }

    /// Enters an attempt; its end is to be told through the report.
    pub(super) fn open(
        &mut self,
        job: &Arc<Job>,
        provider: &ProviderName,
        ticket: Arc<Ticket>,
        metrics: &Arc<Metrics>,
    ) -> Report {
        let started = Instant::now();
        let entry = Entry { provider: provider.clone(), ticket: Arc::clone(&ticket), started, finished: None };
        self.attempts.push(entry);
        Report {
            place: self.attempts.len() - 1,
            to: self.sender.clone(),
            started,
            provider: provider.clone(),
            ticket,
            job: Arc::clone(job),
            metrics: Arc::clone(metrics),
            sent: false,
        }
    }

    /// Attempts begun so far.
    pub(super) fn begun(&self) -> usize {
        self.attempts.len()
    }

    /// Waits until the attempt begun last has ended or `until` has come; true when any attempt was accepted.
    pub(super) async fn wait(&mut self, until: Instant) -> bool {
        while self.attempts.last().is_some_and(|a| a.finished.is_none()) {
            let Ok(Some(finished)) = timeout_at(until, self.receiver.recv()).await else {
                self.give_up_last();
                return false;
            };
            if self.note(finished) {
                return true;
            }
        }
        false
    }

    /// Keeps an attempt's end; true when it was accepted.
    fn note(&mut self, finished: Finished) -> bool {
        let accepted = finished.result.is_ok();
        self.attempts[finished.place].finished = Some((finished.result, finished.elapsed));
        accepted
    }

    /// Not answering in time is a failure of the provider, whatever it says later.
    fn give_up_last(&self) {
        if let Some(entry) = self.attempts.last() {
            entry.ticket.settle(Err(&unanswered()));
        }
    }

    /// The kind of the attempt begun last; one that has not ended is in doubt.
    pub(super) fn last_kind(&self) -> FailureKind {
        let finished = self.attempts.last().and_then(|a| a.finished.as_ref());
        finished.and_then(|(result, _)| result.as_ref().err()).map_or(FailureKind::Unconfirmed, |e| e.kind)
    }

    /// Whether the limits on attempts leave room for one more.
    pub(super) fn may_begin(&self) -> bool {
        let doubt = |a: &Entry| match &a.finished {
            None => true,
            Some((Ok(_), _)) => false,
            Some((Err(e), _)) => e.kind == FailureKind::Unconfirmed,
        };
        let limit = if self.attempts.iter().any(doubt) { MAX_ATTEMPTS_WITH_DOUBT } else { MAX_ATTEMPTS };
        self.attempts.len() < limit
    }

    /// With nobody left to ask, an attempt still under way may yet be accepted: waits for that until `until`.
    pub(super) async fn linger(&mut self, until: Instant) {
        let settled = |a: &Entry| matches!(&a.finished, Some((Ok(_), _)));
        while !self.attempts.iter().any(settled) && self.attempts.iter().any(|a| a.finished.is_none()) {
            let Ok(Some(finished)) = timeout_at(until, self.receiver.recv()).await else { return };
            self.note(finished);
        }
    }

    /// Closes the race: what comes from now on is late.
    pub(super) fn finish(mut self) -> Vec<Attempt> {
        self.receiver.close();
        while let Ok(finished) = self.receiver.try_recv() {
            self.note(finished);
        }
        let attempts = self.attempts.into_iter();
        attempts
            .map(|entry| {
                let (result, elapsed) = entry.finished.unwrap_or_else(|| (Err(unanswered()), entry.started.elapsed()));
                Attempt { provider: entry.provider, result, elapsed }
            })
            .collect()
    }
}

fn unanswered() -> SendError {
    SendError::new(FailureKind::Unconfirmed, "timeout")
}

/// Tells the race how an attempt ended, also when it panicked; tells log and metrics when the race is over.
pub(super) struct Report {
    place: usize,
    to: mpsc::UnboundedSender<Finished>,
    started: Instant,
    provider: ProviderName,
    ticket: Arc<Ticket>,
    job: Arc<Job>,
    metrics: Arc<Metrics>,
    sent: bool,
}

impl Report {
    pub(super) fn send(mut self, result: Result<Accepted, SendError>) {
        self.deliver(result);
    }

    fn deliver(&mut self, result: Result<Accepted, SendError>) {
        self.sent = true;
        self.ticket.settle(result.as_ref().map(drop));
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
