//! Which providers may deliver a message, and in which order. Pure and total: every message gets a plan.
//!
//! Must not know whether a provider is well, nor send anything; an empty plan is an answer too.

mod explain;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::otp::{Channel, Country, Message, ProviderName, RequestType};
use crate::settings::{Findings, List, NAME, is_name, word};

/// `[[orgs.*.routes]]`: the first one whose `when` fits decides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Shown in logs and to Okta's administrators; `routes[n]` when absent.
    pub name: Option<String>,
    /// Conditions; all of them must hold. None: fits every message.
    pub when: When,
    /// Names of providers.
    pub send: List,
    /// In the order given, or one drawn by weight and the others behind it.
    #[serde(deserialize_with = "word")]
    pub strategy: Strategy,
    /// Shares for `weighted`; a provider without one has 1.
    pub weights: BTreeMap<String, u32>,
}

/// Conditions of a route, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// ISO 3166 alpha-2 codes of the recipient's country.
    pub country: List,
    /// `sms` or `voice`.
    pub channel: List,
    /// Last words of Okta's `requestType`, such as `mfa-verification`.
    pub request_type: List,
    /// Locales; `en-*` fits `en` and every region of it, `*` every request, also one without a locale.
    pub locale: List,
}

/// `strategy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// As listed.
    #[default]
    Ordered,
    /// One by lot, weighted; the others behind it as listed.
    Weighted,
}

/// In `when.locale`: no condition.
const ANY: &str = "*";

/// A configured provider, as far as a route must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub provider: ProviderName,
    /// What it can do.
    pub channels: Vec<Channel>,
}

impl Capability {
    fn supports(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }
}

/// The providers to ask for one message, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The route that fitted.
    pub route: Arc<str>,
    /// Who to ask, best first. Every one supports the message's channel.
    pub providers: Vec<ProviderName>,
    /// Whether the order is that of the route, and not drawn by lot.
    pub ordered: bool,
}

impl Plan {
    /// The same providers, with the one that was asked last time at the end: a person who asks again did not get it.
    #[must_use]
    pub fn after(mut self, last: &ProviderName) -> Self {
        if let Some(place) = self.providers.iter().position(|name| name == last) {
            self.providers[place..].rotate_left(1);
        }
        self
    }

    /// The same providers, with these at the end.
    #[must_use]
    pub fn with_last(mut self, last: &[ProviderName]) -> Self {
        self.providers.sort_by_key(|name| last.contains(name));
        self
    }
}

/// All routes of one org, checked.
#[derive(Debug, Clone)]
pub struct Router {
    routes: Vec<Route>,
}

#[derive(Debug, Clone)]
struct Route {
    name: Arc<str>,
    countries: Vec<Country>,
    channels: Vec<Channel>,
    request_types: Vec<String>,
    locales: Vec<String>,
    /// By channel, in the order of `Channel::ALL`, with weights.
    providers: [Vec<(ProviderName, u32)>; 2],
    strategy: Strategy,
}

impl Router {
    /// Checks the routes; `at` is the key path of the list. Without routes, every provider serves, in the order of its name.
    pub fn new(settings: &[Settings], capabilities: &[Capability], at: &str, findings: &mut Findings) -> Self {
        let mut routes: Vec<Route> = settings
            .iter()
            .enumerate()
            .map(|(place, route)| Route::check(route, place, capabilities, &format!("{at}[{place}]"), findings))
            .collect();
        if settings.is_empty() {
            routes.push(Route::default_route(capabilities));
        }
        let router = Self { routes };
        router.find_unreachable(at, findings);
        router.find_uncovered(at, findings);
        router
    }

    /// Whether any route may ask a provider.
    pub fn may_ask(&self, provider: &ProviderName) -> bool {
        self.routes.iter().flat_map(|route| route.providers.iter().flatten()).any(|(name, _)| name == provider)
    }

    /// The plan for a message. `draw(n)` picks a number below `n` for weighted routes.
    pub fn plan(&self, message: &Message, draw: impl FnOnce(u32) -> u32) -> Plan {
        let Some(route) = self.routes.iter().find(|route| route.fits(message)) else {
            return Plan { route: "none".into(), providers: Vec::new(), ordered: true };
        };
        let offers = &route.providers[message.channel as usize];
        let mut providers: Vec<ProviderName> = offers.iter().map(|(name, _)| name.clone()).collect();
        if route.strategy == Strategy::Weighted
            && let Some(drawn) = drawn(offers, draw)
        {
            providers[..=drawn].rotate_right(1);
        }
        let ordered = route.strategy == Strategy::Ordered;
        Plan { route: Arc::clone(&route.name), providers, ordered }
    }
}

