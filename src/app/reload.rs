//! Puts another configuration into effect while the server runs.
//!
//! Must not read configuration, and must not end a connection or a hook: whoever is under way ends as it began.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::feedback::Feedback;
use super::hooks::Hooks;
use crate::config::{Config, Invalid, Keys, Loaded};
use crate::http::tls::Certificates;
use crate::http::{self, BodyLimits, Ops, Readiness, Shown, Swap};
use crate::okta::jwks::Issuer;
use crate::secret::Secret;

/// How long a new issuer's keys are waited for before its tokens are the ones that admit.
const KEYS_PATIENCE: Duration = Duration::from_secs(5);

/// How long the first keys are waited for before hooks are accepted. Okta's three seconds run already, and a hook's budget
/// begins after it.
const FIRST_KEYS_PATIENCE: Duration = Duration::from_millis(200);

/// How often it is looked whether they have come.
const KEYS_LOOK: Duration = Duration::from_millis(20);

/// What is in effect, and how something else comes to be. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(Arc<Live>);

#[derive(Debug)]
struct Live {
    current: Mutex<Generation>,
    public: Swap,
    admin: Swap,
    readiness: Readiness,
    certificates: Option<Arc<Certificates>>,
    /// When the first configuration took effect.
    since: Timestamp,
    /// Ends with the last attempt of all.
    upkeep: CancellationToken,
}

/// One configuration in effect.
#[derive(Debug)]
struct Generation {
    hooks: Hooks,
    issuers: Vec<Arc<Issuer>>,
    keys: Keys,
    /// Ends what keeps its issuers' keys fresh, and what does the work of its feedback.
    stop: CancellationToken,
}

/// What of a configuration is needed beside its hooks.
pub(super) struct Rest {
    limits: BodyLimits,
    base_path: String,
    token: Option<Secret>,
    keys: Keys,
}

impl Rest {
    pub(super) fn of(config: &Config) -> Self {
        let limits = BodyLimits { size: config.server.max_body, timeout: config.server.body_timeout };
        let base_path = config.server.base_path().to_owned();
        Self { limits, base_path, token: config.admin_token.clone(), keys: config.keys.clone() }
    }
}

impl Reloader {
    /// Puts the first configuration into effect.
    pub(super) fn start(hooks: Hooks, rest: Rest, certificates: Option<Arc<Certificates>>) -> Self {
        let upkeep = CancellationToken::new();
        let (readiness, issuers) = (Readiness::default(), hooks.issuers());
        let public = Swap::new(public(&hooks, &rest));
        let since = hooks.shared.clock.now();
        let ops = ops(&hooks, &rest, readiness.of(issuers.clone()), certificates.clone(), since);
        let admin = Swap::new(http::admin(ops));
        let stop = upkeep.child_token();
        let current = Mutex::new(Generation { hooks, issuers, keys: rest.keys, stop });
        Self(Arc::new(Live { current, public, admin, readiness, certificates, since, upkeep }))
    }

    /// The routes of both listeners.
    pub(super) fn routes(&self) -> (Swap, Swap) {
        (self.0.public.clone(), self.0.admin.clone())
    }

    /// Whether traffic should come here.
    pub(super) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Ends with the last attempt of all.
    pub(super) fn upkeep(&self) -> &CancellationToken {
        &self.0.upkeep
    }

    /// Begins to fetch the issuers' keys, and to do what is on the agenda.
    pub(super) async fn keep(&self) {
        let mut current = self.0.current.lock().await;
        current.keep();
        let _ = tokio::time::timeout(FIRST_KEYS_PATIENCE, has_keys(&current.issuers)).await;
    }

