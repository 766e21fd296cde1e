//! `[orgs.*]`: the settings of one org, as typed and as checked.
//!
//! Must not know other orgs or how providers are built.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::dispatch::{AfterUnconfirmed, Policy};
use crate::guard;
use crate::learn;
use crate::okta::authenticate::{self, Authenticate};
use crate::okta::{Replies, ReplySettings, event, factors};
use crate::otp::Country;
use crate::route::{self, Capability, Router};
use crate::secret::Environment;
use crate::settings::{Findings, duration, optional_duration, show, word};
use crate::text::{self, Texts};

/// Okta gives up after 3 s of its own clock; below 200 ms of reserve its network alone would make us late.
const MAX_BUDGET: Duration = Duration::from_millis(2800);

/// Leaves the default budget room for a second provider after a first that hangs.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1200);

/// Vendors answer most create calls faster than this; with less left an attempt would mostly end in doubt.
const MIN_ATTEMPT: Duration = Duration::from_millis(500);

/// `[orgs.*]`, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Path of the hook on the public listener.
    pub path: String,
    /// From the first byte of a request to our answer.
    #[serde(deserialize_with = "duration")]
    pub budget: Duration,
    /// How long one attempt is waited for while another provider could still be asked; 1200ms, or the budget if shorter.
    #[serde(deserialize_with = "optional_duration")]
    pub attempt_timeout: Option<Duration>,
    /// No attempt starts with less than this left; 500ms, or the attempt time-out or half the budget if shorter.
    #[serde(deserialize_with = "optional_duration")]
    pub min_attempt: Option<Duration>,
    /// What follows an attempt that may have worked.
    pub after_unconfirmed: AfterUnconfirmedSettings,
    /// Concurrent transactions the org may have at Okta: 75 by default there, 35 on free Integrator orgs.
    pub okta_concurrency: u32,
    /// Country of numbers without `+`; without one they are refused.
    pub default_country: Option<String>,
    /// How Okta proves itself.
    pub auth: authenticate::Settings,
    /// What Okta is told.
    pub reply: ReplySettings,
    /// Who delivers what.
    pub routes: Vec<route::Settings>,
    /// What follows when a provider falls behind.
    #[serde(deserialize_with = "word")]
    pub learn: learn::Mode,
    /// What messages say.
    pub text: text::Settings,
    /// What is limited.
    pub guard: guard::Settings,
    /// Where Okta tells which codes were used.
    pub event_hook: Option<event::Settings>,
    /// The org's own API, for users that the journal does not know.
    pub okta: factors::Settings,
}

/// `after_unconfirmed`, by channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AfterUnconfirmedSettings {
    /// A duplicate text is the same code twice: go on.
    #[serde(deserialize_with = "word")]
    pub sms: AfterUnconfirmed,
    /// A second call is not wanted: stop.
    #[serde(deserialize_with = "word")]
    pub voice: AfterUnconfirmed,
}

impl Default for AfterUnconfirmedSettings {
    fn default() -> Self {
        Self { sms: AfterUnconfirmed::Next, voice: AfterUnconfirmed::Stop }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/okta/telephony".to_owned(),
            budget: Duration::from_millis(2600),
            attempt_timeout: None,
            min_attempt: None,
            after_unconfirmed: AfterUnconfirmedSettings::default(),
            okta_concurrency: 75,
            default_country: None,
            auth: authenticate::Settings::default(),
            reply: ReplySettings::default(),
            routes: Vec::new(),
            learn: learn::Mode::default(),
            text: text::Settings::default(),
            guard: guard::Settings::default(),
            event_hook: None,
            okta: factors::Settings::default(),
        }
    }
}

/// `[orgs.*]`, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Key of the org in the configuration.
    pub name: Arc<str>,
    /// Path of the hook.
    pub path: String,
    /// From the first byte of a request to our answer.
    pub budget: Duration,
    /// How attempts are made.
    pub policy: Policy,
    /// Concurrent transactions the org may have at Okta.
    pub okta_concurrency: u32,
    /// Country of numbers without `+`.
    pub default_country: Option<Country>,
    /// Recognises Okta.
    pub authenticate: Authenticate,
    /// Writes answers.
    pub replies: Replies,
    /// Makes plans.
    pub router: Router,
    /// What follows when a provider falls behind.
    pub learn: learn::Mode,
    /// Writes what messages say.
    pub texts: Texts,
    /// What is limited.
    pub guard: guard::Config,
    /// Where Okta tells which codes were used.
    pub event_hook: Option<event::Config>,
    /// The org's own API.
    pub okta: Option<factors::Config>,
}

