//! The one log line and the counters of a hook.
//!
//! Must not decide anything. What it holds is fit to be seen: names from the configuration, words from fixed sets,
//! a keyed hash of the number, Okta's event id.

use std::sync::Arc;

use super::Rejection;
use crate::deadline::Deadline;
use crate::dedupe::Repeat;
use crate::journal::Previous;
use crate::metrics::Metrics;
use crate::okta::Reply;
use crate::otp::{Channel, Country, EventId, Message, Outcome, RequestType};

/// What is told of one hook when it has been answered.
pub(super) struct Record {
    org: Arc<str>,
    metrics: Arc<Metrics>,
    /// Verdict of the outcome, or why there is none.
    pub verdict: &'static str,
    channel: Option<Channel>,
    country: Option<Country>,
    event_id: Option<EventId>,
    request_type: Option<RequestType>,
    preview: bool,
    phone_ref: String,
    route: Option<Arc<str>>,
    provider: Option<String>,
    transaction_id: Option<String>,
    attempts: Vec<String>,
    skipped: Vec<String>,
    repeat: Option<&'static str>,
    resend: Option<String>,
    fault: Option<String>,
}

impl Record {
    pub(super) fn new(org: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self {
            org: Arc::clone(org),
            metrics: Arc::clone(metrics),
            verdict: "unknown",
            channel: None,
            country: None,
            event_id: None,
            request_type: None,
            preview: false,
            phone_ref: String::new(),
            route: None,
            provider: None,
            transaction_id: None,
            attempts: Vec::new(),
            skipped: Vec::new(),
            repeat: None,
            resend: None,
            fault: None,
        }
    }

    pub(super) fn message(&mut self, message: &Message, phone_ref: &str) {
        self.channel = Some(message.channel);
        self.country = message.recipient.country();
        self.event_id.clone_from(&message.event_id);
        self.request_type = Some(message.request_type.clone());
        self.preview = message.preview;
        phone_ref.clone_into(&mut self.phone_ref);
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        self.verdict = outcome.verdict.as_str();
        self.route = Some(Arc::clone(&outcome.route));
        let decisive = outcome.decisive();
        self.provider = decisive.map(|a| a.provider.to_string());
        self.transaction_id =
            decisive.and_then(|a| a.result.as_ref().ok()).map(|a| a.transaction_id.as_str().to_owned());
        self.attempts = outcome
            .attempts
            .iter()
            .map(|a| match &a.result {
                Ok(_) => format!("{} accepted {}ms", a.provider, a.elapsed.as_millis()),
                Err(e) => format!("{} {e} {}ms", a.provider, a.elapsed.as_millis()),
            })
            .collect();
        self.skipped = outcome.skipped.iter().map(|(provider, why)| format!("{provider} {why}")).collect();
    }

    /// The answer to a repeat, which is no outcome of its own.
    pub(super) fn repeat(&mut self, repeat: Repeat) -> Reply {
        self.verdict = if repeat.heard { "repeat" } else { "repeat_unheard" };
        self.repeat = Some(repeat.reason.as_str());
        repeat.reply
    }

    pub(super) fn previous(&mut self, previous: Option<&Previous>) {
        self.resend = previous.map(|p| format!("{} {}s ago", p.provider, p.seconds_ago));
    }

    pub(super) fn rejected(&mut self, rejection: &Rejection) -> Reply {
        self.verdict = rejection.verdict();
        match rejection {
            Rejection::Unreadable(faults) => {
                self.fault = faults.first().map(|f| format!("{} {}", f.member, f.rule));
            }
            Rejection::Denied(Some(reason)) => {
                self.metrics.token_rejected(&self.org, reason.as_str());
                self.fault = Some(format!("access token: {}", reason.as_str()));
            }
            Rejection::Overloaded => drop(self.metrics.shed.inc()),
            Rejection::Denied(None) | Rejection::SlowBody | Rejection::TooLarge => {}
        }
        rejection.reply()
    }

    /// Counts the hook and writes its line.
    pub(super) fn write(&self, deadline: &Deadline) {
        let elapsed = deadline.elapsed();
        let channel = self.channel.map_or("none", Channel::as_str);
        self.metrics.answered(&self.org, channel, self.verdict, elapsed);
        tracing::info!(
            org = %self.org,
            verdict = self.verdict,
            channel,
            provider = self.provider,
            attempts = self.attempts.len(),
            tried = (!self.attempts.is_empty()).then(|| self.attempts.join("; ")),
            skipped = (!self.skipped.is_empty()).then(|| self.skipped.join("; ")),
            elapsed_ms = (elapsed.as_secs_f64() * 10_000.0).round() / 10.0,
            transaction_id = self.transaction_id,
            event_id = self.event_id.as_ref().map(tracing::field::display),
            phone_ref = (!self.phone_ref.is_empty()).then_some(self.phone_ref.as_str()),
            country = self.country.map(tracing::field::display),
            request_type = self.request_type.as_ref().map(RequestType::as_str),
            route = self.route.as_deref(),
            preview = self.preview.then_some(true),
            repeat = self.repeat,
            resend = self.resend,
            fault = self.fault,
            "hook"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}
