//! Where an issuer's keys are, and how they are got there.
//!
//! Must not ask any host but the issuer's own, or the one the configuration names: metadata decides nothing else
//! (no server-side request forgery). Must not know when.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::{KeySet, Source};
use crate::outbound::{Answer, Outbound};
use crate::settings::{holds_credentials, is_private};

/// For metadata and keys together. Nobody waits for them, so a slow issuer may take its time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Below the issuer's address, as Okta serves them: RFC 8414 (which would put it in front of the path), then `OpenID`
/// Connect Discovery. Then Okta's own place for keys.
const METADATA: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
const KEYS: &str = "/v1/keys";

/// For answers that do not say how long they are good.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// However short an issuer says: its key servers have a rate limit too.
const MIN_LIFE: Duration = Duration::from_secs(5 * 60);

/// However long it says: a key that was withdrawn is gone a day later.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Keys, and how long they are good.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: KeySet,
    /// From `Cache-Control`, between five minutes and a day.
    pub life: Duration,
}

/// Why there are no new keys. Its text is for our log: words of ours, and never an address that someone else wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing came, for the cause in one word.
    #[error("no answer ({0})")]
    NoAnswer(String),
    /// An answer with this status.
    #[error("HTTP {0} instead of keys")]
    Status(u16),
    /// The metadata speak for somebody else.
    #[error("the metadata name another issuer than the configured one")]
    OtherIssuer,
    /// The metadata send us to another host, or to plain HTTP.
    #[error("the metadata's jwks_uri is not https on the issuer's host; set jwks_url")]
    Elsewhere,
    /// No JWK set.
    #[error("the answer is no JWK set")]
    NoKeySet,
    /// More keys than an authorization server has.
    #[error("the JWK set holds more than 32 keys")]
    TooManyKeys,
    /// A set without a single key of ours.
    #[error("the JWK set holds no RSA key of 2048 bits or more for RS256")]
    NoFitKey,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: Option<String>,
    jwks_uri: Url,
}

/// Fetches the keys.
///
/// # Errors
/// When they cannot be had, or what was had is not to be trusted.
pub(super) async fn keys(source: &Source, outbound: &Outbound) -> Result<Fetched, Fault> {
    let fetched = timeout(TIMEOUT, async {
        let url = match &source.jwks_url {
            Some(url) => url.clone(),
            None => discover(source, outbound).await?,
        };
        let answer = read(outbound, url).await?;
        if answer.status != 200 {
            return Err(Fault::Status(answer.status));
        }
        let life = answer.max_age.unwrap_or(DEFAULT_LIFE).clamp(MIN_LIFE, MAX_LIFE);
        Ok(Fetched { keys: KeySet::parse(&answer.body)?, life })
    });
    fetched.await.unwrap_or_else(|_| Err(Fault::NoAnswer("timeout".to_owned())))
}

/// Asks the issuer where its keys are. What is no metadata counts as none; metadata that lie end the search.
async fn discover(source: &Source, outbound: &Outbound) -> Result<Url, Fault> {
    for place in METADATA {
        let answer = read(outbound, below(&source.address, place)).await?;
        let metadata = (answer.status == 200).then(|| serde_json::from_slice::<Metadata>(&answer.body).ok()).flatten();
        if let Some(metadata) = metadata {
            return trusted(source, metadata);
        }
    }
    Ok(below(&source.address, KEYS))
}

fn trusted(source: &Source, Metadata { issuer, jwks_uri }: Metadata) -> Result<Url, Fault> {
    if issuer.is_some_and(|issuer| issuer != source.issuer) {
        return Err(Fault::OtherIssuer);
    }
    let at_home = jwks_uri.host() == source.address.host();
    let is_fit = at_home && !holds_credentials(&jwks_uri) && is_private(&jwks_uri);
    if is_fit { Ok(jwks_uri) } else { Err(Fault::Elsewhere) }
}

async fn read(outbound: &Outbound, url: Url) -> Result<Answer, Fault> {
    outbound.read(url, None).await.map_err(|e| Fault::NoAnswer(e.code))
}

fn below(address: &Url, place: &str) -> Url {
    let mut url = address.clone();
    url.set_path(&format!("{}{place}", address.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests;
