//! The hooks of every org with what they stand on: built at the start, and again from another configuration.
//!
//! Must not listen. What outlives a configuration (metrics, memory, switches, work under way) is handed on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::StartFault;
use super::feedback::{Feedback, reporting};
use super::series;
use crate::agenda::Agenda;
use crate::config::Config;
use crate::deadline::Clock;
use crate::dedupe::Dedupe;
use crate::dispatch::health::{Health, Limits};
use crate::dispatch::switches::Switches;
use crate::dispatch::{Dispatch, Team};
use crate::guard;
use crate::hook::{self, Hook, Shared};
use crate::journal::Journal;
use crate::learn::Learn;
use crate::metrics::Metrics;
use crate::okta::jwks::{Issuer, Keeper};
use crate::otp::ProviderName;
use crate::outbound::Outbound;
use crate::provider::{self, Means, Provider};
use crate::recent::Recent;
use crate::store::State;

pub(super) type Providers = BTreeMap<ProviderName, Arc<dyn Provider>>;

/// Every org's hook with what it stands on; no listener yet. `preview` needs no more.
#[derive(Debug)]
pub struct Hooks {
    /// The hooks, in the order of the configuration.
    pub hooks: Vec<Arc<Hook>>,
    /// The providers by name.
    pub providers: Providers,
    /// What the hooks share.
    pub shared: Shared,
    /// How providers and issuers are called.
    pub outbound: Outbound,
    pub(super) feedback: Feedback,
    pub(super) health: Arc<Health>,
    pub(super) keepers: Vec<Keeper>,
}

/// What of an earlier configuration goes on as it is.
#[derive(Default)]
struct Kept<'a> {
    providers: Providers,
    issuers: &'a [Arc<Issuer>],
}

impl Hooks {
    /// Builds providers and hooks. Needs a runtime, and calls nobody yet.
    ///
    /// # Errors
    /// When the HTTPS client or the state store cannot be set up.
    pub fn build(config: &Config) -> Result<Self, StartFault> {
        let outbound = Outbound::new(&config.outbound)?;
        let metrics = Arc::new(Metrics::new());
        let (clock, tasks) = (Clock::SYSTEM, TaskTracker::new());
        let state = State::open(&config.state, Arc::clone(&metrics))?;
        let pseudonyms = &config.pseudonyms;
        // Replicas have to agree on keys. In memory nobody else looks for them.
        let keys = if state.shared().is_some() { pseudonyms.clone() } else { pseudonyms.within_process() };
        let shared = Shared {
            metrics: Arc::clone(&metrics),
            recent: Recent::default(),
            pseudonyms: pseudonyms.clone(),
            clock,
            tasks: tasks.clone(),
            places: Arc::new(Semaphore::new(config.server.max_in_flight)),
            switches: Switches::default(),
            dedupe: Dedupe::new(&state, keys.clone(), clock, Arc::clone(&metrics), &tasks),
            journal: Journal::new(&state, &config.journal, keys.clone(), clock, tasks.clone()),
            agenda: Agenda::new(&state, &keys),
            wants_feedback: wants_feedback(config),
            learn: Learn::new(clock, Arc::clone(&metrics)),
            guard: guard::Tools {
                store: state.store(),
                numbers: state.store(),
                pseudonyms: keys,
                metrics: Arc::clone(&metrics),
                clock,
            },
            state,
        };
        let health = Health::new(limits(config), shared.switches.clone(), metrics);
        Ok(Self::assemble(config, shared, outbound, health, &Kept::default()))
    }

    /// The same from another configuration, of which these keys have changed. A provider none of whose keys has goes
    /// on as it is, with what it has learnt and how it is doing; so do the keys of an issuer that stays.
    pub(super) fn rebuild(&self, config: &Config, changed: &BTreeSet<String>, held: &[Arc<Issuer>]) -> Self {
        // A provider tells its vendor where delivery reports go, so a new public address is a change of each.
        let moved = changed.contains("server.public_url");
        let touched = |name: &ProviderName| changed.iter().any(|key| key.starts_with(&format!("providers.{name}.")));
        let stays = |name: &ProviderName| !moved && !touched(name);
        let shared = Shared { wants_feedback: wants_feedback(config), ..self.shared.clone() };
        shared.learn.forget(|name| !stays(name));
        let health = self.health.after_change(limits(config), stays);
        let staying = self.providers.iter().filter(|(name, _)| stays(name));
        let providers = staying.map(|(name, provider)| (name.clone(), Arc::clone(provider))).collect();
        Self::assemble(config, shared, self.outbound.clone(), health, &Kept { providers, issuers: held })
    }

