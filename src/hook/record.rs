//! The log lines and the counters of a hook.
//!
//! Must not decide anything. What it holds is fit to be seen: names from the configuration, words from fixed sets,
//! a keyed hash of the number, Okta's event id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Level;

use super::{Rejection, Shared};
use crate::deadline::Deadline;
use crate::dedupe::Repeat;
use crate::journal::Previous;
use crate::metrics::Metrics;
use crate::okta::{Oddity, Reply};
use crate::otp::{Channel, Message, Outcome, RequestId, RequestType, Verdict};
use crate::recent::{Ending, HookRecord};

/// Ends of requests that were not read.
const UNREAD: [Ending; 5] =
    [Ending::Unauthorized, Ending::Overloaded, Ending::SlowBody, Ending::TooLarge, Ending::Unreadable];

/// Ends of messages that no provider was asked for, beside those of outcomes.
const UNSENT: [Ending; 4] = [Ending::Broken, Ending::Expired, Ending::Repeat, Ending::RepeatUnheard];

/// The channel of a request that was not read that far.
const NO_CHANNEL: &str = "none";

/// Every channel and verdict that a hook can be counted with.
pub fn verdicts() -> Vec<(&'static str, &'static str)> {
    let of_messages = || Verdict::ALL.into_iter().map(Ending::Outcome).chain(UNSENT);
    let messages = Channel::ALL.into_iter().flat_map(|channel| of_messages().map(move |end| (channel.as_str(), end)));
    let unread = [Ending::Broken].into_iter().chain(UNREAD).map(|end| (NO_CHANNEL, end));
    messages.chain(unread).map(|(channel, end)| (channel, end.as_str())).collect()
}

/// The route of a message that a switch forbids.
pub(super) const SWITCH: &str = "switch";

/// What is told of one hook when it has been answered.
pub(super) struct Record {
    told: HookRecord,
    /// By what Okta will name the request, should it tell that it failed.
    request: Option<RequestId>,
    in_flight: InFlight,
}

/// Counts a hook among those being worked on, until it is dropped.
struct InFlight(Arc<Metrics>);

impl Record {
    pub(super) fn new(org: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self { told: HookRecord::new(org), request: None, in_flight: InFlight(Arc::clone(metrics)) }
    }

    pub(super) fn message(&mut self, message: &Message, phone_ref: &str) {
        self.told.channel = Some(message.channel);
        self.told.country = message.recipient.country();
        self.told.event_id.clone_from(&message.event_id);
        self.told.request_type = Some(message.request_type.clone());
        self.told.preview = message.preview;
        phone_ref.clone_into(&mut self.told.phone_ref);
        self.request.clone_from(&message.request_id);
    }

    /// A message that cannot be read, of a request with this id.
    pub(super) fn unreadable(&mut self, request: Option<RequestId>) {
        self.request = request;
    }

    /// The id of the request, if it was read that far.
    pub(super) fn request(&self) -> Option<&RequestId> {
        self.request.as_ref()
    }

    /// Tells of what is not as Okta documents it: a line each, as nobody would look for it in the hook's own.
    pub(super) fn odd(&self, oddities: &[Oddity]) {
        let (org, event_id) = (&self.told.org, self.told.event_id.as_ref().map(tracing::field::display));
        for oddity in oddities {
            match oddity {
                Oddity::CodeAsNumber => tracing::warn!(
                    %org,
                    event_id,
                    "otpCode is a JSON number, which loses zeros at its front: they are taken from msgTemplate if it has them"
                ),
                Oddity::TextWithoutCode => {
                    tracing::warn!(%org, event_id, "msgTemplate does not hold the code: it is not used");
                }
            }
        }
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        self.told.ending = Ending::Outcome(outcome.verdict);
        self.told.route = Some(Arc::clone(&outcome.route));
        let decisive = outcome.decisive();
        self.told.provider = decisive.map(|a| a.provider.to_string());
        self.told.transaction_id =
            decisive.and_then(|a| a.result.as_ref().ok()).map(|a| a.transaction_id.as_str().to_owned());
        self.told.attempts = outcome.attempts.iter().map(ToString::to_string).collect();
        self.dropped(outcome);
        self.told.skipped = outcome.skipped.iter().map(|(provider, why)| format!("{provider} {why}")).collect();
    }

    /// Tells of a message that nobody gets although Okta may hear that it was sent. The guard tells of its own.
    fn dropped(&self, outcome: &Outcome) {
        let by_switch = (*outcome.route == *SWITCH).then_some(SWITCH);
        let by = outcome.decisive().map(|attempt| attempt.provider.as_str()).or(by_switch);
        let Some(by) = by.filter(|_| outcome.verdict == Verdict::Blocked) else { return };
        tracing::warn!(
            org = %self.told.org,
            by,
            phone_ref = self.told.phone_ref,
            country = self.told.country.map(tracing::field::display),
            channel = outcome.channel.as_str(),
            "blocked"
        );
    }

