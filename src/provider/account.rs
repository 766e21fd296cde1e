//! What the settings of every vendor's account share: its address and ids, credentials in Basic form and those before
//! them, senders by country.
//!
//! Must not know any vendor.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use crate::otp::{Country, Message};
use crate::secret::{Environment, IdRef, Secret, SecretRef};
use crate::settings::{Findings, is_loopback};

/// The configured address, else the vendor's; `at` is the key path of the setting.
pub(super) fn base_url(configured: Option<&Url>, default: &str, at: &str, findings: &mut Findings) -> Option<Url> {
    let url = configured.cloned().or_else(|| default.parse().ok())?;
    if !matches!(url.scheme(), "https" | "http") || url.query().is_some() || url.fragment().is_some() {
        findings.fault(at, "must be an http or https address without query");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        findings.fault(at, "must hold no user and no password: credentials have keys of their own");
        return None;
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        findings.warn(at, "is not https: codes and credentials travel in clear");
    }
    Some(url)
}

/// Whether an address is on one of these domains: a vendor's own, and no test server.
pub(super) fn is_at(url: &Url, domains: &[&str]) -> bool {
    let host = url.host_str().unwrap_or_default();
    domains.iter().any(|domain| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The configured id; empty when there is none, `None` when it cannot be read, which is then noted. `at` is the key path of
/// the setting.
pub(super) fn id(
    place: Option<&IdRef>,
    at: &str,
    environment: &Environment,
    findings: &mut Findings,
) -> Option<String> {
    let read = place.map_or_else(|| Ok(String::new()), |place| place.resolve(environment));
    read.map_err(|rule| findings.fault(at, rule)).ok()
}

/// `Basic …`, marked so that no `Debug` shows it.
pub(super) fn basic(user: &str, secret: &Secret) -> HeaderValue {
    let pair = Zeroizing::new(format!("{user}:{}", secret.expose()));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes()))).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// The credential before the last rotation, by which reports of messages sent before it are known; `at` is the key path
/// of the setting.
pub(super) fn previous(
    place: Option<&SecretRef>,
    at: &str,
    environment: &Environment,
    findings: &mut Findings,
) -> Option<Secret> {
    place?.resolve(environment).map_err(|rule| findings.fault(at, rule)).ok()
}

/// Appends a path to a base address, whether that ends in a slash or not. `path` begins with one.
pub(super) fn join(base_url: &Url, path: &str) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}{path}", base_url.path().trim_end_matches('/')));
    url
}

/// A sender by the recipient's country, else the general one.
#[derive(Debug, Clone)]
pub(super) struct Senders<T> {
    /// For every other country.
    pub general: Option<T>,
    /// For the countries named.
    pub by_country: BTreeMap<Country, T>,
}

impl<T> Senders<T> {
    /// The sender for a message, if there is one for its country.
    pub(super) fn of(&self, message: &Message) -> Option<&T> {
        message.recipient.country().and_then(|c| self.by_country.get(&c)).or(self.general.as_ref())
    }
}

/// Reads the keys of a table by country. Environment variables arrive in lower case; `Country` folds them.
pub(super) fn by_country<'s>(
    table: &'s BTreeMap<String, String>,
    at: &str,
    findings: &mut Findings,
) -> BTreeMap<Country, &'s str> {
    let mut found = BTreeMap::new();
    for (key, sender) in table {
        let at = format!("{at}.by_country.{key}");
        match Country::with_numbers(key) {
            Some(_) if sender.trim().is_empty() => findings.fault(at, "must not be empty"),
            Some(country) => drop(found.insert(country, sender.trim())),
            None => findings.fault(at, "must be keyed by a two-letter country code such as GB"),
        }
    }
    found
}
