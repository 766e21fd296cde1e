//! The body of `POST /v1/omnichannel`: one message over one channel.
//!
//! Must not know how it is signed, sent or answered. Source: Telesign docs, Messaging.

use serde::Serialize;

use super::{Config, Details};
use crate::otp::{Content, Message, Speech};

/// One channel only: a second one with a fallback time would start after Okta has had its answer, and perhaps after
/// the code has run out.
#[derive(Serialize)]
struct Body<'a> {
    channels: [ChannelEntry; 1],
    message: Template<'a>,
    message_type: &'static str,
    recipient: Recipient<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_id: Option<&'a str>,
    #[serde(flatten)]
    details: Details<'a>,
}

#[derive(Serialize)]
struct ChannelEntry {
    channel: &'static str,
}

#[derive(Serialize)]
struct Recipient<'a> {
    phone_number: &'a str,
}

/// Keyed by channel, in the shape of Telesign's SDKs.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Template<'a> {
    Sms { parameters: TextParameters<'a>, template: &'static str },
    Voice { parameters: CallParameters<'a>, template: &'static str },
}

#[derive(Serialize)]
struct TextParameters<'a> {
    text: &'a str,
}

/// Telesign words the call itself; the sentence of `Speech` is not spoken.
#[derive(Serialize)]
struct CallParameters<'a> {
    otp_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
}

/// Writes the body.
pub(super) fn body(config: &Config, message: &Message, content: &Content) -> String {
    let (channel, template, sender_id) = match content {
        Content::Text(text) => {
            let parameters = TextParameters { text: text.expose() };
            ("sms", Template::Sms { parameters, template: "text" }, config.sender.of(message))
        }
        Content::Speech(speech) => {
            let parameters =
                CallParameters { otp_code: message.code.expose(), language: language(config, message, speech) };
            ("voice", Template::Voice { parameters, template: "otp_voice" }, None)
        }
    };
    let body = Body {
        channels: [ChannelEntry { channel }],
        message: template,
        message_type: "OTP",
        recipient: Recipient { phone_number: message.recipient.expose_digits() },
        sender_id: sender_id.map(String::as_str),
        details: Details::of(config, message),
    };
    serde_json::to_string(&body).expect("texts under fixed names")
}

/// The tag of the one call that Telesign's pages show.
const ENGLISH: &str = "en";

/// The configured tag for the person's language, else for that of our sentence, else English where that is English, else
/// none.
///
/// The person's comes first as Telesign may speak languages we have no sentence for. No other is derived: which tags it
/// takes is not published, a wrong one fails the call, and without one it speaks English.
fn language<'c>(config: &'c Config, message: &Message, speech: &Speech) -> Option<&'c str> {
    let persons = message.locale.as_ref().and_then(|locale| config.language.of(locale));
    let configured = persons.or_else(|| config.language.of(&speech.language));
    configured.or_else(|| (speech.language.language() == ENGLISH).then_some(ENGLISH))
}
