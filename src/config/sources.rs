//! Where the configuration comes from.
//!
//! Must not know what any key means.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::num::ParseIntError;
use std::path::{Path, PathBuf};

use config::{FileFormat, Format as _, Map, Source as _, Value, ValueKind};

use crate::secret::{Environment, Secret};
use crate::settings::Findings;

/// The embedded default: every server key, commented.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// Read when no `--config` is given.
const LOCAL: &str = "config/local.toml";

/// Names of keys that hold a secret, in every table.
const SECRET_KEYS: [&str; 13] = [
    "api_key",
    "api_secret",
    "api_token",
    "auth_token",
    "callback_secret",
    "hash_key",
    "password",
    "previous_api_key",
    "previous_auth_token",
    "previous_callback_secret",
    "previous_password",
    "previous_secret",
    "secret",
];

/// What values of variables call their origin, as the config crate has it.
const ENVIRONMENT: &str = "the environment";

/// Names of keys that hold an id, which may be written in the ways of a secret, in every table.
const ID_KEYS: [&str; 8] = [
    "account_sid",
    "client_id",
    "customer_id",
    "messaging_service_sid",
    "service_sid",
    "subaccount_id",
    "template_sid",
    "username",
];

/// What the names of our own variables begin with.
const PREFIX: &str = "OKTA_HOOK__";

/// Where to read from.
#[derive(Clone, Default)]
pub struct Sources {
    /// Files given by `--config`, later ones over earlier ones.
    pub files: Vec<PathBuf>,
    /// The process's environment variables.
    pub variables: Vec<(String, String)>,
    /// Names of those of our own whose values are no text.
    pub unreadable: Vec<String>,
    /// Where `.env` and `config/local.toml` are looked for; nowhere when absent.
    pub directory: Option<PathBuf>,
    /// Asks for the sandbox: replaces orgs' credentials by this one and all providers by the sandbox; shares no store,
    /// hears of no events.
    pub sandbox_secret: Option<Secret>,
}

impl Sources {
    /// The process's own: its environment, `.env` and `config/local.toml` in the working directory.
    pub fn of_process(files: Vec<PathBuf>) -> Self {
        let (mut variables, mut unreadable) = (Vec::new(), Vec::new());
        for (name, text) in std::env::vars_os() {
            match (name.into_string(), text.into_string()) {
                (Ok(name), Ok(text)) => variables.push((name, text)),
                (Ok(name), Err(_)) if name.starts_with(PREFIX) => unreadable.push(name),
                // Others' affair.
                (Ok(_) | Err(_), _) => {}
            }
        }
        Self { files, variables, unreadable, directory: Some(PathBuf::from(".")), ..Self::default() }
    }

    /// The variables of `.env`, and the process's, which win. None where `.env` cannot be read: what else would be found
    /// at fault would follow from that.
    pub(super) fn environments(&self, findings: &mut Findings) -> Option<[Environment; 2]> {
        let path = self.directory.as_ref().map(|d| d.join(".env")).filter(|path| !is_absent(path));
        let from_file = match path {
            Some(path) => dot_env(&path, findings)?,
            None => Vec::new(),
        };
        Some([Environment::new(from_file), self.process()])
    }

    /// The process's variables.
    pub(super) fn process(&self) -> Environment {
        Environment::new(self.variables.iter().cloned())
    }

    /// Everything merged into one tree.
    pub(super) fn tree(&self, environments: &[Environment], findings: &mut Findings) -> Option<Value> {
        let mut tree = empty();
        let mut is_whole = true;
        let mut put = |layer: Option<Value>| match layer {
            Some(layer) => lay(layer, &mut tree, ""),
            None => is_whole = false,
        };
        put(toml(None, DEFAULT, findings));
        for path in self.existing_files() {
            let name = path.display().to_string();
            // Read once: it may be a pipe.
            match std::fs::read_to_string(&path) {
                Ok(text) => put(toml(Some(&name), without_mark(&text), findings)),
                Err(e) => {
                    findings.fault(name, format!("cannot be read: {}", e.kind()));
                    put(None);
                }
            }
        }
        for name in &self.unreadable {
            findings.fault(name, "must be UTF-8 text");
        }
        // One over the other, as files are: a secret may be written in another way in each.
        for environment in environments {
            set_twice(environment, findings);
            let variables = environment.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
            // `try_parsing` would turn +15550001111 into a number; `ignore_empty` makes KEY= the same as no KEY.
            let variables = config::Environment::with_prefix("OKTA_HOOK")
                .prefix_separator("__")
                .separator("__")
                .ignore_empty(true)
                .source(Some(variables));
            let mut own = empty();
            let collected = variables.collect_to(&mut own);
            read_inline(&mut own);
            put(collected.map_err(|e| findings.fault(ENVIRONMENT, e.to_string())).ok().map(|()| own));
        }
        is_whole.then_some(tree)
    }

