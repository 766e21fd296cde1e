//! A dedupe without a hook around it: for claims that end as no hook's do.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use okta_telephony_hook::deadline::{Clock, Deadline};
use okta_telephony_hook::dedupe::{Call, Claim, Dedupe, Ticket};
use okta_telephony_hook::metrics::Metrics;
use okta_telephony_hook::okta::{Replies, ReplySettings, decode};
use okta_telephony_hook::secret::{Pseudonyms, Secret};
use okta_telephony_hook::store::{Backend, Config, State, Store};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A dedupe, and what a call needs.
pub struct Desk {
    dedupe: Dedupe,
    replies: Replies,
    pub metrics: Arc<Metrics>,
}

const TIMEOUT: Duration = Duration::from_millis(50);

impl Desk {
    /// In a process of its own.
    pub fn new() -> Self {
        let config = Config { backend: Backend::Memory, timeout: TIMEOUT, prefix: "x:".to_owned(), max_entries: 100 };
        let metrics = Arc::new(Metrics::new());
        Self::over(&State::open(&config, Arc::clone(&metrics)).expect("memory"), metrics)
    }

    /// Beside the stages that share this store.
    pub fn sharing(store: Arc<dyn Store>) -> Self {
        let metrics = Arc::new(Metrics::new());
        Self::over(&State::over(store, TIMEOUT, Arc::clone(&metrics)), metrics)
    }

    fn over(state: &State, metrics: Arc<Metrics>) -> Self {
        // The key of every stage.
        let pseudonyms = Pseudonyms::new(Secret::new("a test key").as_ref()).expect("random");
        let dedupe = Dedupe::new(state, pseudonyms, Clock::SYSTEM, Arc::clone(&metrics), &TaskTracker::new());
        Self { dedupe, replies: Replies::new(ReplySettings::default()), metrics }
    }

    /// Claims the message of a request.
    pub async fn claim(&self, org: &str, request: &Value, begun: &Arc<AtomicBool>) -> Claim {
        let message = decode(request.to_string().as_bytes(), None).expect("readable").message;
        let deadline = Deadline::new(Instant::now(), Duration::from_millis(2575));
        let call = Call { org, message: &message, deadline: &deadline, begun, replies: &self.replies };
        self.dedupe.claim(call).await
    }

    /// The ticket of a first claim.
    #[track_caller]
    pub fn first(claim: Claim) -> Ticket {
        match claim {
            Claim::First(ticket) => ticket,
            Claim::Repeat(repeat) => panic!("{repeat:?}"),
        }
    }
}
