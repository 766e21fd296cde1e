//! How an account authenticates: HTTP Basic from its SID and token, or from an API key and its secret.
//!
//! Must not know which product is called. Source: Twilio docs, API keys.

use http::HeaderValue;

use crate::provider::account::{basic, id};
use crate::secret::{Environment, IdRef, SecretRef};
use crate::settings::Findings;

/// The four settings every product of Twilio shares: the account's SID as read, the others as typed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credentials<'s> {
    pub account_sid: Option<&'s str>,
    pub auth_token: Option<&'s SecretRef>,
    pub api_key: Option<&'s IdRef>,
    pub api_secret: Option<&'s SecretRef>,
}

impl Credentials<'_> {
    /// The `Authorization` of every call; `at` is the key path of the provider's table.
    pub(super) fn authorization(
        self,
        at: &str,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<HeaderValue> {
        let (user, key, place) = match (self.auth_token, self.api_key, self.api_secret) {
            (Some(token), None, None) => (self.account_sid.map(str::to_owned), format!("{at}.auth_token"), token),
            (None, Some(api_key), Some(secret)) => {
                let user = sid(Some(api_key), "SK", &format!("{at}.api_key"), environment, findings);
                (user, format!("{at}.api_secret"), secret)
            }
            _ => {
                findings.fault(at, "needs either auth_token, or api_key and api_secret");
                return None;
            }
        };
        let secret = place.resolve(environment).map_err(|rule| findings.fault(key, rule)).ok()?;
        Some(basic(&user?, &secret))
    }
}

/// The configured SID, checked; `None` when it cannot be read. `at` is the key path of the setting.
pub(super) fn sid(
    place: Option<&IdRef>,
    prefix: &str,
    at: &str,
    environment: &Environment,
    findings: &mut Findings,
) -> Option<String> {
    let sid = id(place, at, environment, findings)?;
    check_sid(&sid, prefix, at, findings);
    Some(sid)
}

/// Whether this is a SID of a kind, exactly.
pub(super) fn is_sid(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A SID stands in a path, and before a colon: only what keeps its meaning there. Its usual form is two letters and 32
/// hexadecimal digits; another one may be a test server's.
pub(super) fn check_sid(sid: &str, prefix: &str, at: &str, findings: &mut Findings) {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    if sid.is_empty() {
        findings.fault(at, "is required");
    } else if !sid.bytes().all(fits) || matches!(sid, "." | "..") {
        findings.fault(at, format!("must be a SID: {prefix} and 32 hexadecimal digits"));
    } else if !is_sid(sid, prefix) {
        findings.warn(at, format!("does not look like a SID: {prefix} and 32 hexadecimal digits"));
    }
}