    /// Takes a configuration that was read again, if it is valid; else tells every fault and goes on as before. Tells
    /// whether it was taken. Its warnings are told as they are at a start.
    pub async fn reload(&self, loaded: Result<Loaded, Box<Invalid>>) -> bool {
        let mut current = self.0.current.lock().await;
        let metrics = Arc::clone(&current.hooks.shared.metrics);
        let taken = match loaded {
            Ok(Loaded { config, findings }) => {
                for warning in &findings.warnings {
                    tracing::warn!(key = warning.key, "{}", warning.rule);
                }
                self.take(&mut current, &config).await;
                true
            }
            Err(invalid) => {
                for fault in &invalid.0.faults {
                    tracing::error!(key = fault.key, "configuration refused, the one in effect stays: {}", fault.rule);
                }
                false
            }
        };
        metrics.config_reloaded(taken);
        taken
    }

    async fn take(&self, current: &mut Generation, config: &Config) {
        let mut rest = Rest::of(config);
        let changed = current.keys.changed(&rest.keys);
        for key in changed.iter().filter(|key| Keys::needs_restart(key)) {
            tracing::warn!(key, "changed, and needs a restart");
        }
        if config.state.is_shared() && !config.pseudonyms.is_same(&current.hooks.shared.pseudonyms) {
            // Also when it is made of what did change, and nobody has set it.
            tracing::warn!(key = "privacy.hash_key", "is another one now: restart all servers that share the store");
        }
        let hooks = current.hooks.rebuild(config, &changed, &current.issuers);
        let issuers = hooks.issuers();
        let stop = self.0.upkeep.child_token();
        let keys = std::mem::take(&mut rest.keys);
        let mut next = Generation { hooks, issuers, keys, stop };
        next.keep();
        // Until its keys are here, a new issuer's tokens admit nobody: those that admit now go on doing so meanwhile.
        let _ = tokio::time::timeout(KEYS_PATIENCE, has_keys(&next.issuers)).await;
        let readiness = self.0.readiness.of(next.issuers.clone());
        let ops = ops(&next.hooks, &rest, readiness, self.0.certificates.clone(), self.0.since);
        self.0.admin.set(http::admin(ops));
        self.0.public.set(public(&next.hooks, &rest));
        let before = std::mem::replace(current, next);
        before.stop.cancel();
        current.hooks.take_down(&before.hooks);
        let changed: Vec<String> = changed.into_iter().filter(|key| !Keys::needs_restart(key)).collect();
        tracing::info!(changed = changed.join(", "), "configuration reloaded");
    }
}

impl Generation {
    fn keep(&mut self) {
        for keeper in self.hooks.keepers.drain(..) {
            tokio::spawn(keeper.run(self.hooks.outbound.clone(), self.stop.clone()));
        }
        let Feedback { events, reports, worker } = &self.hooks.feedback;
        // Where neither events nor reports come there is nothing to be done, and nobody asks the store for it.
        if !events.is_empty() || !reports.is_empty() {
            tokio::spawn(Arc::clone(worker).run(self.stop.clone()));
        }
    }
}

async fn has_keys(issuers: &[Arc<Issuer>]) {
    while !issuers.iter().all(|issuer| issuer.has_keys()) {
        tokio::time::sleep(KEYS_LOOK).await;
    }
}

/// The routes of the public listener.
fn public(hooks: &Hooks, rest: &Rest) -> Router {
    let feedback = hooks.feedback.clone();
    http::public(hooks.hooks.clone(), feedback.events, &feedback.reports, &rest.base_path, rest.limits)
}

/// What the admin listener shows, and to whom.
fn ops(
    hooks: &Hooks,
    rest: &Rest,
    readiness: Readiness,
    certificates: Option<Arc<Certificates>>,
    since: Timestamp,
) -> Ops {
    let shared = &hooks.shared;
    let shown = Shown {
        metrics: Arc::clone(&shared.metrics),
        readiness,
        providers: hooks.providers.clone(),
        health: Arc::clone(&hooks.health),
        learn: shared.learn.clone(),
        recent: shared.recent.clone(),
        certificates,
        since,
        clock: shared.clock,
    };
    Ops::new(shown, rest.token.as_ref())
}
