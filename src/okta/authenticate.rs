//! Is the caller Okta? Answered from the headers alone.
//!
//! Must not see a body. Every configured credential is compared with every presented one, by digests of one length and
//! in constant time; a missing header takes the same path as a wrong one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde::Deserialize;
use subtle::Choice;

use crate::secret::{CredentialDigest, Environment, Secret, SecretRef};
use crate::settings::Findings;

/// Below this a secret can be guessed; 32 random bytes are 43 characters in base64.
const WEAK_BELOW_CHARS: usize = 16;

/// `[orgs.*.auth]`: any configured method suffices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A header with a fixed value.
    pub header: Option<HeaderSettings>,
    /// HTTP Basic.
    pub basic: Option<BasicSettings>,
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
    pub username: Option<String>,
    /// Password.
    pub password: Option<SecretRef>,
    /// The password before the last rotation, still accepted.
    pub previous_password: Option<SecretRef>,
}

/// The checked credentials of one org.
#[derive(Debug, Clone)]
pub struct Authenticate {
    header: Option<(HeaderName, Vec<CredentialDigest>)>,
    basic: Vec<CredentialDigest>,
    /// The current header secret, or the current Basic credentials: `preview` presents it.
    current: Option<(HeaderName, Secret)>,
}

/// The caller is not Okta. Carries nothing: whoever is refused learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied;

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Authenticate {
        let mut found = Authenticate { header: None, basic: Vec::new(), current: None };
        if self.header.is_none() && self.basic.is_none() {
            findings.fault(at, "configure header or basic: without one, anybody could send messages at your cost");
        }
        if let Some(header) = &self.header {
            header.check(&format!("{at}.header"), environment, findings, &mut found);
        }
        if let Some(basic) = &self.basic {
            basic.check(&format!("{at}.basic"), environment, findings, &mut found);
        }
        found
    }
}

impl HeaderSettings {
    fn check(&self, at: &str, environment: &Environment, findings: &mut Findings, found: &mut Authenticate) {
        let name =
            self.name.parse::<HeaderName>().map_err(|_| findings.fault(format!("{at}.name"), "must be a header name"));
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
        let username = self.username.as_deref().unwrap_or_default();
        if username.is_empty() || username.contains(':') {
            findings.fault(format!("{at}.username"), "must be a name without a colon");
        }
        let password = required(self.password.as_ref(), &format!("{at}.password"), environment, findings);
        let previous =
            optional(self.previous_password.as_ref(), &format!("{at}.previous_password"), environment, findings);
        let Some(password) = password else { return };
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
    let secret = place?.resolve(environment).map_err(|rule| findings.fault(at, rule)).ok()?;
    if secret.expose().chars().count() < WEAK_BELOW_CHARS {
        findings
            .warn(at, format!("is shorter than {WEAK_BELOW_CHARS} characters and can be guessed; use 32 random bytes"));
    }
    Some(secret)
}

impl Authenticate {
    /// Decides from the headers whether the caller is Okta.
    ///
    /// # Errors
    /// When no configured method recognises the caller, or a credential header stands there twice.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let by_header = match &self.header {
            Some((name, digests)) => known(digests, only(headers, name).unwrap_or_default()),
            None => Choice::from(0),
        };
        let presented = only(headers, &AUTHORIZATION).and_then(basic_pair).unwrap_or_default();
        let by_basic = known(&self.basic, &presented);
        if bool::from(by_header | by_basic) { Ok(()) } else { Err(Denied) }
    }

    /// The header that a caller with the current credential sends.
    pub fn current(&self) -> Option<&(HeaderName, Secret)> {
        self.current.as_ref()
    }
}

/// The value of a header that stands there exactly once: a second one could be a smuggled request's.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// `user:password` of an `Authorization: Basic` value.
fn basic_pair(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let encoded = scheme.eq_ignore_ascii_case(b"basic ").then(|| rest.trim_ascii())?;
    STANDARD.decode(encoded).ok()
}

