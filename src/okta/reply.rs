//! Our answers in Okta's words. The only place that knows `SUCCESSFUL`.
//!
//! Must not know how a message was delivered, and cannot write an answer that Okta would call malformed: the status
//! words are an enum, `value` is always an array, and `errorSummary` is always there.
//! Source: `TelephonyInlineHook` of Okta's management API and its telephony guide.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decode::Fault;
use super::summary::Summary;
use super::wording::{Notice, wording};
use crate::otp::{Locale, Outcome, Remedy, Verdict};
use crate::settings::word;

/// An HTTP answer, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status. Okta reads the body of a 200 alone; at any other it sends the code itself.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// Seconds of `Retry-After`, when the caller may come again.
    pub retry_after: Option<u32>,
}

/// `reply.accepted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accepted {
    /// `SUCCESSFUL`.
    Successful,
    /// `PENDING`.
    Pending,
}

/// `reply.unconfirmed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unconfirmed {
    /// `PENDING`: "could not confirm delivery", which is just what happened.
    Pending,
    /// `SUCCESSFUL`.
    Successful,
    /// An error: Okta probably sends a second copy.
    Error,
}

/// `reply.exhausted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhausted {
    /// An error: Okta sends the code itself where it may.
    Error,
    /// `FAILED`.
    Failed,
    /// HTTP 503: Okta sends the code itself and shows the user nothing.
    #[serde(rename = "http-503")]
    Http503,
    /// `SUCCESSFUL`: the person waits for a code that does not come. For orgs that must never fall back.
    Successful,
}

/// `reply.refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// An error with a sentence for the person.
    Error,
    /// `FAILED`.
    Failed,
    /// `SUCCESSFUL`.
    Successful,
}

/// `reply.blocked`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocked {
    /// `SUCCESSFUL`: the one answer after which Okta does not send the code itself.
    Successful,
    /// An error.
    Error,
    /// `FAILED`.
    Failed,
}

/// `[orgs.*.reply]`: what Okta is told for each verdict.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A provider took the message.
    #[serde(deserialize_with = "word")]
    pub accepted: Accepted,
    /// A message may be under way.
    #[serde(deserialize_with = "word")]
    pub unconfirmed: Unconfirmed,
    /// Every provider failed for certain.
    #[serde(deserialize_with = "word")]
    pub exhausted: Exhausted,
    /// What a person may hit.
    #[serde(deserialize_with = "word")]
    pub refused: Refused,
    /// High-confidence fraud.
    #[serde(deserialize_with = "word")]
    pub blocked: Blocked,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accepted: Accepted::Successful,
            unconfirmed: Unconfirmed::Pending,
            exhausted: Exhausted::Error,
            refused: Refused::Error,
            blocked: Blocked::Successful,
        }
    }
}

/// What stands in a provider's place when we stopped a message ourselves and Okta hears that it was sent: whoever reads
/// Okta's System Log must not look for it at a provider.
const POLICY: &str = "policy";

/// Turns outcomes into replies, as one org wants them.
#[derive(Debug, Clone)]
pub struct Replies(Settings);

/// What a verdict becomes.
#[derive(Clone, Copy)]
enum Say {
    Status(Status),
    Error(Notice),
    Unavailable,
}

impl Replies {
    /// Replies by these settings.
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// The reply to an outcome; `elapsed` is the time since the request began.
    pub fn reply(&self, outcome: &Outcome, locale: Option<&Locale>, elapsed: Duration) -> Reply {
        let notice = match outcome.remedy {
            Remedy::OtherNumber => Notice::Refused,
            Remedy::Later => Notice::NotSent,
            Remedy::NewCode => Notice::Expired,
        };
        let say = self.say(outcome.verdict, notice);
        let by_us = self.is_silent(outcome.verdict).then_some(POLICY);
        let by = outcome.decisive();
        let provider = by.map(|attempt| attempt.provider.as_str()).or(by_us);
        let transaction_id = by.and_then(|attempt| attempt.result.as_ref().ok()).map(|a| a.transaction_id.as_str());
        Self::tell(say, (provider, transaction_id), &Summary::of(outcome, elapsed), locale)
    }

