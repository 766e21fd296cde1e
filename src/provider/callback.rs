//! Delivery reports: how a provider's callback is recognised, and what it says.
//!
//! Must not know what follows from a report. A callback is a trait of its own, beside `Provider`: what was not verified
//! cannot be parsed, since only `verify` makes the proof that `parse` demands.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::{Config, eight_by_eight, telesign, twilio};
use crate::otp::{Delivery, TransactionId};
use crate::secret::{KeyedHash, Pseudonyms};

/// A request as it came in, not yet believed.
#[derive(Clone, Copy)]
pub struct CallbackRequest<'r> {
    /// Path and query, as they stand in the request line. The host is nobody's word: it is not here.
    pub path_and_query: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
    /// The whole body.
    pub body: &'r Bytes,
}

/// Proof that a request comes from the provider. Made inside `provider` only.
pub struct Verified(Bytes);

/// The request does not come from the provider, or does not prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    /// The credential that it should carry is wrong or missing.
    Credential,
    /// The signature does not fit, or is missing.
    Signature,
}

/// What a verified request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// How far a message has come.
    Delivery(TransactionId, Delivery),
    /// Nothing that can be read as that.
    Unreadable,
}

/// The callbacks of one configured provider.
///
/// No default bodies: a check that a vendor forgets must not compile.
pub trait Callback: fmt::Debug + Send + Sync + 'static {
    /// Checks that the provider sent the request.
    ///
    /// # Errors
    /// When it did not, or does not prove it.
    fn verify(&self, request: &CallbackRequest<'_>) -> Result<Verified, Forged>;

    /// Reads what the provider says.
    fn parse(&self, verified: Verified) -> Report;

    /// The HTTP status by which the provider is told that its report was taken.
    fn taken(&self) -> u16;
}

/// Where a provider is told to send its reports.
#[derive(Clone)]
pub struct Address {
    /// `{server.public_url}/callbacks/{provider}`.
    pub(super) url: Url,
    /// `server.public_url`.
    base: Url,
    /// Stands in addresses that a vendor does not sign for. Nobody else can guess it.
    pub(super) token: KeyedHash,
}

impl fmt::Debug for Address {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.url)
    }
}

impl Address {
    /// The address of a provider's reports below the public one.
    pub fn new(public_url: &Url, provider: &str, pseudonyms: &Pseudonyms) -> Self {
        let mut url = public_url.clone();
        // Only a URL that cannot be a base has no segments, and no https address is one.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["callbacks", provider]);
        }
        let token = pseudonyms.hash(&[b"callback-token", provider.as_bytes()]);
        Self { url, base: public_url.clone(), token }
    }

    /// The address that a request came to as its sender may know it: without a port, and with one; with the path of
    /// the public address put back, which a proxy may have taken off, and as it stands, if it is there. Path and query
    /// stay as they stood in the request line: parsing could respell them.
    pub(super) fn spellings(&self, path_and_query: &str) -> Vec<String> {
        let (scheme, host) = (self.base.scheme(), self.base.host_str().unwrap_or_default());
        let port = self.base.port_or_known_default().unwrap_or(443);
        let base = self.base.path().trim_end_matches('/');
        let left = !base.is_empty() && path_and_query.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'));
        let paths = [Some(format!("{base}{path_and_query}")), left.then(|| path_and_query.to_owned())];
        let spell = |path: String| [format!("{scheme}://{host}{path}"), format!("{scheme}://{host}:{port}{path}")];
        paths.into_iter().flatten().flat_map(spell).collect()
    }
}

impl Verified {
    pub(super) fn new(request: &CallbackRequest<'_>) -> Self {
        Self(request.body.clone())
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It names a number.
        write!(f, "Verified({} bytes)", self.0.len())
    }
}

impl fmt::Debug for CallbackRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackRequest({} bytes)", self.body.len())
    }
}

impl Report {
    /// A report about a message; unreadable when the id is none.
    pub(super) fn of(id: Option<&str>, delivery: Option<Delivery>) -> Self {
        match (id.and_then(TransactionId::parse), delivery) {
            (Some(id), Some(delivery)) => Self::Delivery(id, delivery),
            (None, _) | (_, None) => Self::Unreadable,
        }
    }
}

/// What recognises a provider's callbacks, or how each of them is refused, as that provider has no means to prove itself.
pub type Recognition = Result<Box<dyn Callback>, Forged>;

/// How a provider's callbacks are met; `None` when it makes none.
pub fn build(config: &Config) -> Option<Recognition> {
    fn or(reports: Option<impl Callback>, forged: Forged) -> Recognition {
        reports.map(|reports| Box::new(reports) as Box<dyn Callback>).ok_or(forged)
    }
    match config {
        Config::EightByEight(config) => Some(or(eight_by_eight::Reports::new(config), Forged::Credential)),
        Config::Sandbox(_) | Config::Verify(_) => None,
        Config::Telesign(config) => Some(or(telesign::Reports::new(config), Forged::Signature)),
        Config::Twilio(config) => Some(or(twilio::Reports::new(config), Forged::Signature)),
    }
}

impl Config {
    /// Has the provider send its delivery reports below this address, if it can prove itself there.
    pub fn reporting_to(mut self, public_url: Option<&Url>, name: &str, pseudonyms: &Pseudonyms) -> Self {
        let address = public_url.map(|url| Address::new(url, name, pseudonyms));
        match &mut self {
            Self::EightByEight(config) => config.report_to(address),
            Self::Telesign(config) => config.report_to(address),
            Self::Twilio(config) => config.report_to(address),
            Self::Sandbox(_) | Self::Verify(_) => {}
        }
        self
    }

    /// Why this provider is asked for no delivery reports below this address: they could not be told from forged ones,
    /// or would not come. `None` when it is asked, or when it has none.
    pub fn unreported(&self, public_url: &Url) -> Option<&'static str> {
        match self {
            Self::EightByEight(config) => config.unproven(),
            Self::Sandbox(_) | Self::Verify(_) => None,
            Self::Telesign(config) => config.unreported(public_url),
            Self::Twilio(config) => config.unreported(public_url),
        }
    }
}