    fn existing_files(&self) -> Vec<PathBuf> {
        if !self.files.is_empty() {
            return self.files.clone();
        }
        let local = self.directory.as_ref().map(|d| d.join(LOCAL));
        local.into_iter().filter(|path| !is_absent(path)).collect()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, variables, unreadable, directory, sandbox_secret } = self;
        f.debug_struct("Sources")
            .field("files", files)
            // Other programs' secrets stand there too.
            .field("variables", &variables.len())
            .field("unreadable", unreadable)
            .field("directory", directory)
            .field("sandbox_secret", sandbox_secret)
            .finish()
    }
}

/// Whether there is nothing of this name. What is there and cannot be read, a directory even, was meant to be.
fn is_absent(path: &Path) -> bool {
    path.metadata().is_err_and(|e| e.kind() == ErrorKind::NotFound)
}

fn empty() -> Value {
    Value::from(Map::<String, Value>::new())
}

/// Lays a value over the one of the same key below it. Tables are merged, but for the `{ env }` or `{ file }` of a
/// secret or an id: that is one value, whichever way it is written.
fn lay(over: Value, below: &mut Value, at: &str) {
    // The address of a store may hold a password, and so be written in the same ways.
    let may_be_one = is_secret(at) || ID_KEYS.contains(&name(at)) || at == "state.url";
    let is_one = |table: &Map<String, Value>| may_be_one && ["env", "file"].iter().any(|k| table.contains_key(*k));
    match (over, &mut below.kind) {
        (Value { kind: ValueKind::Table(over), .. }, ValueKind::Table(below)) if !is_one(&over) => {
            for (key, value) in over {
                let at = path(at, &key);
                lay(value, below.entry(key).or_insert_with(|| Value::new(None, ValueKind::Nil)), &at);
            }
        }
        (over, _) => *below = over,
    }
}

fn path(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// The last part of a key path.
fn name(at: &str) -> &str {
    at.rsplit('.').next().unwrap_or(at)
}

/// Whether a secret stands at a key path.
fn is_secret(at: &str) -> bool {
    SECRET_KEYS.contains(&name(at)) || at == "admin.token"
}

/// A key with a value of its own cannot hold others: which of the two counts would be chance.
fn set_twice(environment: &Environment, findings: &mut Findings) {
    let ours = environment.iter().filter(|(_, text)| !text.is_empty());
    let mut paths: Vec<(String, &str)> = ours
        .filter_map(|(name, _)| Some((name.to_ascii_lowercase().strip_prefix("okta_hook__")?.replace("__", "."), name)))
        .collect();
    paths.sort_unstable();
    for (key, _) in &paths {
        let within = |(path, _): &&(String, &str)| path.strip_prefix(key.as_str()).is_some_and(|p| p.starts_with('.'));
        if let Some((_, other)) = paths.iter().find(within) {
            findings.fault(key, format!("has a value, so {other} cannot be set too"));
        }
    }
}

/// Reads the tables, and lists of tables, that stand in a variable as TOML writes them: `{ file = "/run/secrets/x" }`.
fn read_inline(value: &mut Value) {
    match &mut value.kind {
        ValueKind::Table(table) => table.values_mut().for_each(read_inline),
        ValueKind::String(text) => {
            if let Some(inline) = inline(text) {
                *value = inline;
            }
        }
        _ => {}
    }
}

/// What a text is if it is such a table or list; a text in which braces stand is none.
fn inline(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let origin = ENVIRONMENT.to_owned();
    let mut parsed = FileFormat::Toml.parse(Some(&origin), &format!("inline = {text}")).ok()?;
    let value = parsed.remove("inline").filter(|_| parsed.is_empty())?;
    let is_table = |value: &Value| matches!(&value.kind, ValueKind::Table(table) if !table.is_empty());
    let holds_tables = matches!(&value.kind, ValueKind::Array(items) if items.iter().any(is_table));
    (holds_tables || is_table(&value)).then_some(value)
}

/// Reads `.env` as `docker run --env-file` does: `NAME=value` a line, `#` for comments, the value as it stands. Quotes
/// around a whole value are taken off, for those who are used to a shell; nothing is expanded, so that both readers see
/// one secret.
fn dot_env(path: &Path, findings: &mut Findings) -> Option<Vec<(String, String)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) => {
            let rule = if e.kind() == ErrorKind::InvalidData { "must be UTF-8 text" } else { "cannot be read" };
            findings.fault(".env", rule);
            return None;
        }
    };
    let mut variables = Vec::new();
    for (number, line) in without_mark(&text).lines().enumerate().filter(|(_, line)| !is_comment(line)) {
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !name.trim().contains(char::is_whitespace) => {
                variables.push((name.trim().to_owned(), unquoted(value.trim()).to_owned()));
            }
            // The line itself is not shown: it may hold a secret.
            _ => findings.fault(".env", format!("line {} must be NAME=value", number + 1)),
        }
    }
    Some(variables)
}

