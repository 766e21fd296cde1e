//! `[orgs.*.auth] oauth`: whose access tokens admit, and what they must hold.
//!
//! Must not fetch anything.

use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use super::{Rules, Tokens};
use crate::okta::jwks::{Issuer, Source};
use crate::secret::{Environment, IdRef};
use crate::settings::{Findings, holds_credentials, is_private};

/// Domains of Okta's orgs, for a warning.
const OKTA_DOMAINS: [&str; 4] = [".okta.com", ".oktapreview.com", ".okta-emea.com", ".okta-gov.com"];

/// `auth.oauth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The authorization server, as its tokens name it in `iss`: `https://example.okta.com/oauth2/default`.
    pub issuer: Option<String>,
    /// Whom its tokens must be for (`aud`).
    pub audience: String,
    /// The scope they must hold.
    pub scope: Option<String>,
    /// The client they must have been given to.
    pub client_id: Option<IdRef>,
    /// Where the issuer's keys are, when that is not to be discovered.
    pub jwks_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { issuer: None, audience: "api://default".to_owned(), scope: None, client_id: None, jwks_url: None }
    }
}

impl Settings {
    /// Reads the client's id and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Tokens> {
        let issuer = self.issuer.as_deref().unwrap_or_default();
        let place = address(issuer).filter(|url| url.query().is_none() && url.fragment().is_none());
        match &place {
            None if issuer.is_empty() => {
                findings.fault(format!("{at}.issuer"), "is required, such as https://example.okta.com/oauth2/default")
            }
            None => findings.fault(format!("{at}.issuer"), "must be an https address without query"),
            Some(url) if is_org_server(url) => findings.warn(
                format!("{at}.issuer"),
                "looks like Okta's org authorization server, whose tokens nobody else can verify; \
                 use a custom one, such as …/oauth2/default",
            ),
            Some(_) => {}
        }
        let jwks_url = self.jwks_url.as_deref().map(address);
        if jwks_url == Some(None) {
            findings.fault(format!("{at}.jwks_url"), "must be an https address");
        }
        self.check_claims(at, findings);
        let client_id = self.client_id(at, environment, findings);
        let source = Source { issuer: issuer.to_owned(), address: place?, jwks_url: jwks_url.flatten() };
        let rules = Rules {
            issuer: issuer.to_owned(),
            audience: self.audience.clone(),
            scope: self.scope.clone(),
            client_id: client_id.ok()?,
        };
        Some(Tokens::new(rules, Arc::new(Issuer::new(source))))
    }

    /// An id that cannot be read must not admit every client.
    fn client_id(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Result<Option<String>, ()> {
        let Some(place) = &self.client_id else { return Ok(None) };
        let id = place
            .resolve(environment)
            .and_then(|id| if id.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Some(id)) });
        id.map_err(|rule| findings.fault(format!("{at}.client_id"), rule))
    }

    fn check_claims(&self, at: &str, findings: &mut Findings) {
        if self.audience.is_empty() {
            findings.fault(format!("{at}.audience"), "must not be empty");
        }
        match self.scope.as_deref() {
            None => findings.warn(
                format!("{at}.scope"),
                "is not set: every token this issuer gives out for the audience is taken for Okta's",
            ),
            Some(scope) if scope.is_empty() || scope.contains(char::is_whitespace) => {
                findings.fault(format!("{at}.scope"), "must be one scope without spaces");
            }
            Some(_) => {}
        }
    }
}

fn address(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    (!holds_credentials(&url) && is_private(&url)).then_some(url)
}

/// Okta's own authorization server has no `/oauth2/{id}`.
fn is_org_server(url: &Url) -> bool {
    let at_okta = url.host_str().is_some_and(|host| OKTA_DOMAINS.iter().any(|domain| host.ends_with(domain)));
    at_okta && matches!(url.path().trim_end_matches('/'), "" | "/oauth2")
}
