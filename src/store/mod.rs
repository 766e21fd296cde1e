//! The state store: a few values that leave by themselves, kept in this process or shared by several.
//!
//! Must not know what it keeps. A store is a help, never a condition: every operation may fail, says so in time, and
//! its caller goes on without it.

mod expiring;
mod fading;
mod faults;
mod insist;
mod members;
mod memory;
mod queue;
mod redis;
mod settings;
mod watched;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::metrics::Metrics;
use crate::secret::KeyedHash;
use expiring::Expiring;
pub use fading::Fading;
pub use faults::Faults;
pub use insist::insist;
pub use memory::Memory;
pub use queue::Queue;
pub use redis::{Redis, SetupFault};
pub use settings::{Backend, Config, MAX_TIMEOUT, Settings};
use watched::Watched;

/// How long the start waits for a shared store: a first connection over TLS takes longer than `state.timeout`.
const WARM_UP: Duration = Duration::from_secs(1);

/// What the server remembers, each value for its time.
///
/// What is changed under one key is changed in one step for whoever else uses the store: two replicas that claim one key
/// do not both get it. Several keys of one operation are not changed together.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Takes a key that nobody holds, or tells what its holder has put there. `value` must be the caller's own, unlike
    /// any other: an operation repeated over a broken connection knows itself by it.
    async fn claim(&self, key: &Key, value: Bytes, ttl: Duration) -> Result<Claim, StoreFault>;

    /// The value of a key.
    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreFault>;

    /// Puts a value under each of these keys, in the place of any other. After a fault it may stand under some of them.
    async fn write(&self, keys: &[Key], value: Bytes, ttl: Duration) -> Result<(), StoreFault>;

    /// Forgets a key of whatever kind; says whether there was one.
    async fn remove(&self, key: &Key) -> Result<bool, StoreFault>;

    /// Adds to counters and sets, and says how far each has come. After a fault some may have been added to.
    async fn tally(&self, tallies: &[Tally<'_>]) -> Result<Vec<u64>, StoreFault>;

    /// The members of a set, in no order.
    async fn members(&self, key: &Key) -> Result<Vec<KeyedHash>, StoreFault>;
}

/// One counter or set, and what is added to it.
#[derive(Debug, Clone)]
pub struct Tally<'a> {
    /// Where it is.
    pub key: Key,
    /// What is added.
    pub add: Add<'a>,
    /// A counter's time runs from its first use and is not renewed: a window. Of a set each member leaves by itself, so
    /// long after it was added last.
    pub ttl: Duration,
}

/// What is added to a counter or a set.
#[derive(Debug, Clone, Copy)]
pub enum Add<'a> {
    /// So much, to a counter.
    Count(u64),
    /// These members, to a set: how far it has come is how many different ones it has.
    Members(&'a [KeyedHash]),
}

/// The answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is the caller's.
    Claimed,
    /// Somebody else's, with this value.
    Existing(Bytes),
}

/// A key: a word that says what is kept there, and a keyed hash of what it is about. It cannot hold a number or a code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// First, as it tells most keys apart.
    of: KeyedHash,
    kind: Cow<'static, str>,
}

impl Key {
    /// The key of one thing of a kind.
    pub fn new(kind: &'static str, of: KeyedHash) -> Self {
        Self { of, kind: Cow::Borrowed(kind) }
    }

    /// What it is about.
    pub fn of(&self) -> KeyedHash {
        self.of
    }

    /// One hash that stands for kind and all, where no store needs to tell kinds apart by name.
    fn whole(&self) -> KeyedHash {
        self.of.within(&self.kind)
    }

    /// Reads a key back that was stored as a text.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, of) = text.rsplit_once(':')?;
        Some(Self { of: KeyedHash::parse(of)?, kind: Cow::Owned(kind.to_owned()) })
    }
}

impl fmt::Display for Key {
    /// The key as a store writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        f.write_str(":")?;
        self.of.fmt(f)
    }
}

