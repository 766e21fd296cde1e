//! What becomes of a fault of the store: counted each time, told once a burst.
//!
//! Must not do anything about it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreFault;
use crate::locks::lock;
use crate::metrics::{Metrics, StoreLabels};

/// A store that is down fails once or twice for every hook; a line for each would bury the hooks' own.
const QUIET: Duration = Duration::from_secs(10);

/// Counts faults, and tells the first of each burst. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Faults {
    metrics: Arc<Metrics>,
    burst: Arc<Mutex<Burst>>,
}

#[derive(Debug, Default)]
struct Burst {
    told: Option<Instant>,
    since: u64,
}

impl Faults {
    /// Counts on these metrics.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, burst: Arc::default() }
    }

    /// Notes one fault of one operation.
    pub fn note(&self, operation: &'static str, fault: &StoreFault) {
        self.metrics.store_faults.get_or_create(&StoreLabels { operation }).inc();
        if let Some(unsaid) = self.is_new() {
            tracing::warn!(operation, %fault, unsaid, "the state store failed: going on without it");
        }
    }

    /// How many faults went unsaid since the last line, when it is time for the next one.
    fn is_new(&self) -> Option<u64> {
        let mut burst = lock(&self.burst);
        if burst.told.is_some_and(|told| told.elapsed() < QUIET) {
            burst.since += 1;
            return None;
        }
        burst.told = Some(Instant::now());
        Some(std::mem::take(&mut burst.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_told_once_and_counted_in_full() {
        let faults = Faults::new(Arc::new(Metrics::new()));
        let told = |faults: &Faults| (0..100).filter_map(|_| faults.is_new()).collect::<Vec<_>>();
        assert_eq!(told(&faults), [0]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(told(&faults), [0; 0]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(told(&faults), [199]);
        faults.note("claim", &StoreFault::Timeout);
        faults.note("claim", &StoreFault::Full);
        assert!(faults.metrics.render().contains("okta_hook_store_faults_total{operation=\"claim\"} 2"));
    }
}
