//! Attempts inside the deadline: asks the plan's providers one after another until one takes the message, and says what
//! became of it.
//!
//! Must not know Okta, routes or any vendor. An attempt that was begun is never cancelled: when we stop waiting it goes
//! on by itself, and its late outcome is counted, logged and handed to whoever remembers it.

mod breaker;
mod budget;
mod discretion;
pub mod health;
mod lane;
mod race;
mod suspicion;
pub mod switches;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::deadline::{Clock, Deadline};
use crate::learn::{Learn, Way};
use crate::metrics::{AttemptLabels, Metrics};
use crate::otp::{Attempt, Channel, Content, FailureKind, Message, Next, Outcome, ProviderName, SendError};
use crate::provider::{Provider, SendOptions};
use crate::route::Plan;
use discretion::discreet;
use health::{Availability, Health, Skip};
use race::Race;

/// An attempt that has not ended after this is given up: no vendor answers a create call later than that.
const HARD_CAP: Duration = Duration::from_secs(10);

/// Sends of one code when none of them can have worked.
const MAX_ATTEMPTS: usize = 3;

/// Sends of one code when one of them may have worked: a person gets two copies at most.
const MAX_ATTEMPTS_WITH_DOUBT: usize = 2;

/// One message on its way, shared with the attempts that may outlive the answer.
#[derive(Debug)]
pub struct Job {
    /// The message.
    pub message: Message,
    /// What it says.
    pub content: Content,
    /// The keyed hash of its number, for log lines.
    pub phone_ref: String,
    /// Whether any attempt was begun: a panic before that lost nothing.
    pub begun: Arc<AtomicBool>,
    /// Hears of the attempts that nobody waited for.
    pub afterwards: Arc<dyn Afterwards>,
}

/// Hears how attempts ended that were left behind. A trait, as dispatch does not know who remembers them.
#[async_trait]
pub trait Afterwards: fmt::Debug + Send + Sync {
    /// One has ended, after its message's outcome was told.
    async fn ended(&self, message: &Message, attempt: &Attempt);
}

/// `after_unconfirmed.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterUnconfirmed {
    /// Ask the next provider: a duplicate is better than nothing.
    Next,
    /// Ask nobody else.
    Stop,
}

/// How one org wants attempts made.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long one attempt is waited for while another provider could still be asked.
    pub attempt_timeout: Duration,
    /// Nothing starts with less than this left.
    pub min_attempt: Duration,
    /// What follows an unconfirmed text.
    pub after_unconfirmed_sms: AfterUnconfirmed,
    /// What follows an unconfirmed call.
    pub after_unconfirmed_voice: AfterUnconfirmed,
}

impl Policy {
    fn after_unconfirmed(&self, channel: Channel) -> AfterUnconfirmed {
        match channel {
            Channel::Sms => self.after_unconfirmed_sms,
            Channel::Voice => self.after_unconfirmed_voice,
        }
    }
}

/// What the dispatches of all orgs share.
#[derive(Debug, Clone)]
pub struct Team {
    /// Who can be asked.
    pub providers: BTreeMap<ProviderName, Arc<dyn Provider>>,
    /// How they are doing.
    pub health: Arc<Health>,
    /// What is learnt of them.
    pub learn: Learn,
    /// Where attempts are counted.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub clock: Clock,
    /// Carries begun attempts; a shutdown waits for it.
    pub tasks: TaskTracker,
}

/// Dispatches the messages of one org.
#[derive(Debug, Clone)]
pub struct Dispatch {
    team: Team,
    policy: Policy,
}

/// Who will be asked for one message, and who will not, with the reason.
#[derive(Debug)]
struct Candidates<'a> {
    asked: Vec<&'a Arc<dyn Provider>>,
    /// For when none of them takes the message.
    spare: Option<&'a Arc<dyn Provider>>,
    skipped: Vec<(ProviderName, &'static str)>,
}

/// Why an attempt was not begun.
enum Refusal {
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

impl Dispatch {
    /// Dispatches to the team's providers as the policy says.
    pub fn new(team: Team, policy: Policy) -> Self {
        Self { team, policy }
    }

    /// Makes attempts until one is accepted, a failure forbids another, or the deadline leaves no room.
    pub async fn run(&self, job: &Arc<Job>, plan: &Plan, deadline: &Deadline) -> Outcome {
        let channel = job.message.channel;
        self.team.health.message();
        let Candidates { asked, spare, mut skipped } = self.candidates(plan, channel, deadline);
        let mut race = Race::new(job, &self.team.metrics, &self.team.tasks);
        for (place, provider) in asked.iter().enumerate() {
            if deadline.remaining() < self.policy.min_attempt || !race.may_begin() {
                break;
            }
            match self.still_well(provider, channel, &race).and_then(|()| self.begin(job, provider, &mut race)) {
                Ok(()) => {}
                Err(Refusal::Skip(skip)) => {
                    skipped.push((provider.name().clone(), skip.as_str()));
                    continue;
                }
                Err(Refusal::NoFailover) => break,
            }
            let until = self.patience(channel, place + 1 < asked.len(), &race, deadline);
            if race.wait(until).await || !self.may_go_on(channel, &race) {
                break;
            }
        }
        // A code hook that asks nobody is an outage of its own making.
        if race.asked() == 0
            && deadline.remaining() >= self.policy.min_attempt
            && let Some(provider) = spare.or_else(|| self.last_resort(plan, channel))
            && self.begin(job, provider, &mut race).is_ok()
        {
            skipped.retain(|(name, _)| name != provider.name());
            race.wait(deadline.due()).await;
        }
        race.linger(deadline.due()).await;
        let attempts = race.finish();
        for attempt in &attempts {
            let kind = attempt.result.as_ref().err().map(|e| e.kind);
            self.team.metrics.attempts.get_or_create(&AttemptLabels::new(&attempt.provider, channel, kind)).inc();
        }
        Outcome { skipped, ..Outcome::of(channel, Arc::clone(&plan.route), attempts) }
    }

