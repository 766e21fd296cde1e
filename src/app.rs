//! The composition root: a checked configuration becomes providers, hooks and listeners, and runs until it is told to stop.
//!
//! Must not read configuration or arguments.

mod feedback;
mod hooks;
mod reload;
mod series;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::hook::Shared;
use crate::http::accept::{Ending, Listener, Patience, Terms};
use crate::http::tls::{self, CertificateFault, Certificates, Tls};
use crate::http::{Proxies, ServerSettings};
use crate::learn::Learn;
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::outbound::{Outbound, SetupFault};
use crate::secret::{self, RandomFault};
use crate::store;
pub use hooks::Hooks;
pub use reload::Reloader;
use reload::Rest;

/// Connections on the admin listener: a scraper, a probe and a few people.
const MAX_ADMIN_CONNECTIONS: usize = 64;

/// What is not needed for the first hooks is computed after them: there may be one core for both.
const FIRST_HOOKS: Duration = Duration::from_millis(100);

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// Providers cannot be called.
    #[error(transparent)]
    Outbound(#[from] SetupFault),
    /// The state store cannot be used.
    #[error(transparent)]
    Store(#[from] store::SetupFault),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomFault),
    /// No certificate to be shown.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] tls::SetupFault),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({key}): {error}")]
    Bind {
        /// Key of the setting.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
}

/// How a stop was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By an orchestrator: load balancers need a moment to notice.
    Announced,
    /// By a person at the keyboard.
    Immediate,
}

/// A server that listens and has not served yet.
#[derive(Debug)]
pub struct App {
    reloader: Reloader,
    tasks: TaskTracker,
    outbound: Outbound,
    learn: Learn,
    metrics: Arc<Metrics>,
    server: ServerSettings,
    certificates: Option<Arc<Certificates>>,
    public: Listener,
    admin: Listener,
}

impl App {
    /// Builds everything, opens connections to the providers and the state store, then listens: the first hook pays for nothing of it.
    ///
    /// # Errors
    /// When the HTTPS client, the state store or TLS cannot be set up, the certificate cannot be used, the operating
    /// system gives no random bytes, or an address cannot be listened on.
    pub async fn start(config: Config) -> Result<Self, StartFault> {
        let hooks = Hooks::build(&config)?;
        if config.server.tls.is_some() || hooks.outbound.keeps_open() {
            secret::warm_random()?;
        }
        tokio::join!(hooks.outbound.warm_up(), hooks.shared.state.warm_up());
        let rest = Rest::of(&config);
        let server = config.server;
        let certificates = certificates(&server, &hooks.shared)?;
        let tls = certificates.as_deref().map(|c| Tls::new(c, server.handshake_timeout)).transpose()?;
        let terms = Terms {
            patience: Patience { head: server.header_timeout, idle: server.idle_timeout },
            max_connections: server.max_connections,
            max_per_address: server.max_connections_per_address,
            proxies: server.trusted_proxies.clone(),
            tls,
            metrics: hooks.shared.metrics.connections.clone(),
        };
        let admin_terms = Terms {
            max_connections: MAX_ADMIN_CONNECTIONS,
            max_per_address: 0,
            proxies: Proxies::default(),
            tls: None,
            metrics: ConnectionMetrics::default(),
            ..terms
        };
        let bind = |key, address, terms| async move {
            Listener::bind(address, terms).await.map_err(|error| StartFault::Bind { key, address, error })
        };
        let public = bind("server.listen", server.listen, terms).await?;
        let admin = bind("admin.listen", config.admin.listen, admin_terms).await?;
        // Without TLS nobody has waited for them: a hook that needs some before they are there waits for itself.
        tokio::spawn(async {
            tokio::time::sleep(FIRST_HOOKS).await;
            drop(tokio::task::spawn_blocking(secret::warm_random));
        });
        let (tasks, outbound) = (hooks.shared.tasks.clone(), hooks.outbound.clone());
        let (learn, metrics) = (hooks.shared.learn.clone(), Arc::clone(&hooks.shared.metrics));
        let reloader = Reloader::start(hooks, rest, certificates.clone());
        Ok(Self { reloader, tasks, outbound, learn, metrics, server, certificates, public, admin })
    }

    /// What puts another configuration into effect.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Where everything is counted.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The certificate in use, to have it read again.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// Addresses of the public and the admin listener, with the ports the system chose.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.public.address()?, self.admin.address()?))
    }

    /// Serves until `stop`, then drains: not ready, no new connections, requests in flight, detached attempts.
    pub async fn run(self, stop: impl Future<Output = Stop>) {
        let Self { reloader, tasks, outbound, learn, server, certificates, public, admin, .. } = self;
        let (readiness, upkeep) = (reloader.readiness().clone(), reloader.upkeep().clone());
        let (public_routes, admin_routes) = reloader.routes();
        // What ends with the public listener, with the admin listener; `upkeep` ends with the last attempt.
        let front = Ending::default();
        let back = Ending { announced: front.announced.clone(), stop: CancellationToken::new() };
        tokio::spawn(outbound.stay_warm(upkeep.clone()));
        tokio::spawn(learn.watch(upkeep.clone()));
        if let Some(certificates) = certificates {
            tokio::spawn(certificates.watch(upkeep.clone()));
        }
        let admin = tokio::spawn(admin.serve(admin_routes, back.clone()));
        reloader.keep().await;
        let public = tokio::spawn(public.serve(public_routes, front.clone()));
        readiness.set(true);

        let how = stop.await;
        tracing::info!(detached = tasks.len(), "stopping");
        readiness.set(false);
        front.announced.cancel();
        if how == Stop::Announced {
            tokio::time::sleep(server.shutdown_delay).await;
        }
        front.stop.cancel();
        let drained = async {
            let _ = public.await;
            tasks.close();
            tasks.wait().await;
        };
        let in_time = tokio::time::timeout(server.shutdown_grace, drained).await.is_ok();
        upkeep.cancel();
        back.stop.cancel();
        if in_time {
            // Nobody waits long for an operator's keep-alive connection.
            let _ = tokio::time::timeout(Duration::from_millis(500), admin).await;
            tracing::info!("stopped");
        } else {
            tracing::warn!(left = tasks.len(), "stopped before everything in flight had ended");
        }
    }
}

fn certificates(server: &ServerSettings, shared: &Shared) -> Result<Option<Arc<Certificates>>, CertificateFault> {
    let Some(tls) = server.tls.clone() else { return Ok(None) };
    Certificates::load(tls, shared.clock, shared.metrics.certificate.clone()).map(Arc::new).map(Some)
}
