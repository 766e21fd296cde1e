//! Is the caller Okta? Answered from the headers alone.
//!
//! Must not see a body. Every configured secret is compared with every presented one, by digests of one length and
//! in constant time; a missing header takes the same path as a wrong one.

mod settings;

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use jiff::Timestamp;
use subtle::Choice;

use super::jwks::Issuer;
use super::oauth::{Reason, Tokens};
use crate::secret::{CredentialDigest, Secret, basic_pair, bearer, only};
pub use settings::{BasicSettings, HeaderSettings, Settings};

/// The checked credentials of one org.
#[derive(Debug, Clone)]
pub struct Authenticate {
    header: Option<(HeaderName, Vec<CredentialDigest>)>,
    basic: Vec<CredentialDigest>,
    tokens: Option<Tokens>,
    /// The current header secret, or the current Basic credentials: `preview` presents it.
    current: Option<(HeaderName, Secret)>,
}

/// The caller is not Okta. With what was wrong with its access token, if it had one: for us, whoever is refused learns
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied(pub Option<Reason>);

impl Authenticate {
    /// Decides from the headers whether the caller is Okta.
    ///
    /// # Errors
    /// When no configured method recognises the caller, or a credential header stands there twice.
    pub fn check(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Denied> {
        let by_header = match &self.header {
            Some((name, digests)) => known(digests, only(headers, name).unwrap_or_default()),
            None => Choice::from(0),
        };
        let authorization = only(headers, &AUTHORIZATION);
        let presented = authorization.and_then(basic_pair).unwrap_or_default();
        let by_basic = known(&self.basic, &presented);
        if bool::from(by_header | by_basic) {
            return Ok(());
        }
        match self.tokens.as_ref().zip(authorization.and_then(bearer)) {
            Some((tokens, token)) => tokens.admit(token, now).map_err(|reason| Denied(Some(reason))),
            None => Err(Denied(None)),
        }
    }

    /// Recognises nobody: stands for settings that have been found wanting.
    pub(super) fn nobody() -> Self {
        Self { header: None, basic: Vec::new(), tokens: None, current: None }
    }

    /// Whether a secret admits here that admits there too.
    pub fn shares_a_secret_with(&self, other: &Self) -> bool {
        let header = |known: &Self| known.header.iter().flat_map(|(_, digests)| digests.clone()).collect::<Vec<_>>();
        let shares = |ours: &[CredentialDigest], theirs: &[CredentialDigest]| {
            ours.iter().any(|ours| theirs.iter().any(|theirs| ours.matches(theirs).into()))
        };
        shares(&header(self), &header(other)) || shares(&self.basic, &other.basic)
    }

    /// The header that a caller with the current credential sends.
    pub fn current(&self) -> Option<&(HeaderName, Secret)> {
        self.current.as_ref()
    }

    /// Whose access tokens admit.
    pub fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.tokens.as_ref().map(Tokens::issuer)
    }

    /// The same, to have it share the keys of an equal issuer.
    pub fn issuer_mut(&mut self) -> Option<&mut Arc<Issuer>> {
        self.tokens.as_mut().map(Tokens::issuer_mut)
    }
}

/// Compares with every digest, without stopping at a match.
fn known(digests: &[CredentialDigest], presented: &[u8]) -> Choice {
    let presented = CredentialDigest::of(presented);
    digests.iter().fold(Choice::from(0), |found, digest| found | digest.matches(&presented))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::okta::oauth;
    use crate::secret::Environment;
    use crate::settings::Findings;

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
            assert_eq!(auth.check(&headers(pairs), Timestamp::UNIX_EPOCH).is_ok(), *admitted, "{why}");
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
        // A rotation that was not cleaned up after.
        let auth = authenticate(
            "[header]\nname = 'x-key'\nsecret = 'same-secret-0123456789'\nprevious_secret = 'same-secret-0123456789'",
        );
        check(&auth, &[(&[("x-key", "same-secret-0123456789")], true, "the current one is the previous one too")]);
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
        let settings = Settings {
            header: Some(HeaderSettings::default()),
            basic: Some(BasicSettings::default()),
            oauth: Some(oauth::Settings::default()),
        };
        settings.check("orgs.b.auth", &environment, &mut findings);
        let keys: BTreeMap<_, _> = findings.faults.iter().map(|f| (f.key.as_str(), f.rule.as_str())).collect();
        assert_eq!(
            keys.keys().copied().collect::<Vec<_>>(),
            [
                "orgs.a.auth",
                "orgs.b.auth.basic.password",
                "orgs.b.auth.basic.username",
                "orgs.b.auth.header.secret",
                "orgs.b.auth.oauth.issuer"
            ]
        );
    }
}
