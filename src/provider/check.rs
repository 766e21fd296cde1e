//! Whether an account could send: what a look at it tells, without sending anything.
//!
//! Must not know any vendor's resources. A look is one GET; nothing of a credential, and no text of a vendor's, becomes
//! part of what is told.

use std::time::Duration;

use http::HeaderValue;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::Url;

use crate::outbound::Outbound;

/// A person waits for this answer, and no hook does.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it was.
    pub what: String,
    /// How it is.
    pub diagnosis: Diagnosis,
}

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnosis {
    /// As it should be, with what was seen.
    Ok(String),
    /// It works, but a careful person would see to it.
    Warn(String),
    /// It does not work.
    Fail(String),
    /// It was not looked at, for this reason.
    Skipped(String),
}

impl Check {
    /// Something, and how it is.
    pub fn new(what: impl Into<String>, diagnosis: Diagnosis) -> Self {
        Self { what: what.into(), diagnosis }
    }

    /// Something the vendor offers no call to look at.
    pub fn no_call(what: &str) -> Self {
        Self::new(what, Diagnosis::Skipped("no read-only call".to_owned()))
    }
}

/// Looks at a resource: what it holds, or why it cannot be read.
pub(super) async fn look<T: DeserializeOwned>(
    outbound: &Outbound,
    url: Url,
    authorization: &HeaderValue,
) -> Result<T, Diagnosis> {
    let answer = timeout(TIMEOUT, outbound.read(url, Some(authorization))).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => return Err(Diagnosis::Fail(format!("no answer ({})", e.code))),
        Err(_) => return Err(Diagnosis::Fail("no answer (timeout)".to_owned())),
    };
    match answer.status {
        200 => {
            serde_json::from_slice(&answer.body).map_err(|_| Diagnosis::Fail("the answer cannot be read".to_owned()))
        }
        401 | 403 => Err(Diagnosis::Fail(format!("the credentials are refused (HTTP {})", answer.status))),
        404 => Err(Diagnosis::Fail("there is none of this id (HTTP 404)".to_owned())),
        429 => Err(Diagnosis::Warn("too many calls just now (HTTP 429)".to_owned())),
        status => Err(Diagnosis::Fail(format!("HTTP {status}"))),
    }
}
