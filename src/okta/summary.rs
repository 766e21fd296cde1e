//! What an administrator may know of an outcome: no number, no code, no vendor's wording.
//!
//! Must not know whether Okta hears of success or of an error: both carry it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::otp::Outcome;

/// `debugContext` of an error; as a line, `transactionMetadata` of a command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    verdict: &'static str,
    /// `None` when none was looked for, or none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    attempts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u128>,
    /// The accepted send's own id, where its transaction stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_sid: Option<String>,
}

impl Summary {
    pub(super) fn of(outcome: &Outcome, elapsed: Duration) -> Self {
        let accepted = outcome.decisive().and_then(|attempt| attempt.result.as_ref().ok());
        Self {
            attempt_sid: accepted.and_then(|a| a.attempt_id.as_ref()).map(|id| id.as_str().to_owned()),
            route: Some(outcome.route.to_string()),
            attempts: outcome.attempts.iter().map(ToString::to_string).collect(),
            skipped: outcome.skipped.iter().map(|(provider, why)| format!("{provider} {why}")).collect(),
            ..Self::of_none(outcome.verdict.as_str(), Some(elapsed))
        }
    }

    /// Of a message for which no provider was looked for, or of which nothing is known.
    pub(super) fn of_none(verdict: &'static str, elapsed: Option<Duration>) -> Self {
        let elapsed_ms = elapsed.map(|elapsed| elapsed.as_millis());
        Self { verdict, route: None, attempts: Vec::new(), skipped: Vec::new(), elapsed_ms, attempt_sid: None }
    }

    /// `transactionMetadata` is one string in Okta's System Log: keys and values that can be searched for.
    pub(super) fn line(&self) -> String {
        let mut line = format!("verdict={}", self.verdict);
        // Writing into a String cannot fail.
        if let Some(route) = &self.route {
            let _ = write!(line, " route={route}");
        }
        if let Some(elapsed_ms) = self.elapsed_ms {
            let _ = write!(line, " elapsed_ms={elapsed_ms}");
        }
        let _ = write!(line, " attempts=[{}]", self.attempts.join("; "));
        if !self.skipped.is_empty() {
            let _ = write!(line, " skipped=[{}]", self.skipped.join("; "));
        }
        if let Some(sid) = &self.attempt_sid {
            let _ = write!(line, " attempt_sid={sid}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::{Accepted, Attempt, Channel, ProviderName, TransactionId};

    #[test]
    fn the_id_of_one_send_among_several_stands_last() {
        let id = |text: &str| TransactionId::parse(text).expect("an id");
        let line = |attempt_id| {
            let accepted = Accepted { attempt_id, ..Accepted::new(id("VE1")) };
            let (provider, elapsed) = (ProviderName::new("verify"), Duration::from_millis(7));
            let attempts = vec![Attempt { provider, result: Ok(accepted), elapsed }];
            Summary::of(&Outcome::of(Channel::Sms, "default".into(), attempts), elapsed).line()
        };
        let plain = "verdict=accepted route=default elapsed_ms=7 attempts=[verify accepted 7ms]";
        assert_eq!(line(None), plain);
        assert_eq!(line(Some(id("VL2"))), format!("{plain} attempt_sid=VL2"));
    }
}
