//! What every module's `Settings` share: faults that name their key, durations, lists, names in a fixed set, addresses,
//! authorities.
//!
//! Must not know any particular setting.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use url::{Host, Url};

use crate::otp::Locale;

/// What is wrong or doubtful in a configuration, all of it at once.
#[derive(Debug, Default)]
pub struct Findings {
    /// What stops the start.
    pub faults: Vec<Finding>,
    /// What a careful reader would ask about.
    pub warnings: Vec<Finding>,
}

/// One finding: the key path and the rule it breaks. Never the value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Dotted path, such as `orgs.main.budget`.
    pub key: String,
    /// The rule, or what is missing.
    pub rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.rule)
    }
}

impl Findings {
    /// Notes what stops the start.
    pub fn fault(&mut self, key: impl Into<String>, rule: impl Into<String>) {
        self.faults.push(Finding { key: key.into(), rule: rule.into() });
    }

    /// Notes what is doubtful.
    pub fn warn(&mut self, key: impl Into<String>, rule: impl Into<String>) {
        self.warnings.push(Finding { key: key.into(), rule: rule.into() });
    }

    /// Notes a fault unless `value` lies in the range.
    pub fn within(&mut self, key: impl Into<String>, value: Duration, least: Duration, most: Duration) {
        if value < least || value > most {
            self.fault(key, format!("must be between {} and {}", show(least), show(most)));
        }
    }
}

/// What a name in log lines, labels and pages must be.
pub const NAME: &str = "must have a name of 1 to 64 characters, none of them a control character, and not . or ..";

/// Whether it is such a name.
pub fn is_name(text: &str) -> bool {
    // A name becomes a part of an address, where these two mean something else.
    (1..=64).contains(&text.chars().count()) && !text.contains(char::is_control) && !matches!(text, "." | "..")
}

/// Writes a duration as settings do: `2600ms`, `15s`.
pub fn show(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}

/// Reads a duration with a unit: `"1200ms"`, `"15s"`, `"2m"`, `"30d"`.
///
/// # Errors
/// When the text is no duration with a unit.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    const RULE: &str = "must be a duration with a unit, such as \"1200ms\" or \"15s\"";
    struct Form;
    impl Visitor<'_> for Form {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration with a unit, such as \"1200ms\" or \"15s\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            let span = SpanParser::new().parse_span(text.trim()).ok();
            let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
            duration.and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| E::custom(RULE))
        }
    }
    deserializer.deserialize_any(Form)
}

/// Reads a duration that may be left out.
///
/// # Errors
/// As `duration`.
pub fn optional_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// Reads one of the words an enum knows. config's own message would not tell which they are.
///
/// # Errors
/// When the text is none of them.
pub fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Reads a word that may be left out.
///
/// # Errors
/// As `word`.
pub fn optional_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| T::deserialize(text.into_deserializer())).transpose()
}

/// A list: a TOML array, or one text with commas or such an array in it, as an environment variable has to write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts, or one text with commas")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<List, E> {
                if text.trim_start().starts_with('[') {
                    let rule = "must be a list such as a,b or [\"a\",\"b\"]";
                    return serde_json::from_str(text).map(List).map_err(|_| E::custom(rule));
                }
                Ok(List(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element::<String>()? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// A text for every language, or one by locale: looked up as `fr-CA`, then `fr`, then `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Localized(BTreeMap<String, String>);

impl Localized {
    /// The text for a language.
    pub fn of(&self, locale: &Locale) -> Option<&str> {
        by_locale(&self.0, Some(locale)).map(String::as_str)
    }

    /// Every key with its text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }
}

/// Looks a locale up as `fr-CA`, then `fr`, then `default`; no locale as `default` alone.
pub fn by_locale<'t, T>(table: &'t BTreeMap<String, T>, locale: Option<&Locale>) -> Option<&'t T> {
    let own = locale.and_then(|locale| table.get(locale.as_str()).or_else(|| table.get(locale.language())));
    own.or_else(|| table.get("default"))
}

impl<'de> Deserialize<'de> for Localized {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Localized;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table of texts by locale")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Localized, E> {
                Ok(Localized(BTreeMap::from([("default".to_owned(), text.to_owned())])))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Localized, A::Error> {
                let mut typed = BTreeMap::new();
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    typed.insert(key, text);
                }
                // Two spellings of one locale: in this order that of an environment variable (fr_ca) comes last and wins.
                let mut table = BTreeMap::new();
                for (key, text) in typed {
                    let locale =
                        if key == "default" { Some(key) } else { Locale::parse(&key).map(|l| l.as_str().to_owned()) };
                    let locale = locale
                        .ok_or_else(|| de::Error::custom("must be keyed by locales such as fr or fr-CA, or default"))?;
                    table.insert(locale, text);
                }
                Ok(Localized(table))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// Reads the certificates of a PEM file with authorities.
///
/// # Errors
/// With the rule that the file breaks: it cannot be read, holds none, or one that is no authority's.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|e| format!("cannot be read: {}", e.kind()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.ok().filter(|found| !found.is_empty()).ok_or("holds no PEM certificate")?;
    let mut trusted = RootCertStore::empty();
    let usable = found.iter().all(|certificate| trusted.add(certificate.clone()).is_ok());
    if usable { Ok(found) } else { Err("holds a certificate that cannot be read".to_owned()) }
}

/// Whether nobody on the way to an address can read or change what is said there.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether a user or a password stands in an address.
pub fn holds_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether an address stays on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_spelling_of_a_locale_wins() {
        let typed = [("fr_ca", "environment"), ("fr-CA", "file"), ("FR", "language"), ("default", "any")];
        let map = de::value::MapDeserializer::<_, de::value::Error>::new(typed.into_iter());
        let texts = Localized::deserialize(map).expect("texts");
        for (locale, expected) in [("fr-CA", "environment"), ("fr-BE", "language"), ("fr", "language"), ("it", "any")] {
            assert_eq!(Locale::parse(locale).and_then(|l| texts.of(&l).map(str::to_owned)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_text_may_hold_a_list_in_two_ways() {
        let read = |text: &str| List::deserialize(de::value::StrDeserializer::<de::value::Error>::new(text)).ok();
        let list = |items: &[&str]| Some(List(items.iter().map(|item| (*item).to_owned()).collect()));
        for (text, expected) in [
            ("a, b,", list(&["a", "b"])),
            (" [\"a\", \"b\"] ", list(&["a", "b"])),
            ("[\"a,b\"]", list(&["a,b"])),
            ("[]", list(&[])),
            ("[a,b]", None),
            ("[1]", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        let read = |text: &str| duration(de::value::StrDeserializer::<de::value::Error>::new(text)).ok();
        assert_eq!(read("1200ms"), Some(Duration::from_millis(1200)));
        assert_eq!(read(" 2s "), Some(Duration::from_secs(2)));
        assert_eq!(read("2m"), Some(Duration::from_secs(120)));
        assert_eq!(read("30d"), Some(Duration::from_secs(30 * 86400)));
        assert_eq!(read("1mo"), None, "of no fixed length");
        assert_eq!(read("1200"), None);
        assert_eq!(read("-1s"), None);
        assert_eq!(read("soon"), None);
        assert_eq!(show(Duration::from_millis(2600)), "2600ms");
        assert_eq!(show(Duration::from_secs(15)), "15s");
    }
}
