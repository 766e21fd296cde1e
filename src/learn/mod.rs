//! What really arrived: how each provider does in each country and channel, learnt from what comes back.
//!
//! Must not know Okta, routes, or who tells it. It holds counts by provider, country and channel in this process's
//! memory, and no number, user or code.

mod cells;
mod feed;
mod judge;
mod moves;
mod org;
mod table;
mod traffic;
mod window;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::deadline::Clock;
use crate::locks::lock;
use crate::metrics::Metrics;
use crate::otp::{Channel, Country, Delivery, Message, ProviderName};
use cells::Cells;
use judge::Tally;
use org::Orgs;
pub use table::Row;
use window::Moment;

const MINUTE: Duration = Duration::from_secs(60);

/// What is older is forgotten: a carrier that was down is up again.
const WINDOW_MINUTES: u32 = 30;

/// Good news travels faster than bad: the reports of younger messages would flatter everybody.
const REPORT_MINUTES: u32 = 2;

/// Providers, countries and channels; about 700 bytes each.
const MAX_CELLS: usize = 2048;

/// Of one message's providers, so many are compared.
const MAX_COMPARED: usize = 8;

/// How often it is looked whether anything has fallen silent.
const LOOK: Duration = Duration::from_secs(10);

/// `orgs.*.learn`: what follows when a provider falls behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The log says so.
    #[default]
    Observe,
    /// It is asked last, where the route's order is fixed.
    Enforce,
}

impl Mode {
    /// The word in settings, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// How a message goes: by whom, where to, over what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Way {
    /// Who was asked.
    pub provider: ProviderName,
    /// The country of the number; those of no country, or of none that is known, go together.
    pub country: Option<Country>,
    /// How it travels.
    pub channel: Channel,
}

impl Way {
    /// The way of a message by this provider.
    pub fn of(provider: &ProviderName, message: &Message) -> Self {
        Self { provider: provider.clone(), country: message.recipient.country(), channel: message.channel }
    }
}

/// A message that something is heard of.
#[derive(Debug, Clone)]
pub struct Sent {
    /// How it went.
    pub way: Way,
    /// When Okta was answered.
    pub at: Timestamp,
    /// Whether its use is awaited: a provider took it in time, for a user who is known, and it was no resend.
    pub awaited: bool,
}

/// A message whose providers are about to be asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Key of the org in the configuration.
    pub org: &'a Arc<str>,
    /// What the org wants done.
    pub mode: Mode,
    /// The route's name.
    pub route: &'a Arc<str>,
    /// The country of the number.
    pub country: Option<Country>,
    /// How the message travels.
    pub channel: Channel,
    /// In the order of the route.
    pub providers: &'a [ProviderName],
}

/// What was learnt. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub struct Learn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Apart from `Inner`: the metrics look at it whenever they are written out.
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    cells: Cells<4, { WINDOW_MINUTES as usize }>,
    orgs: Orgs,
}

/// What is counted of a way.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Accepted,
    Failed,
    Delivered,
    Undelivered,
}

/// By what a provider can fall behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Delivery,
    Conversion,
}

impl Measure {
    const ALL: [Self; 2] = [Self::Delivery, Self::Conversion];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Conversion => "conversion",
        }
    }
}

