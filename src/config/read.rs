//! The merged tree → `Settings`, with every fault at once and under its key path.
//!
//! Must not check what values mean. serde stops at the first fault: each one found is noted, cut out of the tree, and
//! the rest is read again.

use config::{Map, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::strict::Strict;
use super::{Keys, Settings, Sources, sources};
use crate::provider;
use crate::secret::Environment;
use crate::settings::{Findings, List};

/// More faults than this are the work of a generator, not of a person.
const MAX_FAULTS: usize = 200;

const NO_KNOWN_KEY: &str = "is no known key";

/// How messages begin that end with what was expected.
const SERDES: [&str; 5] = ["invalid type", "invalid value", "invalid length", "unknown field", "unknown variant"];

/// Reads all settings, and what was set of them; `None` when not even the tree could be built.
pub(super) fn settings(
    sources: &Sources,
    environments: &[Environment; 2],
    findings: &mut Findings,
) -> Option<(Settings, Keys)> {
    let mut tree = sources.tree(environments, findings)?;
    sources::warn_of_secrets(&tree, "", findings);
    if let Some(secret) = &sources.sandbox_secret {
        sandbox(&mut tree, secret.expose());
    }
    let [below, over] = environments;
    let keys = Keys::of(&tree, &below.under(over));
    let providers = take(&mut tree, "providers");
    let mut settings: Settings = read(tree, "", "providers", findings);
    if let Some(tree) = providers {
        self::providers(tree, &mut settings, findings);
    }
    Some((settings, keys))
}

fn providers(tree: Value, settings: &mut Settings, findings: &mut Findings) {
    let Ok(tables) = tree.into_table() else {
        return findings.fault("providers", "must be a table of providers by name");
    };
    for (name, mut tree) in tables {
        let at = format!("providers.{name}");
        let kind = match &tree.kind {
            ValueKind::Table(table) => table.get("kind").map(ToString::to_string).unwrap_or_default(),
            _ => {
                findings.fault(at, "must be a table");
                continue;
            }
        };
        if let Some(limits) = take(&mut tree, "limits") {
            settings.limits.insert(name.clone(), read(limits, &format!("{at}.limits"), "", findings));
        }
        let kinds = provider::KINDS.join(", ");
        match provider::Settings::read(&kind, Reader { tree, at: &at, findings }) {
            Some(provider) => drop(settings.providers.insert(name, provider)),
            None if kind.is_empty() => findings.fault(format!("{at}.kind"), format!("is required: one of {kinds}")),
            None => findings.fault(format!("{at}.kind"), format!("must be one of {kinds}")),
        }
    }
}

/// The table of one provider, for whoever knows what its kind may hold.
struct Reader<'a> {
    tree: Value,
    at: &'a str,
    findings: &'a mut Findings,
}

impl provider::Read for Reader<'_> {
    fn read<T: DeserializeOwned + Default>(self) -> T {
        read(self.tree, self.at, "limits", self.findings)
    }
}

/// Reads a tree into settings that have a default for every key. `taken` is a key of the tree that was read elsewhere.
fn read<T: DeserializeOwned + Default>(mut tree: Value, at: &str, taken: &str, findings: &mut Findings) -> T {
    for _ in 0..MAX_FAULTS {
        let error = match serde_path_to_error::deserialize::<_, T>(Strict(tree.clone())) {
            Ok(settings) => return settings,
            Err(error) => error,
        };
        let path = error.path().clone();
        let key =
            [at, &path.to_string()].into_iter().filter(|k| !k.is_empty() && *k != ".").collect::<Vec<_>>().join(".");
        let mut rule = rule(&error.into_inner().to_string());
        if rule.starts_with(NO_KNOWN_KEY) && path.iter().count() == 1 && !taken.is_empty() {
            rule = format!("{rule}, {taken}");
        }
        findings.fault(if key.is_empty() { "configuration".to_owned() } else { key }, rule);
        if !cut(&mut tree, &path) {
            break;
        }
    }
    T::default()
}

