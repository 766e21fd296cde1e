//! The keys an authorization server signs its tokens with, at hand whenever a token must be verified.
//!
//! Must not fetch while a hook waits: a lookup reads what is held, and a key that is missing is only noted. `refresh`
//! fetches in the background, `fetch` knows where, `set` knows which keys are fit.

mod fetch;
mod refresh;
mod set;

use std::fmt;
use std::sync::{Arc, RwLock};

use jsonwebtoken::DecodingKey;
use tokio::sync::Notify;
use url::Url;

use crate::locks;
use crate::outbound::Outbound;

pub use fetch::{Fault, Fetched};
pub use refresh::Keeper;
pub use set::KeySet;

/// Okta's key ids have 43 bytes. They are looked up and nothing else, but need not be long for that.
pub(super) const MAX_KID_BYTES: usize = 256;

/// Fetches an issuer's keys once and tells how many can be used. For `doctor`.
///
/// # Errors
/// When they cannot be had, or what was had is not to be trusted.
pub async fn count(source: &Source, outbound: &Outbound) -> Result<usize, Fault> {
    fetch::keys(source, outbound).await.map(|fetched| fetched.keys.len())
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The issuer as tokens and metadata must name it, letter by letter.
    pub issuer: String,
    /// The same as an address.
    pub address: Url,
    /// Its key set, when that is not to be discovered.
    pub jwks_url: Option<Url>,
}

/// An issuer and the keys of it that are held.
pub struct Issuer {
    source: Source,
    /// Replaced as a whole, so that a lookup sees one set. Locked for the length of a pointer's copy.
    keys: RwLock<Arc<KeySet>>,
    /// A key was asked for that is not held.
    missed: Notify,
}

impl Issuer {
    /// An issuer none of whose keys are held yet.
    pub fn new(source: Source) -> Self {
        Self { source, keys: RwLock::default(), missed: Notify::new() }
    }

    /// Where its keys are.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether any key is held. Once there is one, there always will be: a bad set replaces none.
    pub fn has_keys(&self) -> bool {
        !self.held().is_empty()
    }

    /// The key a token names. One that is not held may be new: the next refresh is brought forward then.
    pub(super) fn key(&self, kid: &str) -> Option<Arc<DecodingKey>> {
        let key = self.held().key(kid);
        if key.is_none() {
            self.missed.notify_one();
        }
        key
    }

    fn held(&self) -> Arc<KeySet> {
        Arc::clone(&locks::read(&self.keys))
    }

    /// Takes a set in place of the one held.
    pub(super) fn replace(&self, keys: KeySet) {
        *locks::write(&self.keys) = Arc::new(keys);
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer({}, {} keys)", self.source.issuer, self.held().len())
    }
}
