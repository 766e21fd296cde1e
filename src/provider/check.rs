//! Whether an account could send: what a look at it tells, without sending anything.
//!
//! Must not know any vendor's resources. A look is one `GET`; nothing of a credential, and no text of a vendor's, becomes
//! part of what is told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::Url;

use crate::outbound::{Answer, Outbound, Request, origin};

/// A person waits for this answer, and no hook does.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it was.
    pub what: String,
    /// How it is.
    pub diagnosis: Diagnosis,
    /// The host that was asked for it, if one was.
    pub contact: Option<Contact>,
}

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// As it should be, with what was seen.
    Ok(String),
    /// It works, or nobody can tell; a careful person would see to it.
    Warn(String),
    /// It does not work.
    Fail(String),
}

/// What a call tells of the host it went to, whatever it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The host's own address, without a path.
    pub origin: Url,
    /// By how much our clock was ahead of the one in the answer, if that held one; what failed when there was no answer.
    pub ahead: Result<Option<SignedDuration>, String>,
}

impl Contact {
    /// With a host that has just answered, or has not.
    pub fn new(url: &Url, answer: Result<&Answer, &str>) -> Self {
        let ahead = |answer: &Answer| answer.date.map(|date| Timestamp::now().duration_since(date));
        Self { origin: origin(url), ahead: answer.map(ahead).map_err(str::to_owned) }
    }
}

impl Check {
    /// Something, and how it is.
    pub fn new(what: impl Into<String>, diagnosis: Diagnosis) -> Self {
        Self { what: what.into(), diagnosis, contact: None }
    }

    pub(super) fn with(self, contact: Contact) -> Self {
        Self { contact: Some(contact), ..self }
    }

    /// None of the calls that are made here tells whether the account may use the sender, however well it is.
    pub(super) fn but_for_the_sender(self) -> Self {
        let add = |told: String| told + "; the sender is not checked: the first message tells";
        let diagnosis = match self.diagnosis {
            Diagnosis::Ok(told) => Diagnosis::Ok(add(told)),
            Diagnosis::Warn(told) => Diagnosis::Warn(add(told)),
            Diagnosis::Fail(told) => Diagnosis::Fail(told),
        };
        Self { diagnosis, ..self }
    }
}

/// Looks at a resource: what it holds, or why it cannot be read.
pub(super) async fn look<T: DeserializeOwned>(
    outbound: &Outbound,
    request: Request,
) -> (Result<T, Diagnosis>, Contact) {
    let (answer, contact) = ask(outbound, request).await;
    let read = answer.and_then(|answer| match answer.status {
        200 => {
            serde_json::from_slice(&answer.body).map_err(|_| Diagnosis::Fail("the answer cannot be read".to_owned()))
        }
        status => Err(refusal(status)),
    });
    (read, contact)
}

/// Asks, and says so when nobody answers.
pub(super) async fn ask(outbound: &Outbound, request: Request) -> (Result<Answer, Diagnosis>, Contact) {
    let url = request.url.clone();
    let answer = match timeout(TIMEOUT, outbound.send(request)).await {
        Ok(answer) => answer.map_err(|e| e.code),
        Err(_) => Err("timeout".to_owned()),
    };
    let contact = Contact::new(&url, answer.as_ref().map_err(String::as_str));
    (answer.map_err(|cause| Diagnosis::Fail(format!("no answer ({cause})"))), contact)
}

/// What an HTTP status other than 200 says of an account.
fn refusal(status: u16) -> Diagnosis {
    match status {
        401 | 403 => Diagnosis::Fail(format!("the credentials are refused (HTTP {status})")),
        404 => Diagnosis::Fail("there is none of this id (HTTP 404)".to_owned()),
        429 => Diagnosis::Warn("too many calls just now (HTTP 429)".to_owned()),
        status => Diagnosis::Fail(format!("HTTP {status}")),
    }
}

/// The codes by which a vendor tells that it does not know an id, and that it does not take the credentials.
pub(super) struct Codes {
    /// Said only to whom it knows.
    pub unknown: &'static [i64],
    /// Of the credentials, whatever the HTTP status.
    pub refused: &'static [i64],
}

impl Codes {
    /// What the answer to a made-up id tells of the credentials: that there is none of it, only those who are known hear.
    pub(super) fn read(&self, status: u16, code: Option<i64>) -> Diagnosis {
        match (status, code) {
            (_, Some(code)) if self.refused.contains(&code) => {
                Diagnosis::Fail(format!("the credentials are refused (HTTP {status}, {code})"))
            }
            (200, _) => Diagnosis::Ok("the credentials are taken".to_owned()),
            (404, Some(code)) if self.unknown.contains(&code) => Diagnosis::Ok("the credentials are taken".to_owned()),
            // Known, and not allowed this look: it says nothing of sending.
            (401 | 403, Some(code)) => Diagnosis::Warn(format!("the account may not ask this (HTTP {status}, {code})")),
            (404, _) => {
                Diagnosis::Warn("HTTP 404 with no code that is known: the credentials are not proven".to_owned())
            }
            (status, _) => refusal(status),
        }
    }
}
