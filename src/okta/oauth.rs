//! OAuth 2.0: was this access token made for this hook, by the issuer we trust, for Okta?
//!
//! Must not fetch anything or read a clock: keys are at hand or not, the time is told. A token decides nothing about
//! how it is verified: the algorithm is ours, its key id is looked up and nothing else.

mod settings;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::jwks::{Issuer, MAX_KID_BYTES};
pub use settings::Settings;

/// Okta's tokens have about 1 KiB.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far the issuer's clock and ours may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// What `typ` may say (RFC 7519 §5.1, RFC 9068 §2.1). Not Okta's `okta-internal-at+jwt`: it marks the tokens of the org
/// authorization server, which are for Okta's own API and for nobody else to verify.
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// What a token must hold to be admitted.
#[derive(Debug, Clone)]
struct Rules {
    issuer: String,
    audience: String,
    scope: Option<String>,
    client_id: Option<String>,
}

/// Verifies the access tokens of one org.
#[derive(Debug, Clone)]
pub struct Tokens {
    rules: Rules,
    /// What jsonwebtoken checks by itself.
    validation: Validation,
    issuer: Arc<Issuer>,
}

/// Why a token was refused. For our metrics and our log; the caller is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Expired, and right in everything else: Okta's clock, ours, or a token cached for too long.
    Expired,
    /// Not valid yet, and right in everything else.
    NotYetValid,
    /// Not signed by the key it names.
    Signature,
    /// Another algorithm than RS256.
    Algorithm,
    /// From somebody else.
    Issuer,
    /// For somebody else.
    Audience,
    /// Without the scope.
    Scope,
    /// Given to another client.
    Client,
    /// Names a key that is not held.
    UnknownKey,
    /// No token at all, or one with something in it that must not be there.
    Malformed,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Expired,
        Self::NotYetValid,
        Self::Signature,
        Self::Algorithm,
        Self::Issuer,
        Self::Audience,
        Self::Scope,
        Self::Client,
        Self::UnknownKey,
        Self::Malformed,
    ];

    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Signature => "signature",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Scope => "scope",
            Self::Client => "client",
            Self::UnknownKey => "unknown_key",
            Self::Malformed => "malformed",
        }
    }
}

/// The members of a token's header that matter.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    // A token that brings its own key, or says where to fetch it, or wants to be read in another way.
    #[serde(default)]
    jku: Present,
    #[serde(default)]
    jwk: Present,
    #[serde(default)]
    x5u: Present,
    #[serde(default)]
    x5c: Present,
    #[serde(default)]
    crit: Present,
}

/// Whether a member stands there, whatever its value.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// The claims that matter, of whatever type: a wrong one is refused for the claim it stands in.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    iss: Value,
    aud: Value,
    exp: Value,
    nbf: Value,
    scp: Value,
    scope: Value,
    cid: Value,
    client_id: Value,
}

impl Tokens {
    fn new(rules: Rules, issuer: Arc<Issuer>) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[&rules.issuer]);
        validation.set_audience(&[&rules.audience]);
        // Without this a token that leaves one of them out would pass.
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // By the clock we are given, not by the crate's own.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { rules, validation, issuer }
    }

    /// Whose tokens these are.
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// Shares the keys of an equal issuer.
    pub fn issuer_mut(&mut self) -> &mut Arc<Issuer> {
        &mut self.issuer
    }

    /// Verifies a token. Time comes last: `Expired` means that nothing else was wrong.
    ///
    /// # Errors
    /// With the first reason to refuse it.
    pub fn admit(&self, token: &[u8], now: Timestamp) -> Result<(), Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::Malformed);
        }
        let key = self.key(token)?;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key, &self.validation).map_err(|e| reason(e.kind()))?.claims;
        self.rules.check(&claims)?;
        check_time(&claims, now)
    }

    /// The key a token names, if its header is fit to be read at all.
    fn key(&self, token: &[u8]) -> Result<Arc<DecodingKey>, Reason> {
        let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Reason::Malformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Reason::Malformed)?;
        let Header { alg, kid, typ, jku, jwk, x5u, x5c, crit } = header;
        if [jku, jwk, x5u, x5c, crit].iter().any(|member| member.0) {
            return Err(Reason::Malformed);
        }
        if alg != "RS256" {
            return Err(Reason::Algorithm);
        }
        if typ.is_some_and(|typ| !TYPES.contains(&typ.to_ascii_lowercase().as_str())) {
            return Err(Reason::Malformed);
        }
        let kid = kid.filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len())).ok_or(Reason::Malformed)?;
        self.issuer.key(&kid).ok_or(Reason::UnknownKey)
    }
}

impl Rules {
    /// Issuer and audience are jsonwebtoken's to check too; it would take lists that merely hold the right one.
    fn check(&self, claims: &Claims) -> Result<(), Reason> {
        if claims.iss != *self.issuer {
            return Err(Reason::Issuer);
        }
        // Okta sends a text. A list is the same with one entry; with more, whoever else it names could bring it here.
        let alone = claims.aud.as_array().is_some_and(|list| list.len() == 1 && list[0] == *self.audience);
        if claims.aud != *self.audience && !alone {
            return Err(Reason::Audience);
        }
        if let Some(client) = &self.client_id {
            let mut named = [&claims.cid, &claims.client_id].into_iter().filter(|name| !name.is_null()).peekable();
            if named.peek().is_none() || named.any(|name| *name != **client) {
                return Err(Reason::Client);
            }
        }
        if let Some(scope) = &self.scope {
            let listed = claims.scp.as_array().is_some_and(|list| list.iter().any(|entry| *entry == **scope));
            let spelled = claims.scope.as_str().is_some_and(|text| text.split(' ').any(|entry| entry == scope));
            if !listed && !spelled {
                return Err(Reason::Scope);
            }
        }
        Ok(())
    }
}

fn check_time(claims: &Claims, now: Timestamp) -> Result<(), Reason> {
    let expires = moment(&claims.exp).ok_or(Reason::Malformed)?;
    // RFC 7519 §4.1.4: not on that moment or after it.
    if now - LEEWAY >= expires {
        return Err(Reason::Expired);
    }
    if !claims.nbf.is_null() && moment(&claims.nbf).ok_or(Reason::Malformed)? > now + LEEWAY {
        return Err(Reason::NotYetValid);
    }
    Ok(())
}

/// A `NumericDate` (RFC 7519 §2): seconds, possibly with a fraction.
fn moment(claim: &Value) -> Option<Timestamp> {
    let seconds = claim.as_i64().or_else(|| claim.as_f64().map(|seconds| seconds as i64))?;
    Timestamp::from_second(seconds).ok()
}

fn reason(kind: &ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidSignature => Reason::Signature,
        ErrorKind::InvalidAlgorithm => Reason::Algorithm,
        ErrorKind::InvalidIssuer => Reason::Issuer,
        ErrorKind::InvalidAudience => Reason::Audience,
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Reason::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Reason::Audience,
        _ => Reason::Malformed,
    }
}

#[cfg(test)]
mod tests;