    /// Puts everything together, in the order in which one thing stands on another.
    fn assemble(config: &Config, shared: Shared, outbound: Outbound, health: Health, kept: &Kept<'_>) -> Self {
        let kept_or_new = |name: &String| match kept.providers.get_key_value(&ProviderName::new(name)) {
            Some((name, provider)) => (name.clone(), Arc::clone(provider)),
            None => provider(config, name, &shared, &outbound),
        };
        let providers: Providers = config.providers.keys().map(kept_or_new).collect();
        outbound.keep_open(providers.values().flat_map(|provider| provider.addresses()));
        let health = Arc::new(health);
        let (hooks, keepers) = hooks(config, &providers, &health, &shared, kept.issuers);
        let feedback = Feedback::build(config, &shared, &providers, &outbound);
        let hooks = Self { hooks, providers, shared, outbound, feedback, health, keepers };
        series::begin(config, &hooks);
        hooks
    }

    /// Takes down the metrics of those orgs and keys that were there before and are no more.
    pub(super) fn take_down(&self, before: &Self) {
        let metrics = &self.shared.metrics;
        for org in before.hooks.iter().map(|hook| &hook.config().name) {
            match self.hooks.iter().map(|hook| hook.config()).find(|config| config.name == *org) {
                Some(config) if config.authenticate.issuer().is_some() => {}
                Some(_) => metrics.keys_gone(org),
                None => metrics.org_gone(org),
            }
        }
    }

    /// The issuers whose tokens admit.
    pub(super) fn issuers(&self) -> Vec<Arc<Issuer>> {
        self.keepers.iter().map(|keeper| Arc::clone(keeper.issuer())).collect()
    }
}

fn limits(config: &Config) -> impl Iterator<Item = (ProviderName, Limits)> {
    let names = config.providers.keys().map(|name| ProviderName::new(name));
    names.map(|name| (name.clone(), config.limits_of(&name)))
}

fn wants_feedback(config: &Config) -> Arc<BTreeSet<ProviderName>> {
    let wanting = config.providers.iter().filter(|(_, provider)| provider.wants_feedback());
    Arc::new(wanting.map(|(name, _)| ProviderName::new(name)).collect())
}

fn provider(config: &Config, name: &str, shared: &Shared, outbound: &Outbound) -> (ProviderName, Arc<dyn Provider>) {
    let (pseudonyms, lookups, tasks) = (&shared.pseudonyms, &shared.metrics.lookups, &shared.tasks);
    let provider =
        provider::build(name, reporting(config, name, pseudonyms), Means { outbound, pseudonyms, lookups, tasks });
    (provider.name().clone(), provider)
}

fn hooks(
    config: &Config,
    providers: &Providers,
    health: &Arc<Health>,
    shared: &Shared,
    held: &[Arc<Issuer>],
) -> (Vec<Arc<Hook>>, Vec<Keeper>) {
    let team = Team {
        providers: providers.clone(),
        health: Arc::clone(health),
        learn: shared.learn.clone(),
        metrics: Arc::clone(&shared.metrics),
        clock: shared.clock,
        tasks: shared.tasks.clone(),
    };
    let known = |org: &hook::Config| (Arc::clone(&org.name), org.event_hook.is_some());
    shared.learn.serve(&config.orgs.iter().map(known).collect::<Vec<_>>());
    let mut orgs = config.orgs.clone();
    let keepers = keepers(&mut orgs, &shared.metrics, held);
    let hook = |org: hook::Config| {
        let dispatch = Dispatch::new(team.clone(), org.policy.clone());
        Arc::new(Hook::new(org, dispatch, shared.clone()))
    };
    (orgs.into_iter().map(hook).collect(), keepers)
}

/// Who looks after the keys of the issuers. Orgs that trust the same one share them, and go on with those held.
fn keepers(orgs: &mut [hook::Config], metrics: &Arc<Metrics>, held: &[Arc<Issuer>]) -> Vec<Keeper> {
    let mut keepers: Vec<Keeper> = Vec::new();
    for org in orgs {
        let Some(issuer) = org.authenticate.issuer_mut() else { continue };
        if let Some(known) = held.iter().find(|known| known.source() == issuer.source()) {
            *issuer = Arc::clone(known);
        }
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
