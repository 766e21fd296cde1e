//! What a call says without a text of one's own: one sentence per language; and the region a language is told in.
//!
//! Must not know how a vendor names its voices.

use crate::otp::{Locale, OtpCode, Speech, Text};

/// One language, in one script, that we have a sentence for.
struct Sentence {
    /// The locales it serves: languages, or whole tags where the script hangs on the region.
    locales: &'static [&'static str],
    /// What the sentence can be told in, the first unless the person's region decides. Each is known to Twilio's
    /// `<Say>` and to Telesign's `/v1/voice`.
    tags: &'static [&'static str],
    before: &'static str,
    after: &'static str,
}

const fn sentence(
    locales: &'static [&'static str],
    tags: &'static [&'static str],
    before: &'static str,
    after: &'static str,
) -> Sentence {
    Sentence { locales, tags, before, after }
}

/// The first row serves every language that is not listed.
const SENTENCES: [Sentence; 18] = [
    sentence(&["en"], &["en-US", "en-GB", "en-AU", "en-CA", "en-IN"], "Your code is ", "."),
    sentence(&["es"], &["es-ES", "es-MX"], "Su código es ", "."),
    sentence(&["fr"], &["fr-FR", "fr-CA"], "Votre code est ", "."),
    sentence(&["de"], &["de-DE"], "Ihr Code lautet ", "."),
    sentence(&["pt"], &["pt-BR", "pt-PT"], "O seu código é ", "."),
    sentence(&["it"], &["it-IT"], "Il suo codice è ", "."),
    sentence(&["nl"], &["nl-NL"], "Uw code is ", "."),
    sentence(&["ja"], &["ja-JP"], "認証コードは ", " です。"),
    sentence(&["da"], &["da-DK"], "Din kode er ", "."),
    sentence(&["sv"], &["sv-SE"], "Din kod är ", "."),
    // `no` is the older name of the same language; whoever reads its other written form, `nn`, understands it spoken.
    sentence(&["nb", "nn", "no"], &["nb-NO"], "Koden din er ", "."),
    sentence(&["fi"], &["fi-FI"], "Koodisi on ", "."),
    sentence(&["pl"], &["pl-PL"], "Twój kod to ", "."),
    sentence(&["ko"], &["ko-KR"], "인증 코드는 ", "입니다."),
    sentence(&["zh"], &["zh-CN"], "您的验证码是 ", "。"),
    // Traditional characters: Taiwan, and Hong Kong and Macao, where the same sentence is told in Cantonese.
    sentence(
        &["zh-Hant", "zh-Hant-TW", "zh-Hant-HK", "zh-Hant-MO", "zh-MO"],
        &["zh-TW", "zh-HK"],
        "您的驗證碼是 ",
        "。",
    ),
    sentence(&["ru"], &["ru-RU"], "Ваш код: ", "."),
    sentence(&["ca"], &["ca-ES"], "El vostre codi és ", "."),
];

/// Regions that are told as another one: Latin America, the United States in Spanish, Macao.
const TOLD_AS: [(&str, &str); 3] = [("419", "MX"), ("US", "MX"), ("MO", "HK")];

impl Sentence {
    /// The row of a locale: that of the whole tag, else that of its language.
    fn of(locale: &Locale) -> Option<&'static Self> {
        let whole = |row: &&Self| row.tags.contains(&locale.as_str()) || row.locales.contains(&locale.as_str());
        let language = |row: &&Self| row.locales.contains(&locale.language());
        SENTENCES.iter().find(whole).or_else(|| SENTENCES.iter().find(language))
    }

    /// The tag with the person's region, else the first.
    fn tag(&self, locale: &Locale) -> &'static str {
        let last = locale.as_str().rsplit('-').next().unwrap_or_default();
        let of_region = |region: &str| self.tags.iter().find(|tag| tag.ends_with(region)).copied();
        let near = || TOLD_AS.iter().find(|(region, _)| *region == last).and_then(|(_, near)| of_region(near));
        of_region(last).or_else(near).unwrap_or(self.tags[0])
    }
}

/// The sentence for a person's language, else the English one. The language told is that of the sentence.
pub(super) fn speech(code: &OtpCode, locale: Option<&Locale>) -> Speech {
    let (row, tag) = locale
        .and_then(|locale| Sentence::of(locale).map(|row| (row, row.tag(locale))))
        .unwrap_or((&SENTENCES[0], SENTENCES[0].tags[0]));
    Speech {
        language: Locale::parse(tag).expect("the table above holds language tags"),
        sentence: Text::new(format!("{}{}{}", row.before, code.spoken(), row.after)),
    }
}

