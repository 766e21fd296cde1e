//! `[server]` and `[admin]`.
//!
//! Must not know orgs or providers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::proxies::Proxies;
use super::tls::TlsSettings;
use crate::secret::{Environment, GUESSABLE, Secret, SecretRef};
use crate::settings::{Findings, duration, holds_credentials, is_private};

/// More hooks than one machine can have, fewer than a semaphore can count.
const MAX_IN_FLIGHT: usize = 1_000_000;

/// `[server]`: the public listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// The address Okta and the providers know us by: with it, providers that can prove themselves are asked for reports.
    pub public_url: Option<Url>,
    /// Our certificate; without one, HTTP for a proxy that does TLS.
    pub tls: Option<TlsSettings>,
    /// The proxies in front, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Proxies,
    /// Hooks in flight; one more is answered with 429.
    pub max_in_flight: usize,
    /// Open connections; one more waits in the kernel's queue.
    pub max_connections: usize,
    /// Open connections of one address, or of one /64 of version 6; one more is closed at once. Zero: no limit.
    /// Trusted proxies and this machine have none.
    pub max_connections_per_address: usize,
    /// Bytes of a request body.
    pub max_body: usize,
    /// For a TLS handshake, from connecting on.
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head; also from connecting to the first byte, and for a
    /// caller to take our answer.
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    /// From the head of a request to the end of its body.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// How long a connection may lie idle between requests. Longer than the proxy's in front, or its requests meet a closed door.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// After SIGTERM: how long to go on accepting while `/readyz` already says no, so that load balancers notice.
    #[serde(deserialize_with = "duration")]
    pub shutdown_delay: Duration,
    /// How long requests in flight and detached attempts may then take.
    #[serde(deserialize_with = "duration")]
    pub shutdown_grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            tls: None,
            trusted_proxies: Proxies::default(),
            max_in_flight: 1000,
            max_connections: 4096,
            max_connections_per_address: 256,
            max_body: 64 * 1024,
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(75),
            shutdown_delay: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(15),
        }
    }
}

impl ServerSettings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) {
        if !(1..=MAX_IN_FLIGHT).contains(&self.max_in_flight) {
            findings.fault(format!("{at}.max_in_flight"), format!("must be between 1 and {MAX_IN_FLIGHT}"));
        }
        if self.max_connections == 0 {
            findings.fault(format!("{at}.max_connections"), "must be at least 1");
        }
        if !(1..=1024 * 1024).contains(&self.max_body) {
            findings.fault(format!("{at}.max_body"), "must be between 1 and 1048576 bytes");
        }
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        findings.within(format!("{at}.handshake_timeout"), self.handshake_timeout, millis(100), seconds(60));
        findings.within(format!("{at}.header_timeout"), self.header_timeout, millis(100), seconds(60));
        findings.within(format!("{at}.body_timeout"), self.body_timeout, millis(100), seconds(60));
        findings.within(format!("{at}.idle_timeout"), self.idle_timeout, millis(100), seconds(3600));
        findings.within(format!("{at}.shutdown_delay"), self.shutdown_delay, Duration::ZERO, seconds(60));
        findings.within(format!("{at}.shutdown_grace"), self.shutdown_grace, Duration::ZERO, seconds(120));
        self.check_public_url(&format!("{at}.public_url"), findings);
        if let Some(tls) = &self.tls {
            tls.check(&format!("{at}.tls"), self.public_url.as_ref(), findings);
        }
    }

    fn check_public_url(&self, at: &str, findings: &mut Findings) {
        let Some(url) = &self.public_url else { return };
        if !is_private(url) || url.query().is_some() || url.fragment().is_some() {
            findings.fault(at, "must be an https address without query: Okta calls no other");
        // What plays a vendor in a test on this machine has no certificate to meet.
        } else if url.scheme() == "http" {
            findings.warn(at, "is not https: reports would come in clear, so it is for tests only");
        }
        if holds_credentials(url) {
            findings.fault(at, "must hold no user and no password: it is told to providers");
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
        if !self.base_path().bytes().all(plain) {
            findings.fault(at, "must have no path but of letters, digits and -._~/");
        }
    }

    /// The path of the public address, without a slash at its end; empty in most deployments.
    pub fn base_path(&self) -> &str {
        self.public_url.as_ref().map_or("", |url| url.path().trim_end_matches('/'))
    }

    /// What stands before the address of the public listener.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// `[admin]`: the listener for operators.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Address and port; off loopback only with a token.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// Bearer token that guards everything but `/livez` and `/readyz`.
    pub token: Option<SecretRef>,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)), token: None }
    }
}

impl AdminSettings {
    /// Whether the system would refuse to listen on both addresses.
    pub fn collides_with(&self, other: SocketAddr) -> bool {
        let (ours, theirs) = (self.listen.ip(), other.ip());
        // The wildcard of IPv6 takes IPv4 along.
        let takes = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
        let overlap = takes(ours, theirs) || takes(theirs, ours);
        // Port 0 is one of the system's choice, and never the same.
        self.listen.port() != 0 && self.listen.port() == other.port() && (ours == theirs || overlap)
    }

    /// Reads the token and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<Secret> {
        let Some(token) = &self.token else {
            if !self.listen.ip().is_loopback() {
                findings.fault(format!("{at}.token"), "is required when admin.listen is not a loopback address");
            }
            return None;
        };
        let at = format!("{at}.token");
        let token = token.resolve_for_header(environment).map_err(|rule| findings.fault(at.as_str(), rule)).ok()?;
        if token.is_guessable() && !self.listen.ip().is_loopback() {
            findings.warn(at, GUESSABLE);
        }
        Some(token)
    }
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let rule = "must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080";
    String::deserialize(deserializer)?.trim().parse().map_err(|_| de::Error::custom(rule))
}
