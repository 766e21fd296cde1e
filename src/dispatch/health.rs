//! How the providers are doing: who may be asked, who should be skipped, and why.
//!
//! Must not ask anybody. Shared by all orgs: a provider that is down is down for everyone.

mod condition;
mod permit;
mod sign;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::breaker::{Breaker, Standing};
use super::budget::Budget;
use super::lane::Lane;
pub use super::lane::Limits;
use super::suspicion::Suspicions;
use super::switches::{Setting, Switches};
use crate::locks::lock;
use crate::metrics::{ChannelLabels, Metrics};
use crate::otp::{Channel, ProviderName};
pub use condition::{Circuit, Condition};
use permit::Asked;
pub(super) use permit::Permit;

/// The health of every provider.
#[derive(Debug)]
pub struct Health {
    entries: BTreeMap<(ProviderName, Channel), Arc<Entry>>,
    budget: Arc<Mutex<Budget>>,
    switches: Switches,
    suspicions: Suspicions,
    metrics: Arc<Metrics>,
}

/// One provider on one channel: a vendor's texts may fail while its calls get through.
#[derive(Debug)]
struct Entry {
    state: Mutex<State>,
    /// Shared by both channels of the provider.
    lane: Arc<Lane>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// What the metric says of the breaker.
    shown: Standing,
    /// Another stands for this provider now, or none: the metric is no longer this one's.
    retired: bool,
}

/// Why a provider is not asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Its breaker is open, or its probe is out.
    BreakerOpen,
    /// An operator disabled it.
    Disabled,
    /// An operator drains it, and there is another.
    Drained,
    /// It is at a limit of ours.
    Limit,
    /// It asked for a pause.
    Paced,
}

impl Skip {
    /// The word in logs and previews.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::Disabled => "disabled",
            Self::Drained => "drained",
            Self::Limit => "limit",
            Self::Paced => "paced",
        }
    }
}

/// Whether a provider may be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Availability {
    /// Yes.
    Ready,
    /// Its breaker wants a probe: yes, if another could be asked after it.
    Probe,
    /// Better not, until then; but better it than nobody.
    Later(Skip, Instant),
    /// No.
    Never(Skip),
}

/// How a provider's turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody was asked before it.
    First,
    /// Another one failed.
    Failover,
    /// Others would not have this message. They are well, so their breakers stay closed, and no budget has to protect
    /// anybody from what they let through.
    Detour,
    /// It was better not asked, but nobody else is left.
    LastResort,
}

/// Why an attempt is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This provider should not be asked.
    Skip(Skip),
    /// Nobody should: providers fail too often for every message to be tried again.
    NoFailover,
}

impl From<Skip> for Refusal {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

impl Health {
    /// Everybody is well.
    pub fn new(
        providers: impl IntoIterator<Item = (ProviderName, Limits)>,
        switches: Switches,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let mut entries = BTreeMap::new();
        for (name, limits) in providers {
            let lane = Arc::new(Lane::new(limits, now));
            for channel in Channel::ALL {
                let state = Mutex::new(State { breaker: Breaker::new(now), shown: Standing::Closed, retired: false });
                entries.insert((name.clone(), channel), Arc::new(Entry { state, lane: Arc::clone(&lane) }));
            }
        }
        let suspicions = Suspicions::new(Arc::clone(&metrics));
        Self { entries, budget: Arc::new(Mutex::new(Budget::new(now))), switches, suspicions, metrics }
    }

    /// The health of the providers of another configuration. Those that `stay` as they were are as well as they were,
    /// with what is under way at them; the others start well: what they suffered from may be what was changed. Those that
    /// refuse our account start well too: who has put that right at the vendor has nothing to change here.
    #[must_use]
    pub fn after_change(
        &self,
        providers: impl IntoIterator<Item = (ProviderName, Limits)>,
        stay: impl Fn(&ProviderName) -> bool,
    ) -> Self {
        let mut next = Self::new(providers, self.switches.clone(), Arc::clone(&self.metrics));
        next.budget = Arc::clone(&self.budget);
        let mut forgiven = Vec::new();
        for (key, entry) in &self.entries {
            match next.entries.get_mut(key) {
                Some(place) if stay(&key.0) => {
                    *place = Arc::clone(entry);
                    if self.forgive(key, entry) {
                        forgiven.push(format!("{} {}", key.0, key.1.as_str()));
                    }
                }
                _ => {
                    lock(&entry.state).retired = true;
                    let labels = ChannelLabels { provider: key.0.shared(), channel: key.1.as_str() };
                    self.metrics.breaker_state.remove(&labels);
                }
            }
        }
        if !forgiven.is_empty() {
            tracing::info!(closed = forgiven.join(", "), "breakers closed, which a refused account had opened");
        }
        next
    }

    /// Closes a breaker that a refused account has opened; true if it had.
    fn forgive(&self, (name, channel): &(ProviderName, Channel), entry: &Entry) -> bool {
        let now = Instant::now();
        let mut state = lock(&entry.state);
        let forgiven = state.breaker.forgive(now);
        if forgiven {
            let standing = state.breaker.standing(now);
            self.show(name, *channel, &mut state, standing);
        }
        forgiven
    }