/// The locale as voices name it, language and region: its own region, else the usual one of its language. A script is
/// not heard, and so no vendor has a voice for either written form of Norwegian but `nb-NO`. `None` when no region is
/// known.
pub(super) fn with_region(locale: &Locale) -> Option<Locale> {
    if matches!(locale.language(), "nn" | "no") {
        return Locale::parse("nb-NO");
    }
    let is_region = |part: &&str| part.len() == 2 || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()));
    match locale.as_str().split('-').skip(1).find(is_region) {
        Some(region) => Locale::parse(&format!("{}-{region}", locale.language())),
        None => Locale::parse(Sentence::of(locale)?.tags[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_and_its_language_agree() {
        let code = OtpCode::parse("30517").expect("digits");
        for (locale, language, sentence) in [
            (Some("pt-PT"), "pt-PT", "O seu código é 3, 0, 5, 1, 7."),
            (Some("pt"), "pt-BR", "O seu código é 3, 0, 5, 1, 7."),
            (Some("EN_gb"), "en-GB", "Your code is 3, 0, 5, 1, 7."),
            (Some("en-ZA"), "en-US", "Your code is 3, 0, 5, 1, 7."),
            (Some("es-419"), "es-MX", "Su código es 3, 0, 5, 1, 7."),
            (Some("es-AR"), "es-ES", "Su código es 3, 0, 5, 1, 7."),
            (Some("sv-SE"), "sv-SE", "Din kod är 3, 0, 5, 1, 7."),
            (Some("no"), "nb-NO", "Koden din er 3, 0, 5, 1, 7."),
            (Some("nn-NO"), "nb-NO", "Koden din er 3, 0, 5, 1, 7."),
            (Some("ko"), "ko-KR", "인증 코드는 3, 0, 5, 1, 7입니다."),
            (Some("zh"), "zh-CN", "您的验证码是 3, 0, 5, 1, 7。"),
            (Some("zh-Hans-SG"), "zh-CN", "您的验证码是 3, 0, 5, 1, 7。"),
            (Some("zh-tw"), "zh-TW", "您的驗證碼是 3, 0, 5, 1, 7。"),
            (Some("zh-HK"), "zh-HK", "您的驗證碼是 3, 0, 5, 1, 7。"),
            (Some("zh-Hant"), "zh-TW", "您的驗證碼是 3, 0, 5, 1, 7。"),
            (Some("zh_Hant_MO"), "zh-HK", "您的驗證碼是 3, 0, 5, 1, 7。"),
            (Some("cy-GB"), "en-US", "Your code is 3, 0, 5, 1, 7."),
            (None, "en-US", "Your code is 3, 0, 5, 1, 7."),
        ] {
            let speech = speech(&code, locale.and_then(Locale::parse).as_ref());
            assert_eq!((speech.language.as_str(), speech.sentence.expose()), (language, sentence), "{locale:?}");
        }
    }

    #[test]
    fn every_row_is_a_language_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for row in &SENTENCES {
            let language = row.locales[0].split('-').next().expect("a language");
            for tag in row.tags {
                let locale = Locale::parse(tag).expect("a tag");
                assert_eq!((locale.language(), locale.as_str()), (language, *tag));
            }
            for name in row.locales.iter().chain(row.tags) {
                assert_eq!(Locale::parse(name).expect("a locale").as_str(), *name);
                assert!(seen.insert(*name), "{name} stands twice");
            }
        }
    }

    #[test]
    fn a_region_is_kept_or_found() {
        for (given, expected) in [
            ("fr-CA", Some("fr-CA")),
            ("fr-BE", Some("fr-BE")),
            ("fr", Some("fr-FR")),
            ("no", Some("nb-NO")),
            ("no-NO", Some("nb-NO")),
            ("nn-NO", Some("nb-NO")),
            ("zh-Hant", Some("zh-TW")),
            ("zh-Hant-HK", Some("zh-HK")),
            ("es-419", Some("es-419")),
            ("hu", None),
            ("hu-HU", Some("hu-HU")),
        ] {
            let locale = Locale::parse(given).expect("a locale");
            assert_eq!(with_region(&locale).as_ref().map(Locale::as_str), expected, "{given}");
        }
    }
}
