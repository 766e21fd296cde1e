//! The configuration: read from its places, merged, and checked with every fault at once.
//!
//! Must not build anything from it. Each module owns its settings; this one only puts them together and knows where
//! they come from: the embedded default, files, `.env` and the environment, each over the one before.

mod keys;
mod read;
mod sources;
mod strict;

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::dispatch::health::Limits;
use crate::http::{AdminSettings, ServerSettings};
use crate::otp::{Channel, ProviderName};
use crate::route::Capability;
use crate::secret::{Environment, GUESSABLE, Pseudonyms, Secret, SecretRef};
use crate::settings::{Finding, Findings, NAME, is_name};
use crate::{hook, journal, outbound, provider, store, telemetry};
pub use keys::Keys;
pub use sources::{DEFAULT, Sources};

/// What replicas recognise by hashes they must hash alike.
const HASH_KEY_IS_SHARED: &str =
    "is required with a shared state.url: with keys of their own, replicas would not know each other's repeats";

/// The same, where there is something to make the key of.
const HASH_KEY_IS_MADE: &str = "is not set: with a shared state.url it is made of the secrets that \
    Okta is recognised by, and what the store remembers is lost when one of them changes";

/// The whole configuration, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The public listener.
    pub server: ServerSettings,
    /// The listener for operators.
    pub admin: AdminSettings,
    /// Logs.
    pub log: telemetry::Settings,
    /// How providers are called.
    pub outbound: outbound::Settings,
    /// Where this server remembers.
    pub state: store::Settings,
    /// What it remembers of what was sent.
    pub journal: journal::Settings,
    /// Keyed hashes.
    pub privacy: PrivacySettings,
    /// Whether a provider of kind `sandbox` may stand beside real ones.
    pub allow_sandbox: bool,
    /// Okta orgs by name.
    pub orgs: BTreeMap<String, hook::Settings>,
    /// Providers by name; the kind of each decides what its table may hold.
    #[serde(skip)]
    pub providers: BTreeMap<String, provider::Settings>,
    /// `limits` of each provider's table: the same for every kind.
    #[serde(skip)]
    pub limits: BTreeMap<String, Limits>,
}

/// `[privacy]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySettings {
    /// Key of the hashes that stand for numbers and events. Without one they change with every start.
    pub hash_key: Option<SecretRef>,
}

/// The whole configuration, checked, with its secrets read.
#[derive(Debug)]
pub struct Config {
    /// The public listener.
    pub server: ServerSettings,
    /// The listener for operators.
    pub admin: AdminSettings,
    /// Its token.
    pub admin_token: Option<Secret>,
    /// Logs.
    pub log: telemetry::Settings,
    /// How providers are called.
    pub outbound: outbound::Settings,
    /// Where this server remembers.
    pub state: store::Config,
    /// What it remembers of what was sent.
    pub journal: journal::Settings,
    /// Makes keyed hashes.
    pub pseudonyms: Pseudonyms,
    /// Okta orgs.
    pub orgs: Vec<hook::Config>,
    /// Providers by name.
    pub providers: BTreeMap<String, provider::Config>,
    /// What each provider is asked at most.
    pub limits: BTreeMap<String, Limits>,
    /// What was set, to tell what another configuration changes.
    pub keys: Keys,
}

impl Config {
    /// What a provider is asked at most.
    pub fn limits_of(&self, name: &ProviderName) -> Limits {
        self.limits.get(name.as_str()).copied().unwrap_or_default()
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug)]
pub struct Invalid(pub Findings);

/// A configuration that can be used, and what is doubtful about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings.
    pub findings: Findings,
}

/// Reads and checks the configuration.
///
/// # Errors
/// With every fault found, each under its key path.
pub fn load(sources: &Sources) -> Result<Loaded, Box<Invalid>> {
    let mut findings = Findings::default();
    let Some(environments) = sources.environments(&mut findings) else { return Err(Box::new(Invalid(findings))) };
    let settings = read::settings(sources, &environments, &mut findings);
    let [below, over] = &environments;
    let environment = below.under(over);
    let config = settings.and_then(|(settings, keys)| {
        let config = check(&settings, sources.sandbox_secret.is_some(), &environment, &mut findings)?;
        Some(Config { keys, ..config })
    });
    findings.faults.sort();
    findings.faults.dedup();
    leave_out_what_follows(&mut findings.faults);
    match config {
        Some(config) if findings.faults.is_empty() => Ok(Loaded { config, findings }),
        _ => Err(Box::new(Invalid(findings))),
    }
}