    /// The switches of the operator.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Counts a message towards the failover budget.
    pub(super) fn message(&self) {
        lock(&self.budget).deposit(Instant::now());
    }

    /// Takes one failover out of the budget; false when there is none left.
    fn may_fail_over(&self) -> bool {
        let granted = lock(&self.budget).withdraw(Instant::now());
        if !granted {
            self.metrics.failovers_refused.inc();
        }
        granted
    }

    /// Whether a provider may be asked now.
    pub(super) fn availability(&self, name: &ProviderName, channel: Channel) -> Availability {
        let now = Instant::now();
        let switch = self.switches.of_provider(name);
        if switch == Some(Setting::Disabled) {
            return Availability::Never(Skip::Disabled);
        }
        let Some(entry) = self.entries.get(&(name.clone(), channel)) else { return Availability::Ready };
        if let Some(until) = entry.lane.paused(now) {
            return Availability::Later(Skip::Paced, until);
        }
        if entry.lane.is_full(now) {
            return Availability::Never(Skip::Limit);
        }
        let mut state = lock(&entry.state);
        let standing = state.breaker.standing(now);
        self.show(name, channel, &mut state, standing);
        match standing {
            Standing::Open(until) => Availability::Later(Skip::BreakerOpen, until),
            Standing::Probing => Availability::Later(Skip::BreakerOpen, now),
            _ if switch == Some(Setting::Drained) => Availability::Later(Skip::Drained, now),
            Standing::Due => Availability::Probe,
            Standing::Closed => Availability::Ready,
        }
    }

    /// Notes that an attempt begins. Whether the provider may be asked is looked at once more: others may have asked it
    /// meanwhile. As a last resort it is asked all the same, within our limits.
    ///
    /// # Errors
    /// Why it must not begin; then nothing was noted.
    pub(super) fn begin(
        self: &Arc<Self>,
        name: &ProviderName,
        channel: Channel,
        turn: Turn,
    ) -> Result<Permit, Refusal> {
        match self.availability(name, channel) {
            Availability::Ready | Availability::Probe => {}
            Availability::Later(..) if turn == Turn::LastResort => {}
            Availability::Later(skip, _) | Availability::Never(skip) => return Err(skip.into()),
        }
        let is_failover = turn == Turn::Failover;
        if is_failover && !self.may_fail_over() {
            return Err(Refusal::NoFailover);
        }
        let asked = self.entries.get(&(name.clone(), channel)).map(|entry| entry.begin(turn)).transpose();
        let asked = asked.inspect_err(|_| {
            if is_failover {
                self.refund();
            }
        })?;
        let settled = AtomicBool::new(false);
        Ok(Permit { health: Arc::clone(self), name: name.clone(), channel, asked, is_failover, settled })
    }

    /// Puts a failover back that was none.
    fn refund(&self) {
        lock(&self.budget).refund(Instant::now());
    }

    /// Brings the metric up to date when the breaker has moved.
    fn show(&self, name: &ProviderName, channel: Channel, state: &mut State, standing: Standing) {
        if std::mem::replace(&mut state.shown, standing) == standing || state.retired {
            return;
        }
        let labels = ChannelLabels { provider: name.shared(), channel: channel.as_str() };
        let value = match standing {
            Standing::Closed => 0,
            Standing::Due | Standing::Probing => 1,
            Standing::Open(_) => 2,
        };
        self.metrics.breaker_state.get_or_create(&labels).set(value);
    }
}

impl Entry {
    /// Takes a place, if neither our limits nor the breaker forbid it.
    fn begin(self: &Arc<Self>, turn: Turn) -> Result<Asked, Skip> {
        let now = Instant::now();
        if !self.lane.take(now) {
            return Err(Skip::Limit);
        }
        let Some(era) = lock(&self.state).breaker.begin(now, turn == Turn::LastResort) else {
            self.lane.give_back();
            self.lane.release();
            return Err(Skip::BreakerOpen);
        };
        Ok(Asked { entry: Arc::clone(self), era })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::{FailureKind, SendError};

    #[tokio::test(start_paused = true)]
    async fn who_has_been_replaced_no_longer_moves_the_metric() {
        let metrics = Arc::new(Metrics::new());
        let name = ProviderName::new("one");
        let one = || [(name.clone(), Limits::default())];
        let before = Arc::new(Health::new(one(), Switches::default(), Arc::clone(&metrics)));
        let late = before.begin(&name, Channel::Sms, Turn::First).expect("no limit");
        let after = Arc::new(before.after_change(one(), |_| false));
        late.settle(Err(&SendError::new(FailureKind::Account, "20003")));
        assert!(!metrics.render().contains("breaker_state{"), "{}", metrics.render());
        let own = after.begin(&name, Channel::Sms, Turn::First).expect("no limit");
        own.settle(Err(&SendError::new(FailureKind::Account, "20003")));
        assert!(metrics.render().contains("breaker_state{provider=\"one\",channel=\"sms\"} 2"));
    }
}
