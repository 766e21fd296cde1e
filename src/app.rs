//! The composition root: a checked configuration becomes providers, hooks and listeners, and runs until it is told to stop.
//!
//! Must not read configuration or arguments.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::deadline::Clock;
use crate::dedupe::Dedupe;
use crate::dispatch::health::Health;
use crate::dispatch::switches::Switches;
use crate::dispatch::{Dispatch, Team};
use crate::feedback::{self, Events, Reports};
use crate::hook::{self, Hook, Shared};
use crate::http::accept::{Listener, Patience, Terms};
use crate::http::tls::{CertificateFault, Certificates, Tls};
use crate::http::{self, BodyLimits, Ops, Proxies, Readiness, ServerSettings};
use crate::journal::Journal;
use crate::metrics::{ConnectionMetrics, Metrics};
use crate::okta::jwks::Keeper;
use crate::otp::ProviderName;
use crate::outbound::{Outbound, SetupFault};
use crate::provider::{self, Provider, callback};
use crate::secret::{self, RandomFault};
use crate::store::{self, State};

/// Connections on the admin listener: a scraper, a probe and a few people.
const MAX_ADMIN_CONNECTIONS: usize = 64;

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

/// Every org's hook with what it stands on; no listener yet. `preview` needs no more.
#[derive(Debug)]
pub struct Hooks {
    /// The hooks, in the order of the configuration.
    pub hooks: Vec<Arc<Hook>>,
    /// The providers by name.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// What the hooks share.
    pub shared: Shared,
    events: Vec<Arc<Events>>,
    reports: Reports,
    state: State,
    outbound: Outbound,
    keepers: Vec<Keeper>,
}

impl Hooks {
    /// Builds providers and hooks. Needs a runtime, and calls nobody yet.
    ///
    /// # Errors
    /// When the HTTPS client or the state store cannot be set up.
    pub fn build(config: &Config) -> Result<Self, StartFault> {
        let outbound = Outbound::new(&config.outbound)?;
        let mut providers: BTreeMap<ProviderName, Arc<dyn Provider>> = BTreeMap::new();
        let mut callbacks = BTreeMap::new();
        let mut approvers = BTreeMap::new();
        for (name, provider) in &config.providers {
            let provider = provider.clone();
            let provider = provider.reporting_to(config.server.public_url.as_ref(), name, &config.pseudonyms);
            callbacks.extend(callback::build(&provider).map(|callback| (ProviderName::new(name), callback)));
            approvers.extend(provider::approver(&provider, &outbound).map(|a| (ProviderName::new(name), a)));
            let provider = provider::build(name, provider, &outbound, &config.pseudonyms);
            providers.insert(provider.name().clone(), provider);
        }
        let metrics = Arc::new(Metrics::new());
        let limits = providers.keys().map(|name| (name.clone(), config.limits_of(name)));
        let health = Arc::new(Health::new(limits, Switches::default(), Arc::clone(&metrics)));
        let (clock, tasks) = (Clock::SYSTEM, TaskTracker::new());
        let state = State::open(&config.state, Arc::clone(&metrics))?;
        let pseudonyms = &config.pseudonyms;
        let shared = Shared {
            metrics: Arc::clone(&metrics),
            pseudonyms: pseudonyms.clone(),
            clock,
            tasks: tasks.clone(),
            places: Arc::new(Semaphore::new(config.server.max_in_flight)),
            switches: health.switches().clone(),
            dedupe: Dedupe::new(&state, pseudonyms.clone(), clock, Arc::clone(&metrics), &tasks),
            journal: Journal::new(&state, &config.journal, pseudonyms.clone(), clock, tasks.clone()),
        };
        let heard = feedback::Shared {
            approvers: Arc::new(approvers),
            journal: shared.journal.clone(),
            metrics: Arc::clone(&metrics),
            clock,
            tasks: tasks.clone(),
        };
        let events = events(&config.orgs, &heard);
        let (journal, counted) = (shared.journal.clone(), Arc::clone(&metrics));
        let reports = Reports::new(callbacks, journal, counted, tasks.clone());
        let team = Team { providers, health, metrics, clock, tasks };
        let mut orgs = config.orgs.clone();
        let keepers = keepers(&mut orgs, &shared.metrics);
        let hook = |org: hook::Config| {
            let dispatch = Dispatch::new(team.clone(), org.policy.clone());
            Arc::new(Hook::new(org, dispatch, shared.clone()))
        };
        let hooks = orgs.into_iter().map(hook).collect();
        Ok(Self { hooks, providers: team.providers, shared, events, reports, state, outbound, keepers })
    }
}

