//! `[state]`: where this server remembers.
//!
//! Must not open a connection.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::{SetupFault, redis};
use crate::secret::{Environment, Secret, SecretRef};
use crate::settings::{Findings, duration, is_loopback};

/// The word for a store in this process.
const MEMORY: &str = "memory";

/// A store waited for longer would take from the providers what a failover needs.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(1);

/// `[state]`, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `memory`, or the address of a store that replicas share: `redis://…` or, with TLS, `rediss://…`.
    pub url: SecretRef,
    /// Longest wait for the store.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// What every key in a shared store begins with.
    pub prefix: String,
    /// Entries of each kind kept in memory.
    pub max_entries: usize,
    /// PEM file with the certificate authorities of a shared store, in place of Mozilla's list.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: SecretRef::plain(MEMORY),
            timeout: Duration::from_millis(50),
            prefix: "okta-hook:".to_owned(),
            max_entries: 200_000,
            ca_file: None,
        }
    }
}

/// `[state]`, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The store.
    pub backend: Backend,
    /// Longest wait for it.
    pub timeout: Duration,
    /// What every key begins with.
    pub prefix: String,
    /// Entries of each kind kept in memory.
    pub max_entries: usize,
}

impl Config {
    /// Whether replicas share it.
    pub fn is_shared(&self) -> bool {
        matches!(self.backend, Backend::Redis { .. })
    }
}

/// Which store.
#[derive(Debug, Clone)]
pub enum Backend {
    /// This process's memory.
    Memory,
    /// Redis or Valkey.
    Redis {
        /// Its address, which may hold a user and a password.
        url: Secret,
        /// Its certificate authorities, if not those of Mozilla's list.
        ca_file: Option<PathBuf>,
    },
}

impl Settings {
    /// Reads the address and checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Config {
        findings.within(format!("{at}.timeout"), self.timeout, Duration::from_millis(5), MAX_TIMEOUT);
        // No braces: within them a cluster would put every key on one node.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:/".contains(&b);
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.bytes().all(plain) {
            findings.fault(format!("{at}.prefix"), "must be 1 to 64 letters, digits and -._:/");
        }
        if self.max_entries == 0 {
            findings.fault(format!("{at}.max_entries"), "must be at least 1");
        }
        let backend = self.backend(at, environment, findings).unwrap_or(Backend::Memory);
        if self.ca_file.is_some()
            && !matches!(&backend, Backend::Redis { url, .. } if url.expose().starts_with("rediss:"))
        {
            findings.warn(format!("{at}.ca_file"), "has no effect without a rediss:// address in url");
        }
        Config { backend, timeout: self.timeout, prefix: self.prefix.clone(), max_entries: self.max_entries }
    }

    fn backend(&self, table: &str, environment: &Environment, findings: &mut Findings) -> Option<Backend> {
        let at = format!("{table}.url");
        let secret = self.url.resolve(environment).map_err(|rule| findings.fault(&at, rule)).ok()?;
        if secret.expose() == MEMORY {
            return Some(Backend::Memory);
        }
        let url = Url::parse(secret.expose()).ok().filter(|url| {
            let path = url.path().trim_matches('/');
            matches!(url.scheme(), "redis" | "rediss")
                && url.has_host()
                && path.bytes().all(|b| b.is_ascii_digit())
                // The client would take `#insecure` for leave not to look at certificates.
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = url else {
            findings.fault(
                at,
                "must be memory, or redis://[user:password@]host[:port][/database], or the same with rediss",
            );
            return None;
        };
        if url.scheme() == "redis" && url.password().is_some() && !is_loopback(&url) {
            findings.warn(&at, "is not rediss: the password travels in clear");
        }
        let ca_file = self.ca_file.clone().filter(|_| url.scheme() == "rediss");
        match redis::client(&secret, ca_file.as_deref()) {
            Ok(_) => {}
            Err(SetupFault::Url(rule)) => findings.fault(&at, rule),
            Err(SetupFault::CaFile(rule)) => findings.fault(format!("{table}.ca_file"), rule),
        }
        Some(Backend::Redis { url: secret, ca_file })
    }
}