impl Route {
    fn check(
        settings: &Settings,
        place: usize,
        capabilities: &[Capability],
        at: &str,
        findings: &mut Findings,
    ) -> Self {
        let when = &settings.when;
        let mut read = |list: &List, key: &str, rule: &str, parse: &dyn Fn(&str) -> bool| {
            let bad = list.0.iter().any(|item| !parse(item));
            if bad {
                findings.fault(format!("{at}.when.{key}"), rule);
            }
        };
        read(&when.country, "country", "must hold two-letter country codes such as GB", &|c| {
            Country::with_numbers(c).is_some()
        });
        read(&when.channel, "channel", "must hold sms or voice", &|c| channel(c).is_some());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let pattern = |p: &str| p == ANY || p.trim_end_matches("-*").bytes().all(plain);
        read(&when.locale, "locale", "must hold locales such as fr, fr-CA, fr-* or *", &pattern);
        if !settings.name.as_deref().is_none_or(is_name) {
            findings.fault(format!("{at}.name"), NAME);
        }
        let any_locale = when.locale.0.iter().any(|p| p == ANY);
        let locales = when.locale.0.iter().filter(|_| !any_locale);
        Self {
            name: settings.name.as_deref().map_or_else(|| format!("routes[{place}]"), str::to_owned).into(),
            countries: when.country.0.iter().filter_map(|c| Country::with_numbers(c)).collect(),
            channels: when.channel.0.iter().filter_map(|c| channel(c)).collect(),
            request_types: when.request_type.0.iter().map(|r| RequestType::parse(r).as_str().to_owned()).collect(),
            locales: locales.map(|l| l.to_ascii_lowercase().replace('_', "-")).collect(),
            providers: Self::offers(settings, capabilities, at, findings),
            strategy: settings.strategy,
        }
    }

    fn offers(
        settings: &Settings,
        capabilities: &[Capability],
        at: &str,
        findings: &mut Findings,
    ) -> [Vec<(ProviderName, u32)>; 2] {
        if settings.send.0.is_empty() {
            findings.fault(format!("{at}.send"), "must name at least one provider");
        }
        for name in settings.weights.keys().filter(|name| !settings.send.0.contains(name)) {
            findings.fault(format!("{at}.weights.{name}"), "must be one of the providers in send");
        }
        if settings.strategy == Strategy::Ordered && !settings.weights.is_empty() {
            findings.warn(format!("{at}.weights"), "has no effect without strategy = \"weighted\"");
        }
        let weight = |name: &String| settings.weights.get(name).copied().unwrap_or(1);
        let sent = &settings.send.0;
        if settings.strategy == Strategy::Weighted && !sent.is_empty() && sent.iter().all(|name| weight(name) == 0) {
            findings.fault(format!("{at}.weights"), "must not all be 0: there would be nobody to draw");
        }
        let mut offers = [Vec::new(), Vec::new()];
        for (place, name) in settings.send.0.iter().enumerate() {
            let Some(capability) = capabilities.iter().find(|c| c.provider.as_str() == name) else {
                findings.fault(format!("{at}.send"), format!("names {name}, which is no configured provider"));
                continue;
            };
            if settings.send.0[..place].contains(name) {
                findings.fault(
                    format!("{at}.send"),
                    format!("names {name} twice; nothing is retried at the same provider"),
                );
            }
            for channel in Channel::ALL.into_iter().filter(|c| capability.supports(*c)) {
                offers[channel as usize].push((capability.provider.clone(), weight(name)));
            }
        }
        offers
    }

    fn default_route(capabilities: &[Capability]) -> Self {
        let offer = |channel| {
            let able = capabilities.iter().filter(|c| c.supports(channel));
            let mut offers: Vec<_> = able.map(|c| (c.provider.clone(), 1)).collect();
            offers.sort();
            offers
        };
        Self {
            name: "default".into(),
            countries: Vec::new(),
            channels: Vec::new(),
            request_types: Vec::new(),
            locales: Vec::new(),
            providers: Channel::ALL.map(offer),
            strategy: Strategy::Ordered,
        }
    }