    /// Whether Okta hears of messages with this verdict, none of which was sent, that they were.
    pub fn is_silent(&self, verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Blocked | Verdict::Refused)
            && matches!(self.say(verdict, Notice::NotSent), Say::Status(Status::Successful))
    }

    /// The reply to a code that had run out on arrival: nothing was sent. `elapsed` is the time since the request began.
    pub fn expired(locale: Option<&Locale>, elapsed: Duration) -> Reply {
        error(200, wording(Notice::Expired, locale), &[], Some(&Summary::of_none("expired", Some(elapsed))))
    }

    /// The reply when something of ours broke before anything was sent. `elapsed` is the time since the request began,
    /// where it is known.
    pub fn broken(elapsed: Option<Duration>) -> Reply {
        error(200, wording(Notice::NotSent, None), &[], Some(&Summary::of_none("broken", elapsed)))
    }

    /// The reply when a send may be under way and nothing is known of it. `elapsed` is the time since the request began.
    pub fn doubtful(&self, locale: Option<&Locale>, elapsed: Duration) -> Reply {
        let verdict = Verdict::Unconfirmed;
        let say = self.say(verdict, Notice::NotSent);
        Self::tell(say, (None, None), &Summary::of_none(verdict.as_str(), Some(elapsed)), locale)
    }

    /// What a verdict became in Okta's words, with who decided it and under which transaction.
    fn tell(
        say: Say,
        (provider, transaction_id): (Option<&str>, Option<&str>),
        summary: &Summary,
        locale: Option<&Locale>,
    ) -> Reply {
        match say {
            Say::Status(status) => {
                command(&Value { status, provider, transaction_id, transaction_metadata: &summary.line() })
            }
            Say::Error(notice) => error(200, wording(notice, locale), &[], Some(summary)),
            Say::Unavailable => error(503, wording(Notice::NotSent, locale), &[], Some(summary)),
        }
    }

    /// What a verdict becomes; `to_refused` is for a person who is refused.
    fn say(&self, verdict: Verdict, to_refused: Notice) -> Say {
        const OK: Say = Say::Status(Status::Successful);
        const PENDING: Say = Say::Status(Status::Pending);
        const FAILED: Say = Say::Status(Status::Failed);
        match verdict {
            Verdict::Accepted => match self.0.accepted {
                Accepted::Successful => OK,
                Accepted::Pending => PENDING,
            },
            Verdict::Unconfirmed => match self.0.unconfirmed {
                Unconfirmed::Pending => PENDING,
                Unconfirmed::Successful => OK,
                Unconfirmed::Error => Say::Error(Notice::NotSent),
            },
            Verdict::Exhausted => match self.0.exhausted {
                Exhausted::Error => Say::Error(Notice::NotSent),
                Exhausted::Failed => FAILED,
                Exhausted::Http503 => Say::Unavailable,
                Exhausted::Successful => OK,
            },
            Verdict::Refused => match self.0.refused {
                Refused::Error => Say::Error(to_refused),
                Refused::Failed => FAILED,
                Refused::Successful => OK,
            },
            Verdict::Blocked => match self.0.blocked {
                Blocked::Successful => OK,
                Blocked::Error => Say::Error(Notice::NotSent),
                Blocked::Failed => FAILED,
            },
        }
    }
}

impl Reply {
    /// Whether it has Okta send the code itself. Every answer is asked, first ones and repeated ones: a few bytes tell.
    pub fn leaves_to_okta(&self) -> bool {
        let word = self.body.strip_prefix(BEFORE_STATUS.as_bytes());
        let keeps = |word: &[u8]| word.starts_with(b"SUCCESSFUL\"") || word.starts_with(b"PENDING\"");
        self.status != 200 || !word.is_some_and(keeps)
    }

    /// 401. One shape whatever was wrong with the credential.
    pub fn unauthorized() -> Self {
        error(401, "Unauthorized", &[], None)
    }

    /// 403. One shape whatever was wrong with the signature.
    pub fn forbidden() -> Self {
        error(403, "Forbidden", &[], None)
    }

    /// 400, with the member and the rule of every fault. Nothing of the body is echoed but an unknown word for a channel.
    pub fn bad_request(faults: &[Fault]) -> Self {
        error(400, "The request cannot be read", faults, None)
    }

    /// This HTTP status without a body, to what is not a hook: there is nothing to say.
    pub fn noted(status: u16) -> Self {
        Self { status, body: Vec::new(), retry_after: None }
    }

    /// 404.
    pub fn not_found() -> Self {
        error(404, "Not found", &[], None)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        error(405, "Method not allowed", &[], None)
    }

    /// 408: the body did not come in time.
    pub fn timeout() -> Self {
        error(408, "The request body did not arrive in time", &[], None)
    }

    /// 413.
    pub fn too_large() -> Self {
        error(413, "The request body is too large", &[], None)
    }

    /// 429: too many hooks in flight. A 4xx is the class Okta never repeats.
    pub fn overloaded() -> Self {
        Self { retry_after: Some(1), ..error(429, "Too many requests", &[], None) }
    }
}

/// Whether Okta would take an answer: one of the three statuses, and no error.
pub fn is_taken(body: &serde_json::Value) -> bool {
    let status = body["commands"][0]["value"][0]["status"].as_str();
    matches!(status, Some("SUCCESSFUL" | "PENDING" | "FAILED"))
}

// === the wire form ===

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Successful,
    Pending,
    Failed,
}

#[derive(Serialize)]
struct Commands<'a> {
    commands: [Command<'a>; 1],
}

#[derive(Serialize)]
struct Command<'a> {
    r#type: &'static str,
    value: [&'a Value<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Value<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    transaction_metadata: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    error: ErrorObject<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_context: Option<&'a Summary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorObject<'a> {
    error_summary: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    error_causes: &'a [Cause],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    error_summary: String,
    reason: &'static str,
    location_type: &'static str,
    location: String,
    domain: &'static str,
}

/// What stands in a command before its status.
const BEFORE_STATUS: &str = r#"{"commands":[{"type":"com.okta.telephony.action","value":[{"status":""#;

fn command(value: &Value<'_>) -> Reply {
    json(200, &Commands { commands: [Command { r#type: "com.okta.telephony.action", value: [value] }] })
}

fn error(status: u16, summary: &str, faults: &[Fault], debug_context: Option<&Summary>) -> Reply {
    let causes: Vec<Cause> = faults.iter().map(Cause::of).collect();
    json(status, &Failure { error: ErrorObject { error_summary: summary, error_causes: &causes }, debug_context })
}

impl Cause {
    fn of(fault: &Fault) -> Self {
        Self {
            error_summary: fault.to_string(),
            reason: "INVALID_REQUEST",
            location_type: "body",
            location: fault.member.clone(),
            domain: "external-service",
        }
    }
}

fn json(status: u16, body: &impl Serialize) -> Reply {
    // These structs hold texts and numbers only: serde_json has nothing to refuse.
    Reply { status, body: serde_json::to_vec(body).unwrap_or_default(), retry_after: None }
}
