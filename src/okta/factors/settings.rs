//! `[orgs.*.okta]`: where the org's own API is, and the token it is asked with.
//!
//! Must not ask anything.

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use crate::secret::{Environment, Secret, SecretRef};
use crate::settings::{Findings, holds_credentials, is_private};

/// `[orgs.*.okta]`, as typed. Both or neither.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The org's address: `https://example.okta.com`.
    pub url: Option<String>,
    /// An API token of an administrator who may read factors.
    pub api_token: Option<SecretRef>,
}

/// `[orgs.*.okta]`, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The org's address, without a path.
    pub(super) url: Url,
    /// `SSWS …`, marked so that no `Debug` shows it.
    pub(super) authorization: HeaderValue,
}

impl Settings {
    /// Reads the secret and checks the rules; `at` is the key path of this table. `None` when there is none.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Config> {
        let url = self.url.as_deref().filter(|url| !url.trim().is_empty());
        match (url, &self.api_token) {
            (None, None) => return None,
            (None, Some(_)) => findings.fault(format!("{at}.url"), "is required with api_token"),
            (Some(_), None) => findings.fault(format!("{at}.api_token"), "is required with url"),
            (Some(_), Some(_)) => {}
        }
        let url = url.and_then(|url| {
            let address = address(url);
            if address.is_none() {
                findings.fault(format!("{at}.url"), "must be the org's https address alone, https://example.okta.com");
            }
            address
        });
        let token = self.api_token.as_ref().and_then(|token| {
            let token = token.resolve(environment).and_then(|token| authorization(&token));
            token.map_err(|rule| findings.fault(format!("{at}.api_token"), rule)).ok()
        });
        Some(Config { url: url?, authorization: token? })
    }
}

fn address(text: &str) -> Option<Url> {
    let url: Url = text.trim().parse().ok()?;
    let is_bare = !holds_credentials(&url) && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (is_bare && is_private(&url)).then_some(url)
}

fn authorization(token: &Secret) -> Result<HeaderValue, String> {
    if !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Err("must be the token alone, without SSWS: visible ASCII without spaces".to_owned());
    }
    let mut value = HeaderValue::try_from(format!("SSWS {}", token.expose())).expect("visible ASCII");
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: Option<&str>, token: Option<&str>) -> (Option<Config>, Vec<String>) {
        let settings = Settings { url: url.map(str::to_owned), api_token: token.map(SecretRef::plain) };
        let mut findings = Findings::default();
        let config = settings.check("orgs.main.okta", &Environment::default(), &mut findings);
        (config, findings.faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn both_or_neither_and_nothing_but_an_address() {
        assert!(matches!(check(None, None), (None, faults) if faults.is_empty()));
        for url in ["https://example.okta.com", " https://id.example.com/ ", "http://127.0.0.1:8080"] {
            let (config, faults) = check(Some(url), Some("00token"));
            assert!(config.is_some() && faults.is_empty(), "{url}: {faults:?}");
        }
        let rule = "orgs.main.okta.url: must be the org's https address alone, https://example.okta.com";
        for url in [
            "http://example.okta.com",
            "https://example.okta.com/api/v1",
            "https://example.okta.com?x",
            "https://example.okta.com#x",
            "https://user:secret@example.okta.com",
            "example.okta.com",
            "ftp://example.okta.com",
        ] {
            assert_eq!(check(Some(url), Some("00token")).1, [rule], "{url}");
        }
        assert_eq!(check(None, Some("00token")).1, ["orgs.main.okta.url: is required with api_token"]);
        let url = Some("https://example.okta.com");
        assert_eq!(check(url, None).1, ["orgs.main.okta.api_token: is required with url"]);
        let rule = "orgs.main.okta.api_token: must be the token alone, without SSWS: visible ASCII without spaces";
        for token in ["SSWS 00token", "00töken"] {
            assert_eq!(check(url, Some(token)).1, [rule], "{token}");
        }
        assert_eq!(check(url, Some(" ")).1, ["orgs.main.okta.api_token: it is empty"]);
    }

    #[test]
    fn the_token_is_in_no_debug() {
        let (config, _) = check(Some("https://example.okta.com"), Some("00a-secret-token"));
        assert!(!format!("{config:?}").contains("00a-secret"));
    }
}
