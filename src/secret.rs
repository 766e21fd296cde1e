//! Secrets: how they are written in a configuration, read from where they are kept, compared and hashed with.
//!
//! Must not know what any of them is for. A secret has no `Display`, no `Serialize`, a masked `Debug`, and is wiped
//! when dropped.

mod presented;
mod pseudonym;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::{digest, rand};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use presented::{basic_pair, bearer, only};
pub use pseudonym::{IdentityHasher, KeyedHash, Pseudonyms};

/// 32 random bytes are 43 characters in base64, and 64 in hexadecimal digits.
const GUESSABLE_BELOW_CHARS: usize = 32;

/// What is said of such a secret.
pub const GUESSABLE: &str = "is shorter than 32 characters and can be guessed; use 32 random bytes";

/// A secret text: never empty, white space trimmed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret; `None` when nothing is left of it after trimming.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// 32 random bytes as 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomFault> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        // Asked of the system itself: see `warm_random` for what the first bytes of aws-lc cost.
        let filled = getrandom(bytes.as_mut(), GetRandomFlags::empty());
        if filled != Ok(bytes.len()) {
            return Err(RandomFault);
        }
        Ok(Self(Zeroizing::new(hex(bytes.as_ref()))))
    }

    /// Whether it is so short that it can be guessed: see `GUESSABLE`.
    pub fn is_guessable(&self) -> bool {
        self.0.chars().count() < GUESSABLE_BELOW_CHARS
    }

    /// The secret. Only for what is handed to the party that knows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomFault;

/// Draws the first random bytes of this process.
///
/// They cost aws-lc about 30 ms of computing, once, and TLS cannot begin without them; drawn before a hook comes, none pays
/// for them.
///
/// # Errors
/// When the operating system gives none.
pub fn warm_random() -> Result<(), RandomFault> {
    rand::fill(&mut [0_u8; 8]).map_err(|_| RandomFault)
}

/// A random number below `bound`, for drawing lots. Zero when there are no random bytes: a lot need not be fair then.
pub fn random_below(bound: u32) -> u32 {
    let mut bytes = [0; 8];
    let _ = rand::fill(&mut bytes);
    // 64 random bits over at most 32 bits of range: the bias is below 2^-32.
    u32::try_from(u64::from_le_bytes(bytes) % u64::from(bound.max(1))).unwrap_or_default()
}

/// Where a secret stands, as typed in the configuration: the text itself, `{ env = "NAME" }` or `{ file = "/path" }`.
#[derive(Clone)]
pub enum SecretRef {
    /// The text itself.
    Plain(Zeroizing<String>),
    /// An environment variable.
    Env(String),
    /// A file, as Docker and Kubernetes mount secrets.
    File(PathBuf),
}

impl SecretRef {
    /// The text itself.
    pub fn plain(text: &str) -> Self {
        Self::Plain(Zeroizing::new(text.to_owned()))
    }

    /// Reads the secret from where it stands.
    ///
    /// # Errors
    /// A rule in words, which names the variable or file and never its content.
    pub fn resolve(&self, environment: &Environment) -> Result<Secret, String> {
        let (text, place) = match self {
            Self::Plain(text) => (text.clone(), "it".to_owned()),
            Self::Env(name) => {
                let place = format!("environment variable {name}");
                (environment.get(name).ok_or(format!("{place} is not set"))?, place)
            }
            Self::File(path) => {
                let place = format!("file {}", path.display());
                let text =
                    std::fs::read_to_string(path).map_err(|e| format!("{place} cannot be read: {}", e.kind()))?;
                (Zeroizing::new(text), place)
            }
        };
        // Editors on Windows begin a file with a byte-order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        Secret::new(text).ok_or(format!("{place} is empty"))
    }

    /// Reads a secret that others send us in a header: one that no header can carry would admit nobody.
    ///
    /// # Errors
    /// As `resolve`, and when it holds a line break or another control character.
    pub fn resolve_for_header(&self, environment: &Environment) -> Result<Secret, String> {
        let secret = self.resolve(environment)?;
        let fits = !secret.expose().contains(char::is_control);
        fits.then_some(secret).ok_or_else(|| "holds a line break or control character".to_owned())
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form { takes_numbers: false })
    }
}

/// Where an id stands that is kept beside a secret and is none itself, such as an account's: typed in the same three
/// ways.
#[derive(Debug, Clone)]
pub struct IdRef(SecretRef);

