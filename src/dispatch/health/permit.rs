//! One attempt as its provider's health sees it, from when it may begin until it has ended.
//!
//! Must not know what the attempt is.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::sign::{Sign, pause, sign};
use super::{Entry, Health, lock};
use crate::dispatch::breaker::Era;
use crate::metrics::ChannelLabels;
use crate::otp::{Channel, FailureKind, ProviderName, SendError};

/// Who is asked, and what its breaker knows the attempt by.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) entry: Arc<Entry>,
    pub(super) era: Era,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.entry.lane.release();
    }
}

/// One attempt as its provider's health sees it: settled once, by the first who knows. Takes up a place while it lasts.
#[derive(Debug)]
pub(in crate::dispatch) struct Permit {
    pub(super) health: Arc<Health>,
    pub(super) name: ProviderName,
    pub(super) channel: Channel,
    /// `None` for a provider whose health nobody minds.
    pub(super) asked: Option<Asked>,
    pub(super) is_failover: bool,
    pub(super) settled: AtomicBool,
}

impl Permit {
    /// Counts the attempt's end. When we stopped waiting before, what comes later was too late to be a success: it counts
    /// if a person must act on it, and what it says beside that is heard.
    pub(in crate::dispatch) fn settle(&self, result: Result<(), &SendError>) {
        if let Err(error) = result {
            self.hear(error);
            if error.unasked && self.is_failover {
                self.health.refund();
            }
        }
        let first = !self.settled.swap(true, Ordering::AcqRel);
        if let Some(asked) = &self.asked
            && (first || result.is_err_and(|e| e.kind == FailureKind::Account))
        {
            self.count(asked, result);
        }
    }

    /// Notes what an error says beside that the attempt failed.
    fn hear(&self, error: &SendError) {
        self.health.suspicions.note(&self.name, error);
        if error.opted_out {
            let labels = ChannelLabels { provider: self.name.shared(), channel: self.channel.as_str() };
            self.health.metrics.opt_outs.get_or_create(&labels).inc();
        }
        if let (Some(asked), Some(pause)) = (&self.asked, pause(error)) {
            asked.entry.lane.pause(Instant::now() + pause);
        }
    }

    /// Tells the breaker.
    fn count(&self, Asked { entry, era }: &Asked, result: Result<(), &SendError>) {
        let now = Instant::now();
        let mut state = lock(&entry.state);
        let opened = match sign(result) {
            Sign::Nothing => {
                state.breaker.withdraw(*era, now);
                entry.lane.give_back();
                false
            }
            Sign::Well => {
                state.breaker.succeed(*era, now);
                false
            }
            Sign::Ill => state.breaker.fail(*era, now, jitter()),
            Sign::RefusesUs => state.breaker.refuse(*era, now, jitter()),
        };
        let standing = state.breaker.standing(now);
        self.health.show(&self.name, self.channel, &mut state, standing);
        drop(state);
        let Some(error) = result.err().filter(|_| opened) else { return };
        let (provider, channel) = (&self.name, self.channel.as_str());
        tracing::warn!(%provider, channel, kind = error.kind.as_str(), "breaker opened");
        if error.kind == FailureKind::Account {
            tracing::error!(%provider, channel, code = error.code, "the provider refuses our account");
        }
    }
}

/// A lot in 0..1. The seed of std's hash maps is random enough for it: the first draw of the cryptographic kind costs tens
/// of milliseconds.
fn jitter() -> f64 {
    let lot = RandomState::new().hash_one(()) % 1000;
    f64::from(u16::try_from(lot).unwrap_or_default()) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_lie_below_one_and_differ() {
        let lots: Vec<f64> = (0..100).map(|_| jitter()).collect();
        assert!(lots.iter().all(|lot| (0.0..1.0).contains(lot)), "{lots:?}");
        assert!(lots.iter().any(|lot| *lot != lots[0]), "{lots:?}");
    }
}
