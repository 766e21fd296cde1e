//! Feeds: a configuration file, beside an environment in which secrets stand.
//!
//! Must hold: it is taken or each fault is told, and neither shows a secret: not of the environment, not one that stands
//! in the file under a key for secrets or in an address.

#![cfg_attr(fuzzing, no_main)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use config::{FileFormat, Format as _, Map, Value, ValueKind};
use okta_telephony_hook::config::{self as ours, Sources};
use tempfile::{Builder, NamedTempFile};

/// Stands nowhere but behind the names of its variables.
const SECRET: &str = "s3cr3t-of-the-environment-0123456789";

/// What a file may name to have it.
const VARIABLES: [&str; 4] = ["S", "HOOK_SECRET", "TWILIO_AUTH_TOKEN", "OKTA_HOOK__ADMIN__TOKEN"];

/// Below these keys, and `admin.token`, stands what nobody may see.
const SECRET_KEYS: [&str; 5] = ["secret", "password", "auth_token", "hash_key", "api_secret"];

/// A name that is the same in every run, so that what is told of it is.
static FILE: LazyLock<NamedTempFile> =
    LazyLock::new(|| Builder::new().prefix("fuzz").suffix(".toml").tempfile().expect("a file"));

/// Whether it was taken.
pub fn holds(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    // A secret may be read from any file, and these have no end.
    if ["/dev", "/proc", "/sys", "\\u"].iter().any(|place| text.contains(place)) {
        return false;
    }
    let path = written(text);
    let variables = VARIABLES.map(|name| (name.to_owned(), SECRET.to_owned())).to_vec();
    let loaded = ours::load(&Sources { files: vec![path], variables, ..Sources::default() });
    let (is_taken, told) = match loaded {
        Ok(loaded) => (true, format!("{loaded:?}")),
        Err(invalid) => {
            assert!(!invalid.0.faults.is_empty());
            (false, format!("{invalid:?}"))
        }
    };
    assert!(!told.contains(SECRET), "{told}");
    for secret in secrets(text) {
        assert!(!told.contains(&secret), "{secret} in {told}");
    }
    is_taken
}

fn written(text: &str) -> PathBuf {
    let mut file = fs::File::create(FILE.path()).expect("still there");
    file.write_all(text.as_bytes()).expect("written");
    FILE.path().to_owned()
}

/// The secrets that stand in a file, of those that nothing else in it could be mistaken for.
fn secrets(text: &str) -> Vec<String> {
    let Ok(table) = FileFormat::Toml.parse(None, text) else { return Vec::new() };
    let mut found = Vec::new();
    collect(&table, "", &mut found);
    let is_telling = |secret: &String| {
        let is_word = secret.len() >= 8 && secret.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        is_word && secret.bytes().any(|b| b.is_ascii_digit()) && text.matches(secret.as_str()).count() == 1
    };
    found.retain(is_telling);
    found
}

fn collect(table: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for (key, value) in table {
        match &value.kind {
            ValueKind::Table(inner) => collect(inner, key, found),
            ValueKind::String(text) if SECRET_KEYS.contains(&key.as_str()) || (at == "admin" && key == "token") => {
                found.push(text.trim().to_owned());
            }
            ValueKind::String(text) => found.extend(password(text)),
            _ => {}
        }
    }
}

/// What stands between `:` and `@` in an address.
fn password(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    Some(user.split_once(':')?.1.to_owned())
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
