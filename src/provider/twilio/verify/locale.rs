//! Which of Verify's languages a person's locale becomes.
//!
//! Must not know settings or which languages an account's template lacks. Source: Twilio docs, "Verify supported
//! languages".

use crate::otp::Locale;

/// Verify's own tags, in order. An unlisted one is answered with 404, and a left-out one makes Verify choose by the
/// number's country: so only those are here that all published lists of the default template share.
const TAGS: [&str; 41] = [
    "af", "ar", "ca", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "he", "hi", "hr", "hu", "id", "it", "ja",
    "kn", "ko", "lt", "mr", "ms", "nb", "nl", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sv", "te", "th", "tl", "tr",
    "uk", "vi", "zh", "zh-HK",
];

/// Other tags of the same language: withdrawn codes, and the standard whose written form most read.
const ALIASES: [(&str, &str); 6] =
    [("fil", "tl"), ("in", "id"), ("iw", "he"), ("nn", "nb"), ("no", "nb"), ("tgl", "tl")];

/// Verify's tag for a locale; `None` when unsure.
pub(super) fn tag(locale: &Locale) -> Option<&'static str> {
    match locale.language() {
        "zh" => chinese(locale.as_str()),
        language => {
            let alias = ALIASES.iter().find(|(other, _)| *other == language);
            find(locale.as_str()).or_else(|| find(alias.map_or(language, |(_, tag)| tag)))
        }
    }
}

/// Chinese by script: `zh` is the simplified one, and of the traditional ones Verify has Hong Kong's alone.
/// A reader in Taiwan is better served by what Verify chooses for the number than by either.
fn chinese(tag: &str) -> Option<&'static str> {
    match tag {
        "zh" | "zh-CN" | "zh-SG" | "zh-Hans" | "zh-Hans-CN" | "zh-Hans-SG" => find("zh"),
        "zh-HK" | "zh-Hant-HK" => find("zh-HK"),
        _ => None,
    }
}

fn find(tag: &str) -> Option<&'static str> {
    TAGS.binary_search(&tag).ok().map(|place| TAGS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_is_found() {
        assert!(TAGS.is_sorted());
        assert!(ALIASES.iter().all(|(_, tag)| find(tag).is_some()));
    }

    #[test]
    fn a_locale_becomes_a_listed_tag_or_none() {
        for (given, expected) in [
            ("EN-US", Some("en")),
            ("en-GB", Some("en")),
            ("pt-br", Some("pt-BR")),
            ("pt-PT", Some("pt")),
            ("es-419", Some("es")),
            ("fr_CA", Some("fr")),
            ("nn-NO", Some("nb")),
            ("iw", Some("he")),
            ("fil-PH", Some("tl")),
            ("zh-CN", Some("zh")),
            ("zh_hans_cn", Some("zh")),
            ("zh-hk", Some("zh-HK")),
            ("zh-Hant-HK", Some("zh-HK")),
            ("zh-TW", None),
            ("zh-Hant", None),
            ("xx-YY", None),
            ("is", None),
        ] {
            let locale = Locale::parse(given).expect("a language tag");
            assert_eq!(tag(&locale), expected, "{given:?}");
        }
    }
}