/// The event hooks of the orgs that have one.
fn events(orgs: &[hook::Config], shared: &feedback::Shared) -> Vec<Arc<Events>> {
    let events = orgs.iter().filter_map(|org| {
        let event_hook = org.event_hook.clone()?;
        Some(Arc::new(Events::new(Arc::clone(&org.name), event_hook, shared.clone())))
    });
    events.collect()
}

/// Who looks after the keys of the issuers. Orgs that trust the same one share them.
fn keepers(orgs: &mut [hook::Config], metrics: &Arc<Metrics>) -> Vec<Keeper> {
    let mut keepers: Vec<Keeper> = Vec::new();
    for org in orgs {
        let Some(issuer) = org.authenticate.issuer_mut() else { continue };
        match keepers.iter_mut().find(|keeper| keeper.issuer().source() == issuer.source()) {
            Some(keeper) => {
                *issuer = Arc::clone(keeper.issuer());
                keeper.serve(&org.name);
            }
            None => keepers.push(Keeper::new(issuer, &org.name, metrics)),
        }
    }
    keepers
}

/// A server that listens and has not served yet.
#[derive(Debug)]
pub struct App {
    hooks: Hooks,
    server: ServerSettings,
    admin_token: Option<secret::Secret>,
    certificates: Option<Arc<Certificates>>,
    public: Listener,
    admin: Listener,
}

impl App {
    /// Builds everything, opens connections to the providers and the state store, then listens: the first hook pays for nothing of it.
    ///
    /// # Errors
    /// When the HTTPS client cannot be set up or an address cannot be listened on.
    pub async fn start(config: Config) -> Result<Self, StartFault> {
        let hooks = Hooks::build(&config)?;
        secret::warm_random()?;
        tokio::join!(hooks.outbound.warm_up(), hooks.state.warm_up());
        let server = config.server;
        let certificates = certificates(&server, &hooks.shared)?;
        let tls = certificates.as_deref().map(|c| Tls::new(c, server.handshake_timeout)).transpose();
        let terms = Terms {
            patience: Patience { head: server.header_timeout, idle: server.idle_timeout },
            max_connections: server.max_connections,
            max_per_address: server.max_connections_per_address,
            proxies: server.trusted_proxies.clone(),
            tls: tls.map_err(|_| RandomFault)?,
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
        Ok(Self { hooks, server, admin_token: config.admin_token, certificates, public, admin })
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
        let Self { hooks, server, admin_token, certificates, public, admin } = self;
        let readiness = Readiness::awaiting(hooks.keepers.iter().map(|keeper| Arc::clone(keeper.issuer())));
        let tasks = hooks.shared.tasks.clone();
        let switches = hooks.shared.switches.clone();
        let names = hooks.providers.keys().cloned().collect();
        let ops = Ops::new(Arc::clone(&hooks.shared.metrics), readiness.clone(), switches, names);
        let ops = ops.guarded_by(admin_token.as_ref());
        let ops = ops.with_certificates(certificates.clone());
        let limits = BodyLimits { size: server.max_body, timeout: server.body_timeout };
        // What ends with the public listener, with the admin listener, with the last attempt.
        let (front, back, upkeep) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        tokio::spawn(hooks.outbound.clone().stay_warm(upkeep.clone()));
        for keeper in hooks.keepers {
            tokio::spawn(keeper.run(hooks.outbound.clone(), upkeep.clone()));
        }
        if let Some(certificates) = certificates {
            tokio::spawn(certificates.watch(upkeep.clone()));
        }
        let public =
            tokio::spawn(public.serve(http::public(hooks.hooks, hooks.events, hooks.reports, limits), front.clone()));
        let admin = tokio::spawn(admin.serve(http::admin(ops), back.clone()));
        readiness.set(true);

        let how = stop.await;
        tracing::info!(detached = tasks.len(), "stopping");
        readiness.set(false);
        if how == Stop::Announced {
            tokio::time::sleep(server.shutdown_delay).await;
        }
        front.cancel();
        let drained = async {
            let _ = public.await;
            tasks.close();
            tasks.wait().await;
        };
        let in_time = tokio::time::timeout(server.shutdown_grace, drained).await.is_ok();
        upkeep.cancel();
        back.cancel();
        if in_time {
            // Nobody waits for an operator's keep-alive connection: it is told to close and given a moment.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), admin).await;
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