/// Keeps of a message what was expected. What stood there instead may be a secret in the wrong place, and an address
/// may hold a password.
fn rule(message: &str) -> String {
    // config adds where it found the value; the key path tells that better.
    let message = message.split(" for key `").next().unwrap_or(message).replace('`', "");
    // Only serde writes so; what others say of a value may hold anything.
    let is_serdes = SERDES.iter().any(|opening| message.starts_with(opening));
    let expected = message.rsplit_once(", expected ").filter(|_| is_serdes);
    let expected = expected.map(|(_, expected)| expected.trim_start_matches("one of "));
    match expected {
        Some(known) if message.starts_with("unknown field") => format!("{NO_KNOWN_KEY}; known are {known}"),
        Some(known) if message.starts_with("unknown variant") => format!("must be one of {known}"),
        Some(table) if table.starts_with("struct") || table.starts_with("a map") => "must be a table".to_owned(),
        Some(expected) => format!("must be {expected}"),
        // In our own words.
        None if message.starts_with("must ") => message,
        // url and std say what is wrong, and url then quotes the text.
        None => message.split([':', '"']).next().unwrap_or_default().to_owned(),
    }
}

/// Cuts the value at a path out of the tree.
fn cut(tree: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut place = tree;
    for segment in parents {
        let next = match (segment, &mut place.kind) {
            (Segment::Map { key }, ValueKind::Table(table)) => table.get_mut(key),
            (Segment::Seq { index }, ValueKind::Array(list)) => list.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return false };
        place = next;
    }
    match (last, &mut place.kind) {
        (Segment::Map { key }, ValueKind::Table(table)) => table.remove(key).is_some(),
        (Segment::Seq { index }, ValueKind::Array(list)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

fn take(tree: &mut Value, key: &str) -> Option<Value> {
    match &mut tree.kind {
        ValueKind::Table(table) => table.remove(key),
        _ => None,
    }
}

/// Turns a configuration into one that cannot cost anything: only sandboxes send, those it has or else the built-in one,
/// only the generated secret admits, nobody beyond this machine can call, and no store is shared: what is played here
/// stands in no real counter, and takes no real work. Budgets, replies and paths stay as configured, and the routes of an
/// org that have nobody but sandboxes.
fn sandbox(tree: &mut Value, secret: &str) {
    let ValueKind::Table(root) = &mut tree.kind else { return };
    let table = |entries: &[(&str, Value)]| {
        let entries: Map<String, Value> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Value::from(entries)
    };
    let sandboxes = root.remove("providers").map(sandboxes).filter(|sandboxes| !sandboxes.is_empty());
    let built_in = || Map::from([("sandbox".to_owned(), table(&[("kind", Value::from("sandbox"))]))]);
    let sandboxes = sandboxes.unwrap_or_else(built_in);
    root.insert("providers".to_owned(), Value::from(sandboxes.clone()));
    root.remove("state");
    let auth = table(&[("header", table(&[("name", Value::from("authorization")), ("secret", Value::from(secret))]))]);
    let orgs = root.entry("orgs".to_owned()).or_insert_with(|| Value::from(Map::<String, Value>::new()));
    let ValueKind::Table(orgs) = &mut orgs.kind else { return };
    if orgs.is_empty() {
        orgs.insert("main".to_owned(), table(&[]));
    }
    for org in orgs.values_mut() {
        if let ValueKind::Table(org) = &mut org.kind {
            org.insert("auth".to_owned(), auth.clone());
            for beyond in ["okta", "event_hook"] {
                org.remove(beyond);
            }
            if !org.get("routes").is_some_and(|routes| sends_to(routes, &sandboxes)) {
                org.remove("routes");
            }
            // Whoever tries the answers one after another must not be taken for an attacker, unless that is to be tried.
            org.entry("guard".to_owned()).or_insert_with(|| table(&[("mode", Value::from("observe"))]));
        }
    }
}

/// The sandboxes among the providers.
fn sandboxes(providers: Value) -> Map<String, Value> {
    let is_sandbox = |provider: &Value| match &provider.kind {
        ValueKind::Table(table) => table.get("kind").is_some_and(|kind| kind.to_string() == "sandbox"),
        _ => false,
    };
    let providers = providers.into_table().unwrap_or_default();
    providers.into_iter().filter(|(_, provider)| is_sandbox(provider)).collect()
}

/// Whether these routes have nobody but these providers.
fn sends_to(routes: &Value, providers: &Map<String, Value>) -> bool {
    let has =
        |send: Value| send.try_deserialize().is_ok_and(|List(names)| names.iter().all(|n| providers.contains_key(n)));
    let is_theirs = |route: Value| route.into_table().is_ok_and(|mut route| route.remove("send").is_some_and(has));
    routes.clone().into_array().is_ok_and(|routes| routes.into_iter().all(is_theirs))
}
