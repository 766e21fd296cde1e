//! Attempts inside the deadline: asks the plan's providers one after another until one takes the message, and says what
//! became of it.
//!
//! Must not know Okta, routes or any vendor. An attempt that has handed its message over is never cancelled: when we stop
//! waiting it goes on by itself, and its late outcome is counted, logged and handed to whoever remembers it. But it hands
//! nothing over then: one that was still preparing is dropped, and has failed for certain.
//!
//! Who is asked, by how a provider stands:
//!
//! | standing | in its turn | when nobody was asked |
//! |---|---|---|
//! | ready | asked | asked |
//! | its breaker wants a probe | asked, if time is left for another one after it | asked |
//! | drained, paused, breaker open or probe out | skipped | asked: the one whose time comes first |
//! | disabled, at a limit of ours | skipped | skipped |
//!
//! Nobody was asked when all were skipped, or found that the message does not fit them. After somebody was asked, however
//! that ended, nobody is who was skipped.

mod breaker;
mod budget;
mod discretion;
pub mod health;
mod lane;
mod race;
mod ring;
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
use crate::outbound::Handover;
use crate::provider::{Provider, SendOptions};
use crate::route::Plan;
use discretion::discreet;
use health::{Availability, Health, Refusal, Skip, Turn};
use race::{Patience, Race};

/// An attempt that has not ended after this is given up: no vendor answers a create call later than that.
const HARD_CAP: Duration = Duration::from_secs(10);

/// How much sooner than `min_attempt` asks for an attempt is given up: the runtime's timers fire up to a millisecond late,
/// and a busy process wakes later still. Then too little time would be left for the next one.
const WAKE_UP: Duration = Duration::from_millis(10);

/// Sends of one code when none of them can have worked. An attempt that never reached its provider is none.
const MAX_SENDS: usize = 3;

/// Sends of one code when one of them may have worked: a person gets two copies at most.
const MAX_SENDS_WITH_DOUBT: usize = 2;

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
    skipped: Vec<(ProviderName, &'static str)>,
}

impl Dispatch {
    /// Dispatches to the team's providers as the policy says.
    pub fn new(team: Team, policy: Policy) -> Self {
        Self { team, policy }
    }

    /// Makes attempts until one is accepted, a failure forbids another, or the deadline leaves no room. One that was
    /// shortened is given back whole when everybody asked so far failed for certain: time is short for those that are slow.
    pub async fn run(&self, job: &Arc<Job>, plan: &Plan, deadline: &Deadline) -> Outcome {
        let mut deadline = *deadline;
        let channel = job.message.channel;
        self.team.health.message();
        let Candidates { asked, mut skipped } = self.candidates(plan, channel, &deadline);
        let mut waiting = asked.into_iter();
        let mut race = Race::new(job, &self.team.metrics, &self.team.tasks);
        while !race.is_won() {
            if race.is_lost() && deadline.restore() {
                // With more time a probe may be made, too.
                let Candidates { mut asked, skipped: still } = self.candidates(plan, channel, &deadline);
                asked.retain(|provider| !race.has_tried(provider.name()));
                (waiting, skipped) = (asked.into_iter(), still);
            }
            let next = if self.may_ask(channel, &race, &deadline) { waiting.next() } else { None };
            let Some(provider) = next else {
                // One still under way may yet be accepted, or turn out to have sent nothing, which frees its place.
                if race.next_end(deadline.due()).await {
                    continue;
                }
                break;
            };
            let turn = race.turn();
            match self.begin(job, provider, &mut race, turn) {
                Ok(()) => race.wait(self.patience(channel, waiting.len() > 0, &race, &deadline)).await,
                Err(Refusal::Skip(skip)) => skipped.push((provider.name().clone(), skip.as_str())),
                Err(Refusal::NoFailover) => waiting = Vec::new().into_iter(),
            }
        }
        // A code hook that asks nobody is an outage of its own making.
        if race.asked() == 0
            && deadline.remaining() >= self.policy.min_attempt
            && let Some(provider) = self.last_resort(plan, channel, &race)
            && self.begin(job, provider, &mut race, Turn::LastResort).is_ok()
        {
            skipped.retain(|(name, _)| name != provider.name());
            race.wait(Patience { unwritten: deadline.due(), unanswered: deadline.due() }).await;
        }
        let attempts = race.finish();
        for attempt in &attempts {
            let kind = attempt.result.as_ref().err().map(|e| e.kind);
            self.team.metrics.attempts.get_or_create(&AttemptLabels::new(&attempt.provider, channel, kind)).inc();
        }
        Outcome { skipped, ..Outcome::of(channel, Arc::clone(&plan.route), attempts) }
    }