    /// The answer to a repeat, which is no outcome of its own.
    pub(super) fn repeat(&mut self, repeat: Repeat) -> Reply {
        self.told.ending = if repeat.heard { Ending::Repeat } else { Ending::RepeatUnheard };
        self.told.repeat = Some(repeat.reason.as_str());
        repeat.reply
    }

    pub(super) fn previous(&mut self, previous: Option<&Previous>) {
        let undelivered = |p: &Previous| if p.undelivered { ", undelivered" } else { "" };
        self.told.resend = previous.map(|p| format!("{} {}s ago{}", p.provider, p.seconds_ago, undelivered(p)));
        if let (Some(previous), Some(channel)) = (previous, self.told.channel) {
            self.in_flight.0.resent(&self.told.org, channel, &previous.provider);
        }
    }

    pub(super) fn rejected(&mut self, rejection: &Rejection) -> Reply {
        self.told.ending = rejection.ending();
        self.told.unauthenticated = matches!(rejection, Rejection::Denied(_));
        match rejection {
            Rejection::Unreadable(faults) => {
                self.told.fault = faults.first().map(ToString::to_string);
            }
            Rejection::Denied(Some(reason)) => {
                self.in_flight.0.token_rejected(&self.told.org, reason.as_str());
                self.told.fault = Some(format!("access token: {}", reason.as_str()));
            }
            Rejection::Overloaded => drop(self.in_flight.0.shed.inc()),
            Rejection::Denied(None) | Rejection::Unread(_) => {}
        }
        rejection.reply()
    }

    /// A panic of ours. Once a send was begun, nobody knows what became of it.
    pub(super) fn broken(&mut self, begun: &AtomicBool) {
        let begun = begun.load(Ordering::Acquire);
        self.told.ending = if begun { Ending::Outcome(Verdict::Unconfirmed) } else { Ending::Broken };
        self.told.fault = Some("panic".to_owned());
    }

    /// The code had run out.
    pub(super) fn expired(&mut self) {
        self.told.ending = Ending::Expired;
    }

    /// Counts the hook, writes its line, and keeps it for whoever asks what happened.
    pub(super) fn write(self, deadline: &Deadline, shared: &Shared) {
        let Self { mut told, in_flight, .. } = self;
        told.elapsed = deadline.elapsed();
        told.at = shared.clock.now();
        let channel = told.channel.map_or(NO_CHANNEL, Channel::as_str);
        in_flight.0.answered(&told.org, channel, told.ending.as_str());
        // Whoever is turned away at the door costs no time: many of them would hide how long Okta waits.
        if !told.unauthenticated {
            in_flight.0.duration.observe(told.elapsed.as_secs_f64());
        }
        log(&told, channel);
        shared.recent.note(told);
    }
}

fn milliseconds(told: &HookRecord) -> f64 {
    (told.elapsed.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The line of a hook. A macro, as the level of a line is fixed where it stands.
macro_rules! line {
    ($level:expr, $told:ident, $channel:ident) => {
        tracing::event!(
            $level,
            org = %$told.org,
            verdict = $told.ending.as_str(),
            channel = $channel,
            provider = $told.provider,
            attempts = $told.attempts.len(),
            tried = (!$told.attempts.is_empty()).then(|| $told.attempts.join("; ")),
            skipped = (!$told.skipped.is_empty()).then(|| $told.skipped.join("; ")),
            elapsed_ms = milliseconds($told),
            transaction_id = $told.transaction_id,
            event_id = $told.event_id.as_ref().map(tracing::field::display),
            phone_ref = (!$told.phone_ref.is_empty()).then_some($told.phone_ref.as_str()),
            country = $told.country.map(tracing::field::display),
            request_type = $told.request_type.as_ref().map(RequestType::as_str),
            route = $told.route.as_deref(),
            preview = $told.preview.then_some(true),
            repeat = $told.repeat,
            resend = $told.resend,
            fault = $told.fault,
            "hook"
        );
    };
}

fn log(told: &HookRecord, channel: &'static str) {
    if told.ending == Ending::Outcome(Verdict::Exhausted) {
        // Every provider failed, and where there is one only, nothing else tells of it.
        line!(Level::ERROR, told, channel);
    } else if told.ending == Ending::Unreadable {
        // A caller who proved to be Okta, and a request that cannot be read: its contract may have changed.
        line!(Level::WARN, told, channel);
    } else {
        line!(Level::INFO, told, channel);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::Unread;

    #[test]
    fn every_word_of_a_rejection_is_among_those_that_are_counted() {
        let rejections = [
            Rejection::Denied(None),
            Rejection::Overloaded,
            Rejection::Unread(Unread::Slow),
            Rejection::Unread(Unread::TooLarge),
            Rejection::Unreadable(Vec::new()),
        ];
        assert_eq!(rejections.map(|rejection| rejection.ending()), UNREAD);
        assert_eq!(verdicts().len(), 2 * (Verdict::ALL.len() + UNSENT.len()) + UNREAD.len() + 1);
    }
}
