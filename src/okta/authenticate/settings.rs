//! `[orgs.*.auth]`: how Okta proves itself to one org, as typed, and the rules that it must keep.
//!
//! Must not compare anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDED, HOST, HeaderName,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use serde::Deserialize;

use super::Authenticate;
use crate::okta::oauth;
use crate::secret::{CredentialDigest, Environment, GUESSABLE, IdRef, Secret, SecretRef};
use crate::settings::Findings;

/// Headers that HTTP, or a proxy on the way, has a use of its own for: they never hold just what Okta was told to send.
const TAKEN: [HeaderName; 14] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    FORWARDED,
    HOST,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("x-forwarded-for"),
];

/// `[orgs.*.auth]`: any configured method suffices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A header with a fixed value.
    pub header: Option<HeaderSettings>,
    /// HTTP Basic.
    pub basic: Option<BasicSettings>,
    /// Access tokens of an authorization server.
    pub oauth: Option<oauth::Settings>,
}

/// `auth.header`: Okta's authentication field and secret, as typed in its console.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderSettings {
    /// Name of the header.
    pub name: String,
    /// Its whole value, a scheme such as `Basic …` included.
    pub secret: Option<SecretRef>,
    /// The value before the last rotation, still accepted.
    pub previous_secret: Option<SecretRef>,
}

impl Default for HeaderSettings {
    fn default() -> Self {
        Self { name: "authorization".to_owned(), secret: None, previous_secret: None }
    }
}

/// `auth.basic`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicSettings {
    /// User name; without a colon.
    pub username: Option<IdRef>,
    /// Password.
    pub password: Option<SecretRef>,
    /// The password before the last rotation, still accepted.
    pub previous_password: Option<SecretRef>,
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Authenticate {
        let mut found = Authenticate::nobody();
        if self.header.is_none() && self.basic.is_none() && self.oauth.is_none() {
            findings
                .fault(at, "configure header, basic or oauth: without one, anybody could send messages at your cost");
        }
        if let Some(header) = &self.header {
            header.check(&format!("{at}.header"), environment, findings, &mut found);
        }
        if let Some(basic) = &self.basic {
            basic.check(&format!("{at}.basic"), environment, findings, &mut found);
        }
        if let Some(oauth) = &self.oauth {
            found.tokens = oauth.check(&format!("{at}.oauth"), environment, findings);
        }
        found
    }
}

impl HeaderSettings {
    fn check(&self, at: &str, environment: &Environment, findings: &mut Findings, found: &mut Authenticate) {
        let name = self.name.parse::<HeaderName>().map_err(|_| "must be a header name").and_then(|name| {
            if TAKEN.contains(&name) {
                Err("must not be a header that HTTP or a proxy needs for itself")
            } else {
                Ok(name)
            }
        });
        let name = name.map_err(|rule| findings.fault(format!("{at}.name"), rule));
        let secret = required(self.secret.as_ref(), &format!("{at}.secret"), environment, findings);
        let previous = optional(self.previous_secret.as_ref(), &format!("{at}.previous_secret"), environment, findings);
        let (Ok(name), Some(secret)) = (name, secret) else { return };
        let digests = [Some(&secret), previous.as_ref()].into_iter().flatten();
        found.header = Some((name.clone(), digests.map(|s| CredentialDigest::of(s.expose().as_bytes())).collect()));
        found.current = Some((name, secret));
    }
}

impl BasicSettings {
    fn check(&self, at: &str, environment: &Environment, findings: &mut Findings, found: &mut Authenticate) {
        let username = self.username.as_ref().map_or_else(|| Ok(String::new()), |place| place.resolve(environment));
        let username = username.and_then(|name| {
            let fits = !name.is_empty() && !name.contains(|c: char| c == ':' || c.is_control());
            fits.then_some(name).ok_or_else(|| "must be a name without a colon or control character".to_owned())
        });
        let username = username.map_err(|rule| findings.fault(format!("{at}.username"), rule));
        let password = required(self.password.as_ref(), &format!("{at}.password"), environment, findings);
        let previous =
            optional(self.previous_password.as_ref(), &format!("{at}.previous_password"), environment, findings);
        let (Ok(username), Some(password)) = (username, password) else { return };
        let pair = |password: &Secret| format!("{username}:{}", password.expose());
        found.basic = [Some(&password), previous.as_ref()]
            .into_iter()
            .flatten()
            .map(|p| CredentialDigest::of(pair(p).as_bytes()))
            .collect();
        if found.current.is_none() {
            let value = Secret::new(&format!("Basic {}", STANDARD.encode(pair(&password))));
            found.current = value.map(|value| (AUTHORIZATION, value));
        }
    }
}

fn required(place: Option<&SecretRef>, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Secret> {
    if place.is_none() {
        findings.fault(at, "is required");
    }
    optional(place, at, environment, findings)
}

fn optional(place: Option<&SecretRef>, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Secret> {
    let secret = place?.resolve_for_header(environment).map_err(|rule| findings.fault(at, rule)).ok()?;
    if secret.is_guessable() {
        findings.warn(at, GUESSABLE);
    }
    Some(secret)
}
