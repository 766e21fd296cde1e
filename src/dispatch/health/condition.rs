//! How a provider is doing now, to be shown to people.
//!
//! Must not change it: looking at a breaker whose penalty is over sends no probe.

use std::time::Duration;

use tokio::time::Instant;

use super::{Health, Limits, lock};
use crate::dispatch::breaker::Standing;
use crate::dispatch::switches::Setting;
use crate::otp::{Channel, ProviderName};

/// How a circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Traffic flows.
    Closed,
    /// One probe may go, or is out.
    HalfOpen,
    /// Skipped, for so long.
    Open(Duration),
}

impl Circuit {
    /// The word on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open(_) => "open",
        }
    }
}

/// How one provider is doing on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Its circuit breaker.
    pub circuit: Circuit,
    /// What is left of the pause it asked for.
    pub paused_for: Option<Duration>,
    /// Attempts under way at it, over both channels.
    pub in_flight: u32,
    /// What it is asked at most.
    pub limits: Limits,
    /// Whether it is at one of these limits.
    pub is_full: bool,
    /// What an operator has set.
    pub switch: Option<Setting>,
}

impl Health {
    /// How a provider is doing on a channel; `None` when it is not known.
    pub fn condition(&self, name: &ProviderName, channel: Channel) -> Option<Condition> {
        let now = Instant::now();
        let entry = self.entries.get(&(name.clone(), channel))?;
        let standing = lock(&entry.state).breaker.standing(now);
        let circuit = match standing {
            Standing::Closed => Circuit::Closed,
            Standing::Due | Standing::Probing => Circuit::HalfOpen,
            Standing::Open(until) => Circuit::Open(until.duration_since(now)),
        };
        Some(Condition {
            circuit,
            paused_for: entry.lane.paused(now).map(|until| until.duration_since(now)),
            in_flight: entry.lane.in_flight(),
            limits: entry.lane.limits(),
            is_full: entry.lane.is_full(now),
            switch: self.switches.of_provider(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Turn;
    use super::*;
    use crate::dispatch::switches::{Switches, Target};
    use crate::metrics::Metrics;
    use crate::otp::{FailureKind, SendError};

    #[tokio::test(start_paused = true)]
    async fn a_condition_tells_of_breaker_pause_limit_and_switch_on_each_channel() {
        let (name, switches) = (ProviderName::new("a"), Switches::default());
        let limits = Limits { max_in_flight: Some(2), max_per_second: None };
        let health = Health::new([(name.clone(), limits)], switches.clone(), Arc::new(Metrics::new()));
        let health = Arc::new(health);
        let on = |channel| health.condition(&name, channel).expect("known");
        let well = Condition {
            circuit: Circuit::Closed,
            paused_for: None,
            in_flight: 0,
            limits,
            is_full: false,
            switch: None,
        };
        assert_eq!(on(Channel::Sms), well);
        assert_eq!(health.condition(&ProviderName::new("b"), Channel::Sms), None);

        let throttled = SendError {
            retry_after: Some(Duration::from_secs(7)),
            ..SendError::new(FailureKind::Throttled, "http_429")
        };
        health.begin(&name, Channel::Voice, Turn::LastResort).expect("a place").settle(Err(&throttled));
        let (one, _two) = (
            health.begin(&name, Channel::Sms, Turn::LastResort).expect("a place"),
            health.begin(&name, Channel::Sms, Turn::LastResort),
        );
        one.settle(Err(&SendError::new(FailureKind::Account, "http_401")));
        switches.set(Target::Provider(name.clone()), Setting::Drained);
        let busy = Condition { in_flight: 2, is_full: true, switch: Some(Setting::Drained), ..well };
        assert_eq!(on(Channel::Voice), Condition { paused_for: Some(Duration::from_secs(7)), ..busy });
        let texts = on(Channel::Sms);
        assert!(matches!(texts.circuit, Circuit::Open(left) if left > Duration::from_secs(1)), "{texts:?}");
        let paused_for = Some(Duration::from_secs(7));
        assert_eq!(texts, Condition { circuit: texts.circuit, paused_for, ..busy });

        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(on(Channel::Sms).circuit, Circuit::HalfOpen);
        assert_eq!(on(Channel::Voice).paused_for, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_pause_asked_for_stands_for_both_channels_and_trips_no_breaker() {
        let name = ProviderName::new("a");
        let health = Health::new([(name.clone(), Limits::default())], Switches::default(), Arc::new(Metrics::new()));
        let health = Arc::new(health);
        let fail = |kind, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            let error = SendError { retry_after, ..SendError::new(kind, "http") };
            health.begin(&name, Channel::Sms, Turn::LastResort).expect("a place").settle(Err(&error));
        };
        fail(FailureKind::Throttled, Some(30));
        fail(FailureKind::Throttled, None);
        for _ in 0..9 {
            fail(FailureKind::Unavailable, Some(20));
        }
        let late = health.begin(&name, Channel::Sms, Turn::LastResort).expect("a place");
        late.settle(Err(&SendError::new(FailureKind::Unconfirmed, "timeout")));
        late.settle(Err(&SendError {
            retry_after: Some(Duration::from_secs(40)),
            ..SendError::new(FailureKind::Unavailable, "20503")
        }));
        for channel in Channel::ALL {
            let condition = health.condition(&name, channel).expect("known");
            assert_eq!((condition.paused_for, condition.circuit), (Some(Duration::from_secs(40)), Circuit::Closed));
        }
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(health.condition(&name, Channel::Sms).expect("known").paused_for, None);
    }
}
