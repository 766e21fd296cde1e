//! Which keys are set, and whether two configurations set them alike.
//!
//! Must not keep a value: each is known by its digest alone, so that no secret can be told by telling what has changed.

use std::collections::{BTreeMap, BTreeSet};

use config::{Value, ValueKind};

use crate::secret::{CredentialDigest, Environment, SecretRef};

/// What only a start can put into effect: sockets, stores, clients and hashes that outlive every configuration.
const FIXED: [&str; 7] = ["admin.listen", "journal", "log", "outbound", "privacy", "server", "state"];

/// What of those can change all the same.
const FREE: [&str; 3] = ["server.body_timeout", "server.max_body", "server.public_url"];

/// Every key that is set, with a digest of its value; of a secret that stands elsewhere, also of what it is there.
#[derive(Debug, Clone, Default)]
pub struct Keys(BTreeMap<String, CredentialDigest>);

impl Keys {
    pub(super) fn of(tree: &Value, environment: &Environment) -> Self {
        let mut keys = Self::default();
        keys.add("", tree, environment);
        keys
    }

    fn add(&mut self, at: &str, value: &Value, environment: &Environment) {
        match &value.kind {
            ValueKind::Table(table) => {
                if let Some(secret) = elsewhere(value) {
                    let text = secret.resolve(environment).map(|s| s.expose().to_owned()).unwrap_or_default();
                    self.0.insert(at.to_owned(), CredentialDigest::of(text.as_bytes()));
                }
                // What is typed counts as well: it may name another place, or only look as if it named one.
                for (key, value) in table {
                    let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    self.add(&at, value, environment);
                }
            }
            ValueKind::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.add(&format!("{at}[{index}]"), value, environment);
                }
            }
            _ => drop(self.0.insert(at.to_owned(), CredentialDigest::of(value.to_string().as_bytes()))),
        }
    }

    /// The paths of the keys that differ: changed, added or left out.
    pub fn changed(&self, other: &Self) -> BTreeSet<String> {
        let same = |key: &String| match (self.0.get(key), other.0.get(key)) {
            (Some(one), Some(two)) => bool::from(one.matches(two)),
            _ => false,
        };
        self.0.keys().chain(other.0.keys()).filter(|key| !same(key)).cloned().collect()
    }

    /// Whether a change of this key takes a new start.
    pub fn needs_restart(key: &str) -> bool {
        let within =
            |table: &&str| key.strip_prefix(*table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        FIXED.iter().any(within) && !FREE.iter().any(within)
    }
}

/// `{ env = "NAME" }` or `{ file = "/path" }`.
fn elsewhere(value: &Value) -> Option<SecretRef> {
    value.clone().try_deserialize::<SecretRef>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(toml: &str, password: &str) -> Keys {
        let builder = config::Config::builder().add_source(config::File::from_str(toml, config::FileFormat::Toml));
        let environment = Environment::new([("PASSWORD".to_owned(), password.to_owned())]);
        Keys::of(&builder.build().expect("TOML").cache, &environment)
    }

    #[test]
    fn what_changed_is_told_by_its_path_also_where_a_secret_stands_elsewhere() {
        let toml = "[a]\nsecret = { env = 'PASSWORD' }\nbudget = '1s'\nroutes = [{ send = ['x'] }]\n";
        assert!(keys(toml, "one").changed(&keys(toml, "one")).is_empty());
        let changed = keys(toml, "one").changed(&keys(&toml.replace("'1s'", "'2s'").replace("'x'", "'y'"), "two"));
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["a.budget", "a.routes[0].send[0]", "a.secret"]);
        assert!(!format!("{:?}", keys(toml, "canary")).contains("canary"));
    }

    #[test]
    fn what_looks_like_the_place_of_a_secret_is_told_by_what_is_typed_there_too() {
        let toml = "[providers.verify]\ntags = { env = 'production' }\n[orgs.main]\nsecret = { file = '/one' }\n";
        let changed = keys(toml, "").changed(&keys(&toml.replace("production", "test").replace("one", "two"), ""));
        assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["orgs.main.secret.file", "providers.verify.tags.env"]);
    }

    #[test]
    fn what_a_start_alone_can_change_is_known() {
        for key in
            ["server.listen", "server.tls.cert_file", "state.url", "log.level", "privacy.hash_key", "admin.listen"]
        {
            assert!(Keys::needs_restart(key), "{key}");
        }
        for key in ["server.max_body", "admin.token", "orgs.main.budget", "providers.log.auth_token", "stateful"] {
            assert!(!Keys::needs_restart(key), "{key}");
        }
    }
}
