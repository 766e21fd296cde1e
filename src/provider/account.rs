//! What vendors' accounts share: an address, ids, credentials in Basic form and those before them, channels, senders by
//! country; and what of a request they are told beside the code.
//!
//! Must not know any vendor.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use crate::otp::{Channel, Country, Message};
use crate::secret::{Environment, IdRef, Secret, SecretRef};
use crate::settings::{Findings, List, holds_credentials, is_private};

/// The configured address, else the vendor's; `at` is the key path of the setting.
pub(super) fn base_url(configured: Option<&Url>, default: &str, at: &str, findings: &mut Findings) -> Option<Url> {
    let url = configured.cloned().or_else(|| default.parse().ok())?;
    if !matches!(url.scheme(), "https" | "http") || url.query().is_some() || url.fragment().is_some() {
        findings.fault(at, "must be an http or https address without query");
        return None;
    }
    if holds_credentials(&url) {
        findings.fault(at, "must hold no user and no password: credentials have keys of their own");
        return None;
    }
    if !is_private(&url) {
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
    sensitive(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// An `Authorization` of visible ASCII, marked so that no `Debug` shows it.
pub(super) fn sensitive(authorization: String) -> HeaderValue {
    let mut value = HeaderValue::try_from(authorization).expect("visible ASCII, as every caller makes sure");
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

/// The channels in a list of their words; `at` is the key path of the setting.
pub(super) fn channels(words: &List, at: &str, findings: &mut Findings) -> Option<Vec<Channel>> {
    let channels: Option<Vec<_>> = words.0.iter().map(|word| Channel::parse(word)).collect();
    let channels = channels.filter(|channels| !channels.is_empty());
    if channels.is_none() {
        findings.fault(at, "must be sms, voice or both");
    }
    channels
}

/// What such a list holds when nothing is set: both.
pub(super) fn all_channels() -> List {
    List(Channel::ALL.map(|channel| channel.as_str().to_owned()).into())
}

/// The address the person signs in from, where it tells people apart: not that of this machine, which Okta's preview
/// sends. An IPv4 address in IPv6 form is unwrapped.
pub(super) fn person_ip(message: &Message) -> Option<IpAddr> {
    message.client_ip.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_loopback())
}

/// Okta's id of the request, where it is plain enough for a vendor to take it as it stands, and to send it back: letters,
/// digits, hyphens and underscores, at most so many.
pub(super) fn plain_event_id(message: &Message, most: usize) -> Option<&str> {
    let id = message.event_id.as_ref()?.as_str();
    let is_plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (is_plain && id.len() <= most).then_some(id)
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
    /// The sender for a message: that of its country or its mainland, if there is one.
    pub(super) fn of(&self, message: &Message) -> Option<&T> {
        let country = message.recipient.country();
        let named = [country, country.and_then(Country::mainland)].into_iter().flatten();
        named.filter_map(|country| self.by_country.get(&country)).next().or(self.general.as_ref())
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