    fn fits(&self, message: &Message) -> bool {
        self.misfit(message).is_none()
    }

    /// The first condition that a message does not meet.
    fn misfit(&self, message: &Message) -> Option<&'static str> {
        let country = || message.recipient.country().is_some_and(|c| c.is_among(&self.countries));
        let locale =
            || message.locale.as_ref().is_some_and(|l| self.locales.iter().any(|p| locale_fits(p, l.as_str())));
        if !self.channels.is_empty() && !self.channels.contains(&message.channel) {
            Some("channel")
        } else if !self.countries.is_empty() && !country() {
            Some("country")
        } else if !self.request_types.is_empty()
            && !self.request_types.iter().any(|r| r == message.request_type.as_str())
        {
            Some("request_type")
        } else if !self.locales.is_empty() && !locale() {
            Some("locale")
        } else {
            None
        }
    }
}

fn channel(word: &str) -> Option<Channel> {
    Channel::parse(&word.to_ascii_lowercase())
}

fn locale_fits(pattern: &str, locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    match pattern.strip_suffix("-*") {
        Some(language) => locale.strip_prefix(language).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        None => pattern == locale,
    }
}

/// The place of the offer a lot falls on; `None` when no offer has any weight.
fn drawn(offers: &[(ProviderName, u32)], draw: impl FnOnce(u32) -> u32) -> Option<usize> {
    let total: u32 = offers.iter().map(|(_, weight)| *weight).fold(0, u32::saturating_add);
    let mut lot = (total > 0).then(|| draw(total))?;
    offers.iter().position(|(_, weight)| {
        let hit = lot < *weight;
        lot = lot.saturating_sub(*weight);
        hit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A router of these routes: `a` and `b` do both channels, `texts` texts alone. `other` is in none.
    fn router(routes: &[Settings]) -> Router {
        let both = Channel::ALL.to_vec();
        let capabilities = [("a", &both), ("b", &both), ("texts", &vec![Channel::Sms]), ("other", &both)]
            .map(|(name, channels)| Capability { provider: ProviderName::new(name), channels: channels.clone() });
        let mut findings = Findings::default();
        let router = Router::new(routes, &capabilities, "routes", &mut findings);
        assert_eq!(findings.faults, []);
        router
    }

    fn weighted() -> Settings {
        Settings {
            send: List(["a", "texts", "b"].map(str::to_owned).to_vec()),
            strategy: Strategy::Weighted,
            weights: [("a", 0), ("texts", 3), ("b", 0)].map(|(name, weight)| (name.to_owned(), weight)).into(),
            ..Settings::default()
        }
    }

    fn names(plan: &Plan) -> String {
        plan.providers.iter().map(ProviderName::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn as_many_lots_fall_on_a_provider_as_it_has_weight_and_the_others_follow_as_listed() {
        let mut settings = weighted();
        settings.weights = [("a", 2), ("b", 1)].map(|(name, weight)| (name.to_owned(), weight)).into();
        let router = router(&[settings]);
        let text = Message::bare("+447400123456", "482913");
        let plan = |message: &Message, lots: u32, lot: u32| {
            names(&router.plan(message, |below| {
                assert_eq!(below, lots);
                lot
            }))
        };
        let drawn = [0, 1, 2, 3].map(|lot| plan(&text, 4, lot));
        assert_eq!(drawn, ["a texts b", "a texts b", "texts a b", "b a texts"], "without a weight it is 1");
        let call = Message { channel: Channel::Voice, ..text };
        assert_eq!([0, 1, 2].map(|lot| plan(&call, 3, lot)), ["a b", "a b", "b a"]);
    }

    #[test]
    fn where_nobody_has_any_weight_no_lot_is_drawn() {
        let router = router(&[weighted()]);
        let text = Message::bare("+447400123456", "482913");
        assert_eq!(names(&router.plan(&text, |_| 2)), "texts a b");
        let call = Message { channel: Channel::Voice, ..text };
        assert_eq!(names(&router.plan(&call, |below| panic!("{below}"))), "a b");
    }

    #[test]
    fn who_is_in_no_route_may_not_be_asked() {
        let may_ask = |router: &Router| ["a", "texts", "other"].map(|name| router.may_ask(&ProviderName::new(name)));
        assert_eq!(may_ask(&router(&[weighted()])), [true, true, false]);
        assert_eq!(may_ask(&router(&[])), [true; 3], "without routes everybody serves");
    }
}