impl Learn {
    /// Nothing is known yet. Metrics show what is known whenever they are written out.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        let start = Instant::now();
        let state = Arc::new(Mutex::new(State { cells: Cells::new(MAX_CELLS), orgs: Orgs::default() }));
        let shown = Arc::clone(&state);
        metrics.learned.shown_by(move || lock(&shown).page(Moment::after_start(start.elapsed())));
        Self(Arc::new(Inner { start, clock, metrics, state }))
    }

    /// Which orgs there are, and whether each has an event hook. What is known of others is forgotten.
    pub fn serve(&self, orgs: &[(Arc<str>, bool)]) {
        let now = self.now();
        self.state().orgs.serve(orgs, now);
    }

    /// Forgets what was learnt of some providers: what it comes from may be what was changed.
    pub fn forget(&self, gone: impl Fn(&ProviderName) -> bool) {
        let mut state = self.state();
        state.cells.forget(&gone);
        state.orgs.forget(&gone);
    }

    /// An attempt has ended, whether or not somebody still waited for it.
    pub fn ended(&self, way: &Way, accepted: bool) {
        let slot = self.now().slot(MINUTE);
        self.state().cells.add(way, slot, if accepted { Kind::Accepted } else { Kind::Failed } as usize);
    }

    /// A provider has reported what became of a message.
    pub fn reported(&self, sent: &Sent, delivery: Delivery) {
        let kind = match delivery {
            Delivery::Underway => return,
            Delivery::Delivered => Kind::Delivered,
            Delivery::Undelivered => Kind::Undelivered,
        };
        let slot = self.moment_of(sent).slot(MINUTE);
        self.state().cells.add(&sent.way, slot, kind as usize);
    }

    /// Who of a message's providers is to be asked last. Never all of them.
    pub fn last(&self, question: &Question<'_>) -> Vec<ProviderName> {
        if question.providers.len() < 2 {
            return Vec::new();
        }
        let now = self.now();
        let mut state = self.state();
        let behind = state.behind(question, now);
        let moves = state.orgs.moves(question, behind, now);
        drop(state);
        moves.tell(question, &self.0.metrics)
    }

    /// What was learnt, whoever falls behind first and the busiest next.
    pub fn table(&self) -> Vec<Row> {
        let now = self.now();
        self.state().table(now)
    }

    /// Looks, from time to time, whether anything has fallen silent, until the server stops.
    pub async fn watch(self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            self.look();
        }
    }

    /// Looks whether anything has fallen silent, and says so once.
    fn look(&self) {
        let now = self.now();
        let mut state = self.state();
        state.cells.drop_idle_since(now.slot(MINUTE) + 1 - WINDOW_MINUTES);
        let silences = state.orgs.look(now);
        drop(state);
        for silence in silences {
            silence.tell();
        }
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.0.start.elapsed())
    }

    /// When a message was sent. The wall clock says how long ago, and only that: it may have been another replica.
    fn moment_of(&self, sent: &Sent) -> Moment {
        self.now().minus(self.0.clock.since(sent.at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    /// By what each provider of a message falls behind the others.
    fn behind(&self, question: &Question<'_>, now: Moment) -> [Option<Measure>; MAX_COMPARED] {
        let Question { country, channel, .. } = *question;
        let mut tallies = [[Tally::default(); 2]; MAX_COMPARED];
        for (tally, provider) in tallies.iter_mut().zip(question.providers) {
            let way = Way { provider: provider.clone(), country, channel };
            *tally = [self.delivery(&way, now), self.orgs.conversion(question.org, &way, now)];
        }
        let measure = |place: usize| Measure::ALL.into_iter().find(|m| falls_behind(&tallies, place, *m));
        std::array::from_fn(|place| measure(place).filter(|_| place < question.providers.len()))
    }

    /// How many messages of a way were delivered, of those that a final report was heard of in time for it to count.
    fn delivery(&self, way: &Way, now: Moment) -> Tally {
        let minute = now.slot(MINUTE);
        let counts = self.cells.sum(way, &(minute + 1 - WINDOW_MINUTES..=minute - REPORT_MINUTES - 1));
        let [delivered, undelivered] = [Kind::Delivered, Kind::Undelivered].map(|kind| counts[kind as usize]);
        Tally::new(delivered, delivered.saturating_add(undelivered))
    }
}

/// Whether one of several is clearly below the best of the others.
fn falls_behind(tallies: &[[Tally; 2]], place: usize, measure: Measure) -> bool {
    let others = tallies.iter().enumerate().filter(|(other, _)| *other != place);
    tallies[place][measure as usize].falls_behind(others.map(|(_, tally)| tally[measure as usize]))
}

#[cfg(test)]
mod tests;