    /// The plan without those that should not be asked now, and the one of these that is best off.
    fn candidates(&self, plan: &Plan, channel: Channel, deadline: &Deadline) -> Candidates<'_> {
        // A probe is likely to fail: it needs time for another attempt after it.
        let may_probe = deadline.remaining() >= self.policy.min_attempt * 2;
        let mut candidates = Candidates { asked: Vec::new(), spare: None, skipped: plan.skipped.clone() };
        let mut spare: Option<(Instant, &Arc<dyn Provider>)> = None;
        for provider in plan.providers.iter().filter_map(|name| self.team.providers.get(name)) {
            let (skip, until) = match self.team.health.availability(provider.name(), channel) {
                Availability::Probe if !may_probe => (Skip::BreakerOpen, Some(Instant::now())),
                Availability::Ready | Availability::Probe => {
                    candidates.asked.push(provider);
                    continue;
                }
                Availability::Later(skip, until) => (skip, Some(until)),
                Availability::Never(skip) => (skip, None),
            };
            candidates.skipped.push((provider.name().clone(), skip.as_str()));
            if let Some(until) = until
                && spare.is_none_or(|(earliest, _)| until < earliest)
            {
                spare = Some((until, provider));
            }
        }
        candidates.spare = spare.map(|(_, provider)| provider);
        candidates
    }

    /// One that the plan leaves out, for when none of those it names may be asked.
    fn last_resort(&self, plan: &Plan, channel: Channel) -> Option<&Arc<dyn Provider>> {
        let mut left_out = plan.skipped.iter().filter_map(|(name, _)| self.team.providers.get(name));
        left_out.find(|p| !matches!(self.team.health.availability(p.name(), channel), Availability::Never(_)))
    }

    /// Until when the attempt begun last is waited for: to the deadline when nobody could be asked after it.
    fn patience(&self, channel: Channel, more: bool, race: &Race, deadline: &Deadline) -> Instant {
        let last = !more
            || race.asked() >= MAX_ATTEMPTS_WITH_DOUBT
            || self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Stop
            || deadline.remaining() < self.policy.min_attempt * 2;
        if last {
            return deadline.due();
        }
        let leaves_room = deadline.due() - self.policy.min_attempt;
        leaves_room.min(Instant::now() + self.policy.attempt_timeout)
    }

    /// Whether the attempts so far allow another provider. A refusal that came late, while the next one was asked,
    /// still is one.
    fn may_go_on(&self, channel: Channel, race: &Race) -> bool {
        race.kinds().all(|kind| match kind.next() {
            Next::Provider => true,
            Next::ByPolicy => self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Next,
            Next::Stop => false,
        })
    }

    /// Whether the provider may still be asked: while another one was waited for, others have asked it.
    fn still_well(&self, provider: &Arc<dyn Provider>, channel: Channel, race: &Race) -> Result<(), Refusal> {
        if race.last().is_some() {
            self.team.health.still_well(provider.name(), channel)?;
        }
        Ok(())
    }

    /// Begins an attempt.
    fn begin(&self, job: &Arc<Job>, provider: &Arc<dyn Provider>, race: &mut Race) -> Result<(), Refusal> {
        let (health, to) = (&self.team.health, provider.name());
        let is_failover = race.asked() > 0;
        if is_failover && !health.may_fail_over() {
            return Err(Refusal::NoFailover);
        }
        let ticket = health.begin(to, job.message.channel, is_failover)?;
        if let Some((from, kind)) = race.last().filter(|_| is_failover) {
            tracing::warn!(%from, %to, kind = kind.as_str(), phone_ref = job.phone_ref, "failover");
        }
        job.begun.store(true, Ordering::Release);
        let (job, asked) = (Arc::clone(job), Arc::clone(provider));
        let now = self.team.clock.now();
        let learn = (!job.message.preview).then(|| self.team.learn.clone());
        let work = async move {
            let options = SendOptions { content: &job.content, now };
            let ending = timeout(HARD_CAP, asked.send(&job.message, options)).await;
            let ending = ending.unwrap_or_else(|_| Err(SendError::new(FailureKind::Unconfirmed, "timeout")));
            let ending = discreet(ending, &job.message);
            if let Some(learn) = learn.filter(|_| !ending.as_ref().is_err_and(|e| e.unasked)) {
                learn.ended(&Way::of(asked.name(), &job.message), ending.is_ok());
            }
            ending
        };
        race.begin(provider.name(), ticket, Box::pin(work));
        Ok(())
    }
}