    /// The plan without those that should not be asked now.
    fn candidates(&self, plan: &Plan, channel: Channel, deadline: &Deadline) -> Candidates<'_> {
        // A probe is likely to fail: it needs time for another attempt after it.
        let may_probe = deadline.remaining() >= self.policy.min_attempt * 2;
        let mut candidates = Candidates { asked: Vec::new(), skipped: Vec::new() };
        for provider in plan.providers.iter().filter_map(|name| self.team.providers.get(name)) {
            let skip = match self.team.health.availability(provider.name(), channel) {
                Availability::Probe if !may_probe => Skip::BreakerOpen,
                Availability::Ready | Availability::Probe => {
                    candidates.asked.push(provider);
                    continue;
                }
                Availability::Later(skip, _) | Availability::Never(skip) => skip,
            };
            candidates.skipped.push((provider.name().clone(), skip.as_str()));
        }
        candidates
    }

    /// Whom to ask when nobody was: of those that the race has not tried, the one whose time comes first.
    fn last_resort(&self, plan: &Plan, channel: Channel, race: &Race) -> Option<&Arc<dyn Provider>> {
        let now = Instant::now();
        let time = |provider: &Arc<dyn Provider>| match self.team.health.availability(provider.name(), channel) {
            Availability::Ready | Availability::Probe => Some(now),
            Availability::Later(_, until) => Some(until),
            Availability::Never(_) => None,
        };
        let untried = plan.providers.iter().filter(|name| !race.has_tried(name));
        let known = untried.filter_map(|name| self.team.providers.get(name));
        known.filter_map(|p| Some((time(p)?, p))).min_by_key(|(time, _)| *time).map(|(_, p)| p)
    }

    /// How long the attempt begun last is waited for: to the deadline when nobody could be asked after it. After one that has
    /// written nothing there always could, if there is somebody.
    fn patience(&self, channel: Channel, more: bool, race: &Race, deadline: &Deadline) -> Patience {
        let due = deadline.due();
        if !more || deadline.remaining() < self.policy.min_attempt * 2 {
            return Patience { unwritten: due, unanswered: due };
        }
        let leaves_room = due - self.policy.min_attempt - WAKE_UP;
        let unwritten = leaves_room.min(Instant::now() + self.policy.attempt_timeout);
        let last =
            race.sends() >= MAX_SENDS_WITH_DOUBT || self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Stop;
        Patience { unwritten, unanswered: if last { due } else { unwritten } }
    }

    /// Whether time, the limits and the attempts so far allow another provider. A refusal that came late, while the next
    /// one was asked, still is one.
    fn may_ask(&self, channel: Channel, race: &Race, deadline: &Deadline) -> bool {
        let is_in_time = deadline.remaining() >= self.policy.min_attempt;
        let may_go_on = race.kinds().all(|kind| match kind.next() {
            Next::Provider => true,
            Next::ByPolicy => self.policy.after_unconfirmed(channel) == AfterUnconfirmed::Next,
            Next::Stop => false,
        });
        is_in_time && race.may_begin() && may_go_on
    }

    /// Begins an attempt.
    fn begin(&self, job: &Arc<Job>, provider: &Arc<dyn Provider>, race: &mut Race, turn: Turn) -> Result<(), Refusal> {
        let to = provider.name();
        let permit = self.team.health.begin(to, job.message.channel, turn)?;
        if let Some((from, kind)) = race.last().filter(|_| matches!(turn, Turn::Failover | Turn::Detour)) {
            tracing::warn!(%from, %to, kind = kind.as_str(), phone_ref = job.phone_ref, "failover");
        }
        job.begun.store(true, Ordering::Release);
        let (job, asked) = (Arc::clone(job), Arc::clone(provider));
        let now = self.team.clock.now();
        let handover = Handover::default();
        let asks = handover.clone();
        let learn = (!job.message.preview).then(|| (self.team.learn.clone(), Way::of(to, &job.message)));
        let work = async move {
            let options = SendOptions { content: &job.content, now };
            let ending = timeout(HARD_CAP, asked.send(&job.message, options, &asks)).await;
            let ending = ending.unwrap_or_else(|_| Err(SendError::new(FailureKind::Unconfirmed, "timeout")));
            discreet(ending, &job.message)
        };
        race.begin(to, permit, handover, learn, Box::pin(work));
        Ok(())
    }
}
