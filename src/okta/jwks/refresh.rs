//! When an issuer's keys are fetched: at the start, before they run out, and when a token names one that is not held.
//!
//! Must not be waited for. One task per issuer, so there is never more than one fetch under way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Fault, Fetched, Issuer, fetch};
use crate::metrics::Metrics;
use crate::outbound::Outbound;

/// Least time between two fetches for unknown keys: whoever makes up key ids brings about one a minute.
const MISS_PAUSE: Duration = Duration::from_secs(60);

/// After a failure while keys are held: they go on being used, so there is no hurry.
const STALE_RETRY: Duration = Duration::from_secs(60);

/// After a failure while none is held, doubled each time: nobody is admitted until there is one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(15);

/// Keeps the keys of one issuer fresh, for all orgs that trust it.
#[derive(Debug)]
pub struct Keeper {
    issuer: Arc<Issuer>,
    orgs: Vec<Arc<str>>,
    metrics: Arc<Metrics>,
}

impl Keeper {
    /// Looks after an issuer for an org.
    pub fn new(issuer: &Arc<Issuer>, org: &Arc<str>, metrics: &Arc<Metrics>) -> Self {
        Self { issuer: Arc::clone(issuer), orgs: vec![Arc::clone(org)], metrics: Arc::clone(metrics) }
    }

    /// The issuer.
    pub fn issuer(&self) -> &Arc<Issuer> {
        &self.issuer
    }

    /// Looks after it for one more org.
    pub fn serve(&mut self, org: &Arc<str>) {
        self.orgs.push(Arc::clone(org));
    }

    /// Fetches until `stop`.
    pub async fn run(self, outbound: Outbound, stop: CancellationToken) {
        let fetch = || fetch::keys(self.issuer.source(), &outbound);
        stop.run_until_cancelled(self.keep(fetch)).await;
    }

    async fn keep<F>(&self, fetch: impl Fn() -> F)
    where
        F: Future<Output = Result<Fetched, Fault>>,
    {
        let mut retry = FIRST_RETRY;
        let mut asked = None;
        loop {
            let pause = match fetch().await {
                Ok(Fetched { keys, life }) => {
                    tracing::info!(issuer = self.issuer.source().issuer, keys = keys.len(), "signing keys fetched");
                    self.issuer.replace(keys);
                    self.orgs.iter().for_each(|org| self.metrics.keys_fetched(org));
                    retry = FIRST_RETRY;
                    life
                }
                Err(fault) => self.failed(&fault, &mut retry),
            };
            self.rest(Instant::now() + pause, &mut asked).await;
        }
    }

    /// Tells of a failure, and how long to wait after it.
    fn failed(&self, fault: &Fault, retry: &mut Duration) -> Duration {
        let issuer = &self.issuer.source().issuer;
        if self.issuer.has_keys() {
            tracing::warn!(issuer, %fault, "signing keys not refreshed; those held stay in use");
            return STALE_RETRY;
        }
        tracing::error!(issuer, %fault, orgs = self.orgs.join(", "), "no signing keys yet: access tokens are refused");
        let pause = *retry;
        *retry = (pause * 2).min(LAST_RETRY);
        pause
    }

    /// Waits until `due`, or until a key has been missed and none was within the last minute.
    async fn rest(&self, due: Instant, asked: &mut Option<Instant>) {
        let before = *asked;
        let missed = async {
            self.issuer.missed.notified().await;
            if let Some(before) = before {
                sleep_until(before + MISS_PAUSE).await;
            }
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = missed => *asked = Some(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests;