/// Compares with every digest, without stopping at a match.
fn known(digests: &[CredentialDigest], presented: &[u8]) -> Choice {
    let presented = CredentialDigest::of(presented);
    digests.iter().fold(Choice::from(0), |found, digest| found | digest.matches(&presented))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn authenticate(toml: &str) -> Authenticate {
        let settings: Settings = config::Config::builder()
            .add_source(config::File::from_str(toml, config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .expect("settings");
        let mut findings = Findings::default();
        let found = settings.check("auth", &Environment::default(), &mut findings);
        assert_eq!(findings.faults, [], "faults");
        found
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.parse::<HeaderName>().expect("name"), value.parse().expect("value"));
        }
        map
    }

    /// Headers, whether they admit, and why.
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, &'a str);

    #[track_caller]
    fn check(auth: &Authenticate, cases: &[Case<'_>]) {
        for (pairs, admitted, why) in cases {
            assert_eq!(auth.check(&headers(pairs)).is_ok(), *admitted, "{why}");
        }
    }

    #[test]
    fn a_header_admits_the_current_and_the_previous_secret_and_nothing_else() {
        let auth = authenticate(
            "[header]\nname = 'X-Telephony-Key'\nsecret = 'new-secret-0123456789'\nprevious_secret = 'old-secret-0123456789'",
        );
        check(
            &auth,
            &[
                (&[("x-telephony-key", "new-secret-0123456789")], true, "current"),
                (&[("X-TELEPHONY-KEY", "old-secret-0123456789")], true, "previous, any case of the name"),
                (&[("x-telephony-key", "new-secret-012345678")], false, "one character short"),
                (&[("x-telephony-key", "New-secret-0123456789")], false, "other case"),
                (&[("x-telephony-key", "")], false, "empty"),
                (&[], false, "missing"),
                (&[("authorization", "new-secret-0123456789")], false, "the right secret in another header"),
                (
                    &[("x-telephony-key", "new-secret-0123456789"), ("x-telephony-key", "new-secret-0123456789")],
                    false,
                    "twice",
                ),
            ],
        );
    }

    #[test]
    fn basic_admits_the_pair_and_nothing_else() {
        let auth = authenticate(
            "[basic]\nusername = 'okta'\npassword = 'correct horse battery'\nprevious_password = 'older horse battery'",
        );
        let basic = |scheme: &str, pair: &str| format!("{scheme} {}", STANDARD.encode(pair));
        let good = basic("Basic", "okta:correct horse battery");
        let old = basic("basic", "okta:older horse battery");
        let user = basic("Basic", "okto:correct horse battery");
        let bearer = basic("Bearer", "okta:correct horse battery");
        check(
            &auth,
            &[
                (&[("authorization", &good)], true, "current"),
                (&[("authorization", &old)], true, "previous, scheme in lower case"),
                (&[("authorization", &user)], false, "other user"),
                (&[("authorization", &bearer)], false, "other scheme"),
                (&[("authorization", "Basic !!!")], false, "no base64"),
                (&[("authorization", "Basic ")], false, "empty"),
                (&[("authorization", &good), ("authorization", &old)], false, "twice"),
                (&[], false, "missing"),
            ],
        );
    }

    #[test]
    fn any_configured_method_suffices() {
        let auth = authenticate(
            "[header]\nname = 'x-key'\nsecret = 'header-secret-0123456'\n[basic]\nusername = 'okta'\npassword = 'correct horse battery'",
        );
        let basic = format!("Basic {}", STANDARD.encode("okta:correct horse battery"));
        check(
            &auth,
            &[
                (&[("x-key", "header-secret-0123456")], true, "header alone"),
                (&[("authorization", &basic)], true, "basic alone"),
                (&[("x-key", "wrong"), ("authorization", &basic)], true, "one right, one wrong"),
                (&[("x-key", "wrong"), ("authorization", "Basic eDp5")], false, "both wrong"),
            ],
        );
    }

    #[test]
    fn missing_secrets_are_faults_that_name_their_key() {
        let environment = Environment::default();
        let mut findings = Findings::default();
        Settings::default().check("orgs.a.auth", &environment, &mut findings);
        Settings { header: Some(HeaderSettings::default()), basic: Some(BasicSettings::default()) }.check(
            "orgs.b.auth",
            &environment,
            &mut findings,
        );
        let keys: BTreeMap<_, _> = findings.faults.iter().map(|f| (f.key.as_str(), f.rule.as_str())).collect();
        assert_eq!(
            keys.keys().copied().collect::<Vec<_>>(),
            ["orgs.a.auth", "orgs.b.auth.basic.password", "orgs.b.auth.basic.username", "orgs.b.auth.header.secret"]
        );
    }
}