/// Without the byte-order mark with which editors on Windows begin a file.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with('#')
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// Reads TOML; its values remember the file's name.
fn toml(file: Option<&String>, text: &str, findings: &mut Findings) -> Option<Value> {
    let cause = match FileFormat::Toml.parse(file, text) {
        Ok(table) => return Some(table.into()),
        Err(cause) => cause,
    };
    let rule = match line_of_number(text, file) {
        Some(line) => format!("line {line}: a number is too large"),
        // The parser quotes the line it stumbled over, which may hold a secret: left out.
        None => {
            let cause = cause.to_string();
            let quoted = |line: &&str| !line.contains('|') && !line.trim().is_empty();
            cause.lines().filter(quoted).map(str::trim).collect::<Vec<_>>().join(": ")
        }
    };
    findings.fault(file.map_or("configuration", String::as_str), rule);
    None
}

/// The line up to which a text is at fault for a number that does not fit alone; of that config tells no place.
fn line_of_number(text: &str, file: Option<&String>) -> Option<usize> {
    let mut end = 0;
    let ends = text.split_inclusive('\n').map(|line| {
        end += line.len();
        end
    });
    let is_too_large =
        |end: &usize| FileFormat::Toml.parse(file, &text[..*end]).is_err_and(|cause| cause.is::<ParseIntError>());
    ends.collect::<Vec<_>>().iter().position(is_too_large).map(|line| line + 1)
}

/// Warns of secrets that stand in a file in clear: files get copied, committed and backed up.
pub(super) fn warn_of_secrets(tree: &Value, at: &str, findings: &mut Findings) {
    let ValueKind::Table(table) = &tree.kind else { return };
    // A table has no order of its own, and two runs shall say the same.
    let ordered: BTreeMap<_, _> = table.iter().collect();
    let of_twilio = matches!(table.get("kind").map(|k| &k.kind), Some(ValueKind::String(k)) if k.starts_with("twilio"));
    for (key, value) in ordered {
        let at = path(at, key);
        // Twilio's api_key is the name of a key; its secret is api_secret.
        let is_secret = is_secret(&at) && !(of_twilio && key == "api_key");
        // The address of a shared store holds a password between : and @.
        let holds_password = |text: &str| at == "state.url" && text.contains('@');
        let in_clear = matches!(&value.kind, ValueKind::String(text) if is_secret || holds_password(text));
        let in_file = value.origin().is_some_and(|origin| origin != ENVIRONMENT);
        let proxy_password = matches!(&value.kind, ValueKind::String(text) if text.contains('@'));
        if in_file && at == "outbound.proxy" && proxy_password {
            findings
                .warn(at, "holds a password that stands in a file in clear; set OKTA_HOOK__OUTBOUND__PROXY instead");
        } else if in_clear && in_file {
            findings.warn(at, "stands in a file in clear; use { env = \"NAME\" } or { file = \"/path\" }");
        } else {
            warn_of_secrets(value, &at, findings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_variable() {
        let variables = vec![("OKTA_HOOK__ADMIN__TOKEN".to_owned(), "hunter2".to_owned())];
        let shown =
            format!("{:?}", Sources { variables, sandbox_secret: Secret::new("hunter2"), ..Sources::default() });
        assert!(shown.contains("variables: 1,") && !shown.contains("hunter2"), "{shown}");
    }
}
