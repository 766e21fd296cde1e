//! What is known of each org: its event feed, its hooks, and whom its routes put last.
//!
//! Must not judge providers by anything but what this org was told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::feed::Feed;
use super::judge::Tally;
use super::moves::Moves;
use super::traffic::Traffic;
use super::window::Moment;
use super::{Learn, MAX_COMPARED, Measure, Mode, Question, Sent, Way};
use crate::metrics::{LearnedOrg, Metrics};
use crate::otp::ProviderName;

/// Every org of the configuration.
#[derive(Debug, Default)]
pub(super) struct Orgs(BTreeMap<Arc<str>, Org>);

#[derive(Debug)]
struct Org {
    /// `None` without an event hook.
    feed: Option<Feed>,
    traffic: Traffic,
    moves: Moves,
}

/// What has fallen silent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// An org's event feed.
    Feed(Arc<str>),
    /// An org's hooks, of which so many came in the same hour of the day before.
    Hooks(Arc<str>, u32),
}

/// Who falls behind for one message, and what is to be done about it.
#[derive(Debug, Default)]
pub(super) struct Decision {
    last: Vec<(ProviderName, Measure)>,
    behind: Vec<(ProviderName, Measure)>,
    caught_up: Vec<ProviderName>,
}

impl Learn {
    /// An authenticated hook of an org has come.
    pub fn hook(&self, org: &str) {
        let (now, second) = (self.now(), self.0.clock.now().as_second());
        let mut state = self.state();
        let resumed = state.orgs.0.get_mut(org).is_some_and(|o| o.traffic.hook(now, second));
        drop(state);
        if resumed {
            tracing::warn!(org, "hooks come again");
        }
    }

    /// Something has come from an org's event feed.
    pub fn heard(&self, org: &str) {
        let now = self.now();
        let resumed = self.feed(org, |feed| feed.heard(now)) == Some(true);
        if resumed {
            tracing::warn!(org, "events come again: conversions are learnt anew");
        }
    }

    /// A code was sent that is no resend, to a user whose use of it will be heard of.
    pub fn awaits(&self, org: &str, way: &Way) {
        let now = self.now();
        self.feed(org, |feed| feed.awaits(way, now));
    }

    /// A code was used.
    pub fn used(&self, org: &str, sent: &Sent) {
        if sent.awaited {
            let at = self.moment_of(sent);
            self.feed(org, |feed| feed.used(&sent.way, at));
        }
    }

    fn feed<T>(&self, org: &str, work: impl FnOnce(&mut Feed) -> T) -> Option<T> {
        self.state().orgs.0.get_mut(org)?.feed.as_mut().map(work)
    }
}

impl Orgs {
    pub(super) fn serve(&mut self, orgs: &[(Arc<str>, bool)], now: Moment) {
        self.0.retain(|name, _| orgs.iter().any(|(org, _)| org == name));
        for (name, has_feed) in orgs {
            let fresh = || Org { feed: None, traffic: Traffic::new(), moves: Moves::default() };
            let org = self.0.entry(Arc::clone(name)).or_insert_with(fresh);
            org.feed = if *has_feed { org.feed.take().or_else(|| Some(Feed::new(now))) } else { None };
        }
    }

    pub(super) fn forget(&mut self, gone: impl Fn(&ProviderName) -> bool) {
        for feed in self.0.values_mut().filter_map(|org| org.feed.as_mut()) {
            feed.forget(&gone);
        }
    }

    /// How many of a way's codes were used, by the org's own feed.
    pub(super) fn conversion(&self, org: &str, way: &Way, now: Moment) -> Tally {
        let feed = self.0.get(org).and_then(|org| org.feed.as_ref());
        feed.map_or_else(Tally::default, |feed| feed.tally(way, now))
    }

    /// How many of a way's codes were used, in all orgs.
    pub(super) fn conversions(&self, way: &Way, now: Moment) -> Tally {
        let feeds = self.0.values().filter_map(|org| org.feed.as_ref());
        feeds.fold(Tally::default(), |sum, feed| sum.plus(feed.tally(way, now)))
    }

    /// Who of a message's providers is put last, of those that fall behind: only where another comes before it then.
    pub(super) fn moves(
        &mut self,
        question: &Question<'_>,
        behind: [Option<Measure>; MAX_COMPARED],
        now: Moment,
    ) -> Decision {
        let mut decision = Decision::default();
        let Some(Org { moves, .. }) = self.0.get_mut(question.org) else { return decision };
        if moves.is_empty() && behind.iter().all(Option::is_none) {
            return decision;
        }
        for (place, provider) in question.providers.iter().enumerate().take(MAX_COMPARED) {
            let Question { route, country, channel, .. } = *question;
            let way = Way { provider: provider.clone(), country, channel };
            let better_follows = (place + 1..question.providers.len().min(MAX_COMPARED)).any(|p| behind[p].is_none());
            let Some(measure) = behind[place].filter(|_| better_follows) else {
                if behind[place].is_none() && moves.keeps_up(route, &way, now) {
                    decision.caught_up.push(provider.clone());
                }
                continue;
            };
            let step = moves.behind(route, &way, now);
            if step.tells {
                decision.behind.push((provider.clone(), measure));
            }
            if step.moves {
                decision.last.push((provider.clone(), measure));
            }
        }
        decision
    }

    /// What has fallen silent since the last look.
    pub(super) fn look(&mut self, now: Moment) -> Vec<Silence> {
        let mut silences = Vec::new();
        for (name, org) in &mut self.0 {
            let hooks = org.traffic.look(now).map(|count| Silence::Hooks(Arc::clone(name), count));
            let feed = org.feed.as_mut().is_some_and(|feed| feed.look(now)).then(|| Silence::Feed(Arc::clone(name)));
            silences.extend(hooks.into_iter().chain(feed));
        }
        silences
    }

    /// What metrics show of each org.
    pub(super) fn shown(&self) -> Vec<LearnedOrg> {
        let shown = |(name, org): (&Arc<str>, &Org)| LearnedOrg {
            org: Arc::clone(name),
            last_hook: org.traffic.last_second(),
            silent: org.traffic.is_silent(),
            feed_silent: org.feed.as_ref().map(Feed::is_silent),
        };
        self.0.iter().map(shown).collect()
    }
}

impl Decision {
    /// Tells log and metrics; gives who is put last, which is nobody when that is only observed.
    pub(super) fn tell(self, question: &Question<'_>, metrics: &Metrics) -> Vec<ProviderName> {
        let Question { org, mode, route, channel, .. } = *question;
        let country = question.country.map(tracing::field::display);
        let channel = channel.as_str();
        for (provider, measure) in &self.behind {
            let (measure, learn) = (measure.as_str(), mode.as_str());
            tracing::warn!(%org, %provider, country, channel, %route, measure, learn, "provider falls behind");
        }
        for provider in &self.caught_up {
            tracing::warn!(%org, %provider, country, channel, %route, "provider keeps up again");
        }
        for (provider, _) in &self.last {
            metrics.learned.moved(org, provider, mode.as_str());
        }
        match mode {
            Mode::Observe => Vec::new(),
            Mode::Enforce => self.last.into_iter().map(|(provider, _)| provider).collect(),
        }
    }
}

impl Silence {
    pub(super) fn tell(&self) {
        match self {
            Self::Feed(org) => {
                tracing::error!(%org, "no event has come for two hours though codes were sent: conversions are not judged");
            }
            Self::Hooks(org, yesterday) => {
                tracing::error!(%org, yesterday, "no hook has come for half an hour, unlike at this time yesterday");
            }
        }
    }
}
