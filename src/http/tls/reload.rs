//! The certificate in use, and how another takes its place while connections go on.
//!
//! Must not touch a connection: whoever has shaken hands stays. Files are read again when they have changed or when
//! somebody asks; a bad pair changes nothing but a log line and a metric.

use std::fmt;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use super::certificate::{CertificateFault, Files, Identity, SOON, TlsSettings};
use crate::deadline::Clock;
use crate::locks::{self, lock};
use crate::metrics::CertificateMetrics;

/// How often the files are looked at. Reading them is what finds every kind of change: a file written in place, one
/// renamed over it, the links that certbot and Kubernetes swap, a network file system that reports nothing.
const LOOK: Duration = Duration::from_secs(2);

/// How often an end that comes near is told of.
const REMIND: Duration = Duration::from_secs(12 * 3600);

/// Our certificate, always the newest good one.
pub struct Certificates {
    settings: TlsSettings,
    crypto: CryptoProvider,
    clock: Clock,
    metrics: CertificateMetrics,
    current: Arc<Current>,
    memory: Mutex<Memory>,
}

/// What handshakes use.
struct Current(RwLock<Identity>);

/// What the files were like. A fault of reading them is a state of theirs like any content.
type Look = Result<Vec<u8>, CertificateFault>;

struct Memory {
    /// When it was looked at them last.
    seen: Look,
    /// When they were last taken or refused.
    judged: Look,
    reminded: Option<Instant>,
}

impl Certificates {
    /// Reads the first certificate.
    ///
    /// # Errors
    /// When there is none that can be used.
    pub fn load(settings: TlsSettings, clock: Clock, metrics: CertificateMetrics) -> Result<Self, CertificateFault> {
        let crypto = super::crypto();
        let files = Files::read(&settings)?;
        let identity = files.identity(&crypto)?;
        metrics.in_use(identity.expires);
        // Checking the settings has told of its end just now.
        let memory = Memory { seen: Ok(files.digest()), judged: Ok(files.digest()), reminded: Some(Instant::now()) };
        let current = Arc::new(Current(RwLock::new(identity)));
        Ok(Self { settings, crypto, clock, metrics, current, memory: Mutex::new(memory) })
    }

    /// The last instant at which the certificate in use is good.
    pub fn expires(&self) -> Timestamp {
        self.current.with(|identity| identity.expires)
    }

    /// Whether that has passed.
    pub fn has_expired(&self) -> bool {
        self.expires() < self.clock.now()
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.current) as _
    }

    /// Reads the files again, changed or not. Tells whether they were taken.
    pub async fn reload(self: &Arc<Self>) -> bool {
        self.on_files(|certificates| {
            let files = Files::read(&certificates.settings);
            let look = look(&files);
            let mut memory = lock(&certificates.memory);
            (memory.seen, memory.judged) = (look.clone(), look);
            certificates.take(files, &mut memory)
        })
        .await
    }

    /// Follows the files, and reminds of the certificate's end, until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.on_files(|certificates| certificates.follow()).await;
        }
    }

    /// Takes a change up once it has stood still from one look to the next: certificate and key are two files, and
    /// whoever renews them writes one after the other.
    fn follow(&self) -> bool {
        let files = Files::read(&self.settings);
        let look = look(&files);
        let mut memory = lock(&self.memory);
        let stands_still = std::mem::replace(&mut memory.seen, look.clone()) == look;
        let taken = if stands_still && memory.judged != look {
            memory.judged = look;
            self.take(files, &mut memory)
        } else {
            false
        };
        self.remind(&mut memory);
        taken
    }

    fn take(&self, files: Result<Files, CertificateFault>, memory: &mut Memory) -> bool {
        let identity = files.and_then(|files| files.identity(&self.crypto));
        self.metrics.reloaded(identity.is_ok());
        match identity {
            Ok(identity) => {
                tracing::info!(expires = %identity.expires, "certificate reloaded");
                self.metrics.in_use(identity.expires);
                memory.reminded = None;
                *locks::write(&self.current.0) = identity;
                true
            }
            Err(fault) => {
                tracing::warn!(cause = %fault, "the certificate on disk cannot be used; the one in use stays");
                false
            }
        }
    }

    fn remind(&self, memory: &mut Memory) {
        let (expires, now) = (self.expires(), self.clock.now());
        if expires.duration_since(now) > SOON || memory.reminded.is_some_and(|last| last.elapsed() < REMIND) {
            return;
        }
        memory.reminded = Some(Instant::now());
        if expires < now {
            tracing::error!(%expires, "the certificate has expired: Okta cannot connect");
        } else {
            tracing::warn!(%expires, "the certificate expires soon");
        }
    }

    /// Files may lie on a slow disk: no hook waits for it.
    async fn on_files(self: &Arc<Self>, work: impl FnOnce(&Self) -> bool + Send + 'static) -> bool {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&this)).await.unwrap_or(false)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("expires", &self.expires()).finish_non_exhaustive()
    }
}

impl Current {
    fn with<T>(&self, look: impl FnOnce(&Identity) -> T) -> T {
        look(&locks::read(&self.0))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    /// Whatever name the client asked for: there is one certificate, and a wrong name is the client's to find.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.with(|identity| Arc::clone(&identity.certified)))
    }
}

fn look(files: &Result<Files, CertificateFault>) -> Look {
    files.as_ref().map(Files::digest).map_err(Clone::clone)
}