impl Config {
    /// Whether an attempt can still be made after waiting so long for something else, beside reading and writing.
    pub fn leaves_room_after(&self, wait: Duration) -> bool {
        room(self.budget) >= wait + self.policy.min_attempt
    }
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table.
    pub fn check(
        &self,
        name: &str,
        at: &str,
        capabilities: &[Capability],
        environment: &Environment,
        findings: &mut Findings,
    ) -> Config {
        check_path(&self.path, at, findings);
        if self.okta_concurrency == 0 {
            findings.fault(format!("{at}.okta_concurrency"), "must be at least 1");
        }
        let (attempt_timeout, min_attempt) = self.check_budget(at, findings);
        let default_country = self.default_country.as_deref().filter(|c| !c.is_empty());
        let country = default_country.and_then(Country::with_numbers);
        if default_country.is_some() && country.is_none() {
            findings.fault(format!("{at}.default_country"), "must be a two-letter country code such as GB");
        }
        let authenticate = self.auth.check(&format!("{at}.auth"), environment, findings);
        let event_hook = self.check_event_hook(&format!("{at}.event_hook"), &authenticate, environment, findings);
        Config {
            name: name.into(),
            path: self.path.clone(),
            budget: self.budget,
            policy: Policy {
                attempt_timeout,
                min_attempt,
                after_unconfirmed_sms: self.after_unconfirmed.sms,
                after_unconfirmed_voice: self.after_unconfirmed.voice,
            },
            okta_concurrency: self.okta_concurrency,
            default_country: country,
            authenticate,
            replies: Replies::new(self.reply.clone()),
            router: Router::new(&self.routes, capabilities, &format!("{at}.routes"), findings),
            learn: self.learn,
            texts: self.text.check(&format!("{at}.text"), findings),
            guard: self.guard.check(&format!("{at}.guard"), findings),
            event_hook,
            okta: self.check_okta(&format!("{at}.okta"), environment, findings),
        }
    }

    fn check_event_hook(
        &self,
        at: &str,
        inline: &Authenticate,
        environment: &Environment,
        findings: &mut Findings,
    ) -> Option<event::Config> {
        let event_hook = self.event_hook.as_ref()?;
        check_path(&event_hook.path, at, findings);
        let event_hook = event_hook.check(at, environment, findings);
        if event_hook.authenticate.shares_a_secret_with(inline) {
            let rule =
                "has a secret of the inline hook: whoever may tell of events could have messages sent; use another";
            findings.warn(format!("{at}.auth"), rule);
        }
        Some(event_hook)
    }

    fn check_okta(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Option<factors::Config> {
        let okta = self.okta.check(at, environment, findings);
        if okta.is_some() && self.event_hook.is_none() {
            findings.warn(at, "is asked only about events, and there is no event_hook");
        }
        okta
    }

    fn check_budget(&self, at: &str, findings: &mut Findings) -> (Duration, Duration) {
        findings.within(format!("{at}.budget"), self.budget, Duration::from_millis(500), MAX_BUDGET);
        let attempt_timeout = self.attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT.min(self.budget));
        let min_attempt = self.min_attempt.unwrap_or(MIN_ATTEMPT.min(attempt_timeout).min(self.budget / 2));
        if attempt_timeout.is_zero() || attempt_timeout > self.budget {
            let rule = format!("must be above zero and at most the budget of {}", show(self.budget));
            findings.fault(format!("{at}.attempt_timeout"), rule);
        }
        if min_attempt.is_zero() {
            findings.fault(format!("{at}.min_attempt"), "must be above zero");
        } else if min_attempt > room(self.budget) {
            let (most, budget) = (show(room(self.budget)), show(self.budget));
            let rule = format!("must be at most {most}, which a budget of {budget} leaves after reading and writing");
            findings.fault(format!("{at}.min_attempt"), rule);
        }
        (attempt_timeout, min_attempt)
    }
}

/// What a budget leaves for attempts: with more than that as `min_attempt` none would ever begin.
fn room(budget: Duration) -> Duration {
    budget.saturating_sub(super::INTAKE + super::REPLY_RESERVE)
}

fn check_path(path: &str, at: &str, findings: &mut Findings) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if !path.starts_with('/') || !path.bytes().all(plain) {
        findings.fault(format!("{at}.path"), "must start with / and hold only letters, digits and -._~/");
    } else if path.starts_with("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        findings.fault(
            format!("{at}.path"),
            "must not start with // nor have . or .. between slashes: callers and proxies change such paths",
        );
    } else if path == "/livez" || path.starts_with("/callbacks/") {
        findings.fault(format!("{at}.path"), "must not be /livez or below /callbacks/, which are ours");
    }
}
