//! What a call says: one sentence per language, digits one by one.
//!
//! Must not know how a vendor names its voices.

use crate::otp::{Locale, OtpCode, Speech, Text};

/// One language we have a sentence for.
struct Sentence {
    language: &'static str,
    /// Regions whose accent vendors can speak; the first serves every other region.
    tags: &'static [&'static str],
    before: &'static str,
    after: &'static str,
}

/// The first row serves every language that is not listed.
const SENTENCES: [Sentence; 8] = [
    Sentence {
        language: "en",
        tags: &["en-US", "en-GB", "en-AU", "en-CA", "en-IN"],
        before: "Your code is ",
        after: ".",
    },
    Sentence { language: "es", tags: &["es-ES", "es-MX"], before: "Su código es ", after: "." },
    Sentence { language: "fr", tags: &["fr-FR", "fr-CA"], before: "Votre code est ", after: "." },
    Sentence { language: "de", tags: &["de-DE"], before: "Ihr Code lautet ", after: "." },
    Sentence { language: "pt", tags: &["pt-BR", "pt-PT"], before: "O seu código é ", after: "." },
    Sentence { language: "it", tags: &["it-IT"], before: "Il suo codice è ", after: "." },
    Sentence { language: "nl", tags: &["nl-NL"], before: "Uw code is ", after: "." },
    Sentence { language: "ja", tags: &["ja-JP"], before: "認証コードは ", after: " です。" },
];

/// The sentence for a person's language, else the English one. The language told is that of the sentence.
pub(super) fn speech(code: &OtpCode, locale: Option<&Locale>) -> Speech {
    let row = locale.and_then(|l| SENTENCES.iter().find(|s| s.language == l.language())).unwrap_or(&SENTENCES[0]);
    let tag = locale.and_then(|l| row.tags.iter().find(|t| **t == l.as_str())).unwrap_or(&row.tags[0]);
    Speech {
        language: Locale::parse(tag).expect("the table above holds language tags"),
        sentence: Text::new(format!("{}{}{}", row.before, code.spoken(), row.after)),
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
            (Some("sv-SE"), "en-US", "Your code is 3, 0, 5, 1, 7."),
            (None, "en-US", "Your code is 3, 0, 5, 1, 7."),
        ] {
            let speech = speech(&code, locale.and_then(Locale::parse).as_ref());
            assert_eq!((speech.language.as_str(), speech.sentence.expose()), (language, sentence), "{locale:?}");
        }
    }

    #[test]
    fn every_row_is_a_language_of_its_own() {
        for row in &SENTENCES {
            assert!(
                row.tags
                    .iter()
                    .all(|t| Locale::parse(t).is_some_and(|l| l.language() == row.language && l.as_str() == *t))
            );
        }
    }
}
