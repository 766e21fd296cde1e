//! The forms of `POST /v1/messaging` and `POST /v1/voice`.
//!
//! Must not know how they are signed, sent or answered. Source: Telesign docs, SMS and Voice APIs.

use form_urlencoded::Serializer;

use super::{Config, Details};
use crate::otp::{Locale, Message, Speech, Text};

/// Every voice `/v1/voice` has; it refuses any other (11018).
const VOICES: [&str; 26] = [
    "f-ca-ES", "f-da-DK", "f-de-DE", "f-en-AU", "f-en-CA", "f-en-GB", "f-en-IN", "f-en-US", "f-es-ES", "f-es-MX",
    "f-fi-FI", "f-fr-CA", "f-fr-FR", "f-it-IT", "f-ja-JP", "f-ko-KR", "f-nb-NO", "f-nl-NL", "f-pl-PL", "f-pt-BR",
    "f-pt-PT", "f-ru-RU", "f-sv-SE", "f-zh-CN", "f-zh-HK", "f-zh-TW",
];

/// Longest `message`; a longer one is refused (11009).
const MAX_MESSAGE_CHARS: usize = 1600;

/// Whether `/v1/voice` is known to have this voice.
pub(super) fn is_voice(name: &str) -> bool {
    VOICES.contains(&name)
}

/// The voice that speaks a language as its region does.
fn voice_of(language: &Locale) -> Option<&'static str> {
    VOICES.into_iter().find(|voice| voice.strip_prefix("f-") == Some(language.as_str()))
}

/// Writes the form of a text.
pub(super) fn text_form(config: &Config, message: &Message, text: &Text) -> String {
    let mut form = begin(message, text.expose());
    form.extend_pairs(config.sender.of(message).map(|sender| ("sender_id", sender)));
    Details::of(config, message).append_to(&mut form);
    form.finish()
}

/// Writes the form of a call. The product has no loop: the sentence stands in the text as often as it is to be heard and
/// there is room for it.
pub(super) fn call_form(config: &Config, message: &Message, speech: &Speech) -> String {
    let sentence = speech.sentence.expose();
    // Each takes a space to the next; the last has none.
    let fits = (MAX_MESSAGE_CHARS + 1) / (sentence.chars().count() + 1);
    let text = vec![sentence; usize::from(config.repeat).min(fits).max(1)].join(" ");
    let voice = config.voice.of(&speech.language).or_else(|| voice_of(&speech.language));
    let mut form = begin(message, &text);
    form.extend_pairs(voice.map(|voice| ("voice", voice)));
    form.extend_pairs(config.caller_id.as_ref().map(|caller_id| ("caller_id", caller_id)));
    Details::of(config, message).append_to(&mut form);
    form.finish()
}

fn begin(message: &Message, text: &str) -> Serializer<'static, String> {
    let mut form = Serializer::new(String::with_capacity(512));
    form.append_pair("phone_number", message.recipient.expose_digits());
    form.append_pair("message", text);
    form.append_pair("message_type", "OTP");
    form
}
