//! What is heard after an answer: the event hooks of the orgs, and the delivery reports of the providers.
//!
//! Must not listen, nor know what is done with what is heard.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hooks::Providers;
use crate::config::Config;
use crate::feedback::{Events, Reports, Tools, UnknownUsers, Worker};
use crate::hook::Shared;
use crate::okta::factors::Factors;
use crate::otp::ProviderName;
use crate::outbound::Outbound;
use crate::provider::{self, FeedbackClient, callback};
use crate::secret::Pseudonyms;

/// Everything that waits for feedback.
#[derive(Debug, Clone)]
pub(super) struct Feedback {
    /// The event hooks of the orgs that have one.
    pub(super) events: Vec<Arc<Events>>,
    /// The delivery reports of every provider that can prove itself.
    pub(super) reports: Reports,
    /// Who does what is heard.
    pub(super) worker: Arc<Worker>,
}

/// A provider's configuration, told where its delivery reports may go. `pseudonyms` outlive every configuration: what
/// was put into an address with them must be known again after the next one.
pub(super) fn reporting(config: &Config, name: &str, pseudonyms: &Pseudonyms) -> provider::Config {
    config.providers[name].clone().reporting_to(config.server.public_url.as_ref(), name, pseudonyms)
}

impl Feedback {
    pub(super) fn build(config: &Config, shared: &Shared, providers: &Providers, outbound: &Outbound) -> Self {
        let mut callbacks = BTreeMap::new();
        let mut clients = BTreeMap::new();
        for name in config.providers.keys() {
            let provider = reporting(config, name, &shared.pseudonyms);
            callbacks.extend(callback::build(&provider).map(|callback| (ProviderName::new(name), callback)));
            clients.insert(ProviderName::new(name), providers[&ProviderName::new(name)].feedback_client());
        }
        let tools = Tools {
            agenda: shared.agenda.clone(),
            journal: shared.journal.clone(),
            unknown_users: Arc::new(unknown_users(config, &clients, outbound)),
            clients: Arc::new(clients),
            learn: shared.learn.clone(),
            metrics: Arc::clone(&shared.metrics),
            clock: shared.clock,
        };
        let worker = Arc::new(Worker::new(tools.clone()));
        let event_hook = |org: &crate::hook::Config| {
            let (name, event_hook) = (Arc::clone(&org.name), org.event_hook.clone()?);
            let (worker, tasks) = (Arc::clone(&worker), shared.tasks.clone());
            Some(Arc::new(Events::new(name, event_hook, org.budget, worker, tasks)))
        };
        Self {
            events: config.orgs.iter().filter_map(event_hook).collect(),
            reports: Reports::new(callbacks, tools, shared.tasks.clone()),
            worker,
        }
    }
}

/// Who asks Okta about users that the journal does not know, and tells the providers of the org's routes.
fn unknown_users(
    config: &Config,
    clients: &BTreeMap<ProviderName, Option<FeedbackClient>>,
    outbound: &Outbound,
) -> BTreeMap<Arc<str>, UnknownUsers> {
    let of_org = |org: &crate::hook::Config| {
        let factors = Factors::new(org.okta.clone()?, outbound.clone());
        let may_ask = clients.iter().filter(|(name, _)| org.router.may_ask(name));
        let clients = may_ask.filter_map(|(name, client)| Some((name.clone(), client.clone()?))).collect();
        Some((Arc::clone(&org.name), UnknownUsers::new(factors, clients)))
    };
    config.orgs.iter().filter_map(of_org).collect()
}