impl Hash for Key {
    /// The hash alone: few kinds share one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

/// An operation did not happen, or nobody knows whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// No answer within `state.timeout`.
    #[error("timeout")]
    Timeout,
    /// Memory is full of what must not be dropped.
    #[error("full")]
    Full,
    /// The store cannot be reached or refused, with its error code.
    #[error("{0}")]
    Broken(String),
}

/// Where this server remembers: in its own memory, or in a store that its replicas share.
#[derive(Debug, Clone)]
pub struct State {
    shared: Option<Arc<dyn Store>>,
    connection: Option<Arc<Redis>>,
    max_entries: usize,
    timeout: Duration,
    faults: Faults,
}

impl State {
    /// Opens what the configuration names. Connects to nobody yet; needs a runtime.
    ///
    /// # Errors
    /// When the address or the certificates of a shared store cannot be used.
    pub fn open(config: &Config, metrics: Arc<Metrics>) -> Result<Self, SetupFault> {
        let connection = match &config.backend {
            Backend::Memory => None,
            Backend::Redis { url, ca_file } => {
                Some(Arc::new(Redis::open(url, ca_file.as_deref(), &config.prefix, config.timeout)?))
            }
        };
        let faults = Faults::new(metrics);
        let watch = |redis: &Arc<Redis>| -> Arc<dyn Store> {
            Arc::new(Watched::new(Arc::clone(redis), config.timeout, faults.clone()))
        };
        let shared = connection.as_ref().map(watch);
        Ok(Self { shared, connection, max_entries: config.max_entries, timeout: config.timeout, faults })
    }

    /// Shares a store that was opened elsewhere; for tests.
    pub fn over(store: Arc<dyn Store>, timeout: Duration, metrics: Arc<Metrics>) -> Self {
        let faults = Faults::new(metrics);
        let shared: Arc<dyn Store> = Arc::new(Watched::new(store, timeout, faults.clone()));
        Self { shared: Some(shared), connection: None, max_entries: usize::MAX, timeout, faults }
    }

    /// Opens the connection to a shared store before the first hook needs it. Failing is told and stops nothing.
    pub async fn warm_up(&self) {
        let Some(redis) = &self.connection else { return };
        let reached = tokio::time::timeout(WARM_UP, redis.ping()).await.unwrap_or(Err(StoreFault::Timeout));
        if let Err(fault) = reached {
            tracing::warn!(%fault, "the state store cannot be reached: starting without it");
        }
    }

    /// Reaches a shared store twice and tells how long the second time took, which no connection had to be made for;
    /// `None` when there is no such store. For `doctor`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn probe(&self) -> Option<Result<Duration, StoreFault>> {
        let redis = self.connection.as_ref()?;
        let ping = async || tokio::time::timeout(WARM_UP, redis.ping()).await.unwrap_or(Err(StoreFault::Timeout));
        if let Err(fault) = ping().await {
            return Some(Err(fault));
        }
        let begun = tokio::time::Instant::now();
        Some(ping().await.map(|()| begun.elapsed()))
    }

    /// A store to keep things in: the shared one, or memory of the caller's own, which nobody else can fill.
    pub fn store(&self) -> Arc<dyn Store> {
        self.shared.clone().unwrap_or_else(|| Arc::new(self.memory()))
    }

    fn memory(&self) -> Memory {
        Memory::new(self.max_entries).counted(self.faults.clone())
    }

    /// Where to put work that must not be lost: best first. The last one is memory of the caller's own, which always
    /// answers and which a crash empties.
    pub fn queues(&self) -> Vec<Arc<dyn Queue>> {
        let shared = self.connection.iter().map(|redis| -> Arc<dyn Queue> {
            Arc::new(Watched::new(Arc::clone(redis), self.timeout, self.faults.clone()))
        });
        let memory: Arc<dyn Queue> = Arc::new(self.memory());
        shared.chain([memory]).collect()
    }

    /// The store that replicas share, if there is one.
    pub fn shared(&self) -> Option<Arc<dyn Store>> {
        self.shared.clone()
    }

    /// How many entries may be kept in memory.
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// Longest wait for the store.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Where faults are counted and told.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}