impl IdRef {
    /// Reads the id from where it stands, white space trimmed. One that is typed may be empty: whoever needs it says so.
    ///
    /// # Errors
    /// As `SecretRef::resolve`, for one that stands elsewhere.
    pub fn resolve(&self, environment: &Environment) -> Result<String, String> {
        match &self.0 {
            SecretRef::Plain(text) => Ok(text.trim().to_owned()),
            SecretRef::Env(_) | SecretRef::File(_) => self.0.resolve(environment).map(|id| id.expose().to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for IdRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An id of digits alone may be typed without quotes.
        deserializer.deserialize_any(Form { takes_numbers: true }).map(Self)
    }
}

/// The three ways to write it.
struct Form {
    takes_numbers: bool,
}

impl Form {
    const RULE: &str = "must be a text, { env = \"NAME\" } or { file = \"/path\" }";

    fn number<E: de::Error>(self, number: impl fmt::Display) -> Result<SecretRef, E> {
        // serde's own message would quote the value.
        if self.takes_numbers { Ok(SecretRef::plain(&number.to_string())) } else { Err(E::custom(Self::RULE)) }
    }
}

impl<'de> Visitor<'de> for Form {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, { env = \"NAME\" } or { file = \"/path\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretRef, E> {
        Ok(SecretRef::plain(text))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<SecretRef, E> {
        self.number(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<SecretRef, E> {
        self.number(number)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(E::custom(Self::RULE))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(E::custom(Self::RULE))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretRef, A::Error> {
        let entry = map.next_entry::<String, String>()?;
        let more = map.next_key::<String>()?.is_some();
        match entry {
            Some((key, name)) if key == "env" && !more => Ok(SecretRef::Env(name)),
            Some((key, path)) if key == "file" && !more => Ok(SecretRef::File(path.into())),
            _ => Err(de::Error::custom(Self::RULE)),
        }
    }
}

/// The environment a configuration is read in: the process's own variables over those of a `.env` file.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Zeroizing<String>>);

impl Environment {
    /// Collects variables; later ones win, but for empty ones, which count as not set.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = BTreeMap::new();
        for (name, text) in variables {
            if !text.is_empty() || !all.contains_key(&name) {
                all.insert(name, Zeroizing::new(text));
            }
        }
        Self(all)
    }

    /// These variables, and those of another environment where it has some of the same names.
    #[must_use]
    pub fn under(&self, over: &Self) -> Self {
        Self::new([self, over].into_iter().flat_map(Self::iter).map(|(name, text)| (name.to_owned(), text.to_owned())))
    }

    /// One variable.
    pub fn get(&self, name: &str) -> Option<Zeroizing<String>> {
        self.0.get(name).cloned()
    }

    /// All variables, for the configuration reader.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// SHA-256 of a credential. Two of them compare in constant time whatever the lengths of what they stand for.
#[derive(Clone)]
pub struct CredentialDigest([u8; 32]);

impl CredentialDigest {
    /// Digests a credential.
    pub fn of(credential: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, credential).as_ref());
        Self(bytes)
    }

    /// Whether both stand for the same credential, in constant time.
    pub fn matches(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest(…)")
    }
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits(*byte)).map(char::from).collect()
}

/// The two hexadecimal digits of a byte.
fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_trimmed_and_masked() {
        let secret = Secret::new("  hunter2\n").expect("not empty");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(Secret::new(" \t\n").is_none());
    }

    #[test]
    fn a_missing_or_empty_source_says_which() {
        let environment = Environment::new([("EMPTY".to_owned(), " ".to_owned()), ("FULL".to_owned(), "x".to_owned())]);
        let resolve = |r: SecretRef| r.resolve(&environment).map(|s| s.expose().to_owned());
        assert_eq!(resolve(SecretRef::Env("FULL".into())), Ok("x".into()));
        assert_eq!(resolve(SecretRef::Env("EMPTY".into())), Err("environment variable EMPTY is empty".into()));
        assert_eq!(resolve(SecretRef::Env("NONE".into())), Err("environment variable NONE is not set".into()));
        assert_eq!(
            resolve(SecretRef::File("/nonexistent/x".into())),
            Err("file /nonexistent/x cannot be read: entity not found".into())
        );
        assert_eq!(resolve(SecretRef::Plain(Zeroizing::new("  ".into()))), Err("it is empty".into()));
    }

    #[test]
    fn an_id_is_written_in_the_forms_of_a_secret_or_as_a_number() {
        let environment = Environment::new([("ID".to_owned(), " AC1\n".to_owned())]);
        let read = |typed: serde_json::Value| {
            let id = serde_json::from_value::<IdRef>(typed).map_err(|e| e.to_string())?;
            id.resolve(&environment)
        };
        use serde_json::json;
        for (typed, expected) in [
            (json!(" AC1 "), Ok("AC1")),
            (json!(" "), Ok("")),
            (json!(17), Ok("17")),
            (json!({ "env": "ID" }), Ok("AC1")),
            (json!({ "env": "NONE" }), Err("environment variable NONE is not set")),
            (json!({ "file": "/nonexistent/x" }), Err("file /nonexistent/x cannot be read: entity not found")),
            (json!({ "env": "ID", "file": "/x" }), Err(Form::RULE)),
            (json!(true), Err(Form::RULE)),
            (json!(1.5), Err(Form::RULE)),
        ] {
            assert_eq!(read(typed.clone()), expected.map(str::to_owned).map_err(str::to_owned), "{typed}");
        }
        assert!(serde_json::from_value::<SecretRef>(json!(17)).is_err(), "a secret is a text");
    }

    #[test]
    fn digests_match_only_the_same_credential() {
        let digest = CredentialDigest::of(b"Basic abc");
        assert!(bool::from(digest.matches(&CredentialDigest::of(b"Basic abc"))));
        assert!(!bool::from(digest.matches(&CredentialDigest::of(b"Basic abd"))));
        assert!(!bool::from(digest.matches(&CredentialDigest::of(b""))));
    }
}