/// Reads the settings of the two listeners alone: `healthcheck` must work whatever else is wrong.
pub fn load_listeners(sources: &Sources) -> (ServerSettings, AdminSettings) {
    let mut findings = Findings::default();
    let environments =
        sources.environments(&mut findings).unwrap_or_else(|| [Environment::default(), sources.process()]);
    let (settings, _) = read::settings(sources, &environments, &mut findings).unwrap_or_default();
    (settings.server, settings.admin)
}

/// What could not be read was left out of the tree, and then missed: one fault, not two.
fn leave_out_what_follows(faults: &mut Vec<Finding>) {
    let told: Vec<Finding> = faults.clone();
    faults.retain(|fault| {
        let is_at = |key: &str| {
            key.strip_prefix(fault.key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !fault.rule.starts_with("is required")
            || !told.iter().any(|other| other.rule != fault.rule && is_at(&other.key))
    });
}

fn check(settings: &Settings, sandbox: bool, environment: &Environment, findings: &mut Findings) -> Option<Config> {
    settings.server.check("server", findings);
    settings.outbound.check("outbound", findings);
    let state = settings.state.check("state", environment, findings);
    settings.journal.check("journal", findings);
    if settings.admin.collides_with(settings.server.listen) {
        findings
            .fault("admin.listen", "must not be the address of server.listen: operators' pages are not for everybody");
    }
    let admin_token = settings.admin.check("admin", environment, findings);
    let providers = check_providers(settings, sandbox, environment, findings);
    let orgs = check_orgs(settings, &providers, environment, findings);
    let pseudonyms = match &settings.privacy.hash_key {
        Some(key) => key.resolve(environment).and_then(|key| {
            if key.is_guessable() {
                findings.warn("privacy.hash_key", GUESSABLE);
            }
            Pseudonyms::new(Some(&key)).map_err(|e| e.to_string())
        }),
        None if state.is_shared() => common_pseudonyms(&orgs, findings),
        None => Pseudonyms::new(None).map_err(|e| e.to_string()),
    };
    let pseudonyms = pseudonyms.map_err(|rule| findings.fault("privacy.hash_key", rule));
    if state.is_shared() && state.timeout <= store::MAX_TIMEOUT {
        for org in orgs.iter().filter(|org| !org.leaves_room_after(state.timeout)) {
            let rule = format!("must leave orgs.{} its min_attempt within its budget", org.name);
            findings.fault("state.timeout", rule);
        }
    }
    check_feedback(settings.server.public_url.as_ref(), &providers, &orgs, findings);
    Some(Config {
        server: settings.server.clone(),
        admin: settings.admin.clone(),
        admin_token,
        log: settings.log.clone(),
        outbound: settings.outbound.clone(),
        state,
        journal: settings.journal.clone(),
        pseudonyms: pseudonyms.ok()?,
        orgs,
        providers,
        limits: settings.limits.clone(),
        keys: Keys::default(),
    })
}

/// For replicas that were told no key: made of what each of them must know Okta by.
fn common_pseudonyms(orgs: &[hook::Config], findings: &mut Findings) -> Result<Pseudonyms, String> {
    let secrets: Vec<_> = orgs.iter().filter_map(|org| org.authenticate.current()).map(|(_, secret)| secret).collect();
    if secrets.is_empty() {
        return Err(HASH_KEY_IS_SHARED.to_owned());
    }
    findings.warn("privacy.hash_key", HASH_KEY_IS_MADE);
    Ok(Pseudonyms::made_of(&secrets))
}

/// What would never be heard of a message once it is sent.
fn check_feedback(
    public_url: Option<&Url>,
    providers: &BTreeMap<String, provider::Config>,
    orgs: &[hook::Config],
    findings: &mut Findings,
) {
    for (name, config) in providers {
        if let Some(rule) = public_url.and_then(|url| config.unreported(url)) {
            findings.warn(format!("providers.{name}"), rule);
        }
        if let Some(key) = config.needs_event_hook().filter(|_| orgs.iter().all(|org| org.event_hook.is_none())) {
            findings.warn(format!("providers.{name}.{key}"), "has no effect without an event_hook in any org");
        }
    }
}

fn check_providers(
    settings: &Settings,
    sandbox: bool,
    environment: &Environment,
    findings: &mut Findings,
) -> BTreeMap<String, provider::Config> {
    if settings.providers.is_empty() && !findings.faults.iter().any(|f| f.key.starts_with("providers")) {
        findings.fault("providers", "configure at least one, such as providers.twilio, or try serve --sandbox");
    }
    if !settings.providers.keys().all(|name| is_name(name)) {
        findings.fault("providers", format!("each {NAME}"));
    }
    let mut providers = BTreeMap::new();
    for (name, provider) in &settings.providers {
        let at = format!("providers.{name}");
        if matches!(provider, provider::Settings::Sandbox(its) if !(sandbox || settings.allow_sandbox || its.allow_sandbox))
        {
            findings.fault(format!("{at}.kind"), "sandbox sends nothing: set allow_sandbox = true if that is meant");
        }
        let limits = settings.limits.get(name).copied().unwrap_or_default();
        let whole = [("max_in_flight", limits.max_in_flight), ("max_per_second", limits.max_per_second)];
        for (key, _) in whole.into_iter().filter(|(_, limit)| *limit == Some(0)) {
            let rule = "must be at least 1; to stop asking a provider, leave it out of the routes";
            findings.fault(format!("{at}.limits.{key}"), rule);
        }
        if let Some(config) = provider.check(&at, environment, findings) {
            providers.insert(name.clone(), config);
        }
    }
    providers
}

fn check_orgs(
    settings: &Settings,
    providers: &BTreeMap<String, provider::Config>,
    environment: &Environment,
    findings: &mut Findings,
) -> Vec<hook::Config> {
    if settings.orgs.is_empty() {
        findings.fault("orgs", "configure at least one, with its auth, such as orgs.main.auth.header.secret");
    }
    if !settings.orgs.keys().all(|name| is_name(name)) {
        findings.fault("orgs", format!("each {NAME}"));
    }
    // A provider whose own settings are at fault still counts: its faults are told, not those that follow from them.
    let supports = |name: &str, channel| providers.get(name).is_none_or(|config| config.supports(channel));
    let capability = |name: &String| Capability {
        provider: ProviderName::new(name),
        channels: Channel::ALL.into_iter().filter(|channel| supports(name, *channel)).collect(),
    };
    let capabilities: Vec<Capability> = settings.providers.keys().map(capability).collect();
    let mut by_path: BTreeMap<&str, &str> = BTreeMap::new();
    let mut orgs = Vec::new();
    for (name, org) in &settings.orgs {
        let at = format!("orgs.{name}");
        if let Some(other) = by_path.insert(&org.path, name) {
            findings
                .fault(format!("{at}.path"), format!("is the same as that of orgs.{other}: each org needs its own"));
        }
        if let Some(event_hook) = &org.event_hook
            && let Some(other) = by_path.insert(&event_hook.path, name)
        {
            let rule = format!("is the same as a path of orgs.{other}: each event hook needs its own");
            findings.fault(format!("{at}.event_hook.path"), rule);
        }
        // Those below `/callbacks/` itself are found where the path is checked.
        let callbacks = format!("{}/callbacks/", settings.server.base_path());
        let event_path = org.event_hook.as_ref().map(|hook| ("event_hook.path", &hook.path));
        for (key, path) in [("path", &org.path)].into_iter().chain(event_path) {
            if !path.starts_with("/callbacks/") && path.starts_with(&callbacks) {
                findings.fault(format!("{at}.{key}"), format!("must not be below {callbacks}, which is ours"));
            }
        }
        orgs.push(org.check(name, &at, &capabilities, environment, findings));
    }
    orgs
}
