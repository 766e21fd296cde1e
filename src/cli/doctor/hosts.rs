//! Whether the hosts of a provider answer, and what their clocks say, as rows of `doctor`.
//!
//! Must not know any vendor. A host that was asked for the account's sake is not asked again.

use jiff::SignedDuration;
use url::Url;

use super::read;
use crate::outbound::{Outbound, origin};
use crate::provider::{Check, Contact, Diagnosis};

/// Signed requests and the ends of codes bear this much; more is a clock that nobody sets.
const SKEW_WARN: SignedDuration = SignedDuration::from_secs(5);

/// Access tokens are refused from here on, and codes end too early or too late by it.
const SKEW_FAIL: SignedDuration = SignedDuration::from_secs(60);

/// The rows of these addresses, each host once. `looks` are what was asked already.
pub(super) async fn checks(addresses: &[Url], looks: &[Check], outbound: &Outbound) -> Vec<Check> {
    let mut origins: Vec<Url> = Vec::new();
    let mut checks = Vec::new();
    for origin in addresses.iter().map(origin) {
        if origins.contains(&origin) {
            continue;
        }
        let asked = looks.iter().filter_map(|look| look.contact.as_ref()).filter(|contact| contact.origin == origin);
        // One answer proves more than another call's silence.
        let contact = match asked.clone().find(|contact| contact.ahead.is_ok()).or_else(|| asked.clone().next()) {
            Some(contact) => contact.clone(),
            None => {
                let answer = read(outbound, origin.clone()).await;
                Contact::new(&origin, answer.as_ref().map_err(String::as_str))
            }
        };
        checks.extend(rows(&contact));
        origins.push(origin);
    }
    checks
}

/// Any answer will do: it took DNS, a connection and, where the address says so, a certificate we trust.
fn rows(contact: &Contact) -> Vec<Check> {
    let host = |diagnosis| Check::new(contact.origin.host_str().unwrap_or_default(), diagnosis);
    match &contact.ahead {
        Ok(Some(ahead)) => {
            vec![host(Diagnosis::Ok("reachable".to_owned())), Check::new("clock", skew(*ahead))]
        }
        Ok(None) => {
            let told = "reachable; the clock is not checked: the answer has no date";
            vec![host(Diagnosis::Ok(told.to_owned()))]
        }
        Err(cause) => vec![host(Diagnosis::Fail(format!("not reachable ({cause})")))],
    }
}

/// Their clock tells whole seconds and the answer took its time: good to about a second.
fn skew(ahead: SignedDuration) -> Diagnosis {
    let told =
        format!("{} s {} theirs", ahead.abs().as_secs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    if ahead.abs() > SKEW_FAIL {
        Diagnosis::Fail(told)
    } else if ahead.abs() > SKEW_WARN {
        Diagnosis::Warn(told)
    } else {
        Diagnosis::Ok("agrees with theirs".to_owned())
    }
}
