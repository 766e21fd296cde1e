//! What is heard after an answer: the event hooks of the orgs, and the delivery reports of the providers.
//!
//! Must not listen, nor know what is done with what is heard.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::feedback::{Events, Reports, Tools, Worker};
use crate::hook::Shared;
use crate::otp::ProviderName;
use crate::outbound::Outbound;
use crate::provider::{self, Listener, callback};

/// Everything that listens for feedback.
#[derive(Debug, Clone)]
pub(super) struct Feedback {
    /// The event hooks of the orgs that have one.
    pub(super) events: Vec<Arc<Events>>,
    /// The delivery reports of every provider that can prove itself.
    pub(super) reports: Reports,
    /// Who does what is heard.
    pub(super) worker: Arc<Worker>,
}

/// A provider's configuration, told where its delivery reports may go.
pub(super) fn reporting(config: &Config, name: &str) -> provider::Config {
    config.providers[name].clone().reporting_to(config.server.public_url.as_ref(), name, &config.pseudonyms)
}

impl Feedback {
    pub(super) fn build(config: &Config, shared: &Shared, outbound: &Outbound) -> Self {
        let mut callbacks = BTreeMap::new();
        let mut listeners = BTreeMap::new();
        for name in config.providers.keys() {
            let provider = reporting(config, name);
            callbacks.extend(callback::build(&provider).map(|callback| (ProviderName::new(name), callback)));
            listeners.extend(Listener::new(&provider, outbound).map(|listener| (ProviderName::new(name), listener)));
        }
        let worker = Arc::new(Worker::new(Tools {
            agenda: shared.agenda.clone(),
            journal: shared.journal.clone(),
            learn: shared.learn.clone(),
            listeners: Arc::new(listeners),
            metrics: Arc::clone(&shared.metrics),
            clock: shared.clock,
        }));
        let event_hook = |org: &crate::hook::Config| {
            let (name, event_hook) = (Arc::clone(&org.name), org.event_hook.clone()?);
            let (worker, tasks) = (Arc::clone(&worker), shared.tasks.clone());
            Some(Arc::new(Events::new(name, event_hook, org.budget, worker, tasks)))
        };
        let (journal, learn, metrics) = (shared.journal.clone(), shared.learn.clone(), Arc::clone(&shared.metrics));
        Self {
            events: config.orgs.iter().filter_map(event_hook).collect(),
            reports: Reports::new(callbacks, journal, learn, metrics, shared.tasks.clone()),
            worker,
        }
    }
}
