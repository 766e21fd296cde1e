//! Okta's JSON → our `Message`. All leniency towards Okta's spellings lives here.
//!
//! Must not send, log or answer anything. A fault names the member and the rule and never echoes the value,
//! but for a word that stands where a channel should.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use serde_json::Value;

use super::code::{holds, whole};
use super::wire::{Body, Digits, MessageProfile, Request};
use crate::otp::{
    Channel, Country, EventId, Locale, Message, OtpCode, Phone, RequestId, RequestType, Source, Text, UserId,
};

/// Longer than any word for a channel, shorter than a sentence.
const MAX_NAMED_BYTES: usize = 20;

/// What can be told of time ends in this year, a day before the year does.
const LAST_YEAR: i16 = 9999;

/// Every hook carries this `eventType`; anything else was meant for another hook.
const EVENT_TYPE: &str = "com.okta.telephony.provider";

/// One reason why a body cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the member, such as `data.messageProfile.phoneNumber`; empty for the body as a whole.
    pub member: String,
    /// The rule it breaks; for a channel also the word that is none, if it is letters alone.
    pub rule: Cow<'static, str>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.member.is_empty() { "body" } else { &self.member }, self.rule)
    }
}

/// A request that can be used.
#[derive(Debug)]
pub struct Decoded {
    /// What it asks for.
    pub message: Message,
    /// What in it is not as Okta documents it, and has been coped with.
    pub oddities: Vec<Oddity>,
}

/// What an operator should hear of, and nobody must be kept from a code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// The code was a JSON number, which loses zeros at its front.
    CodeAsNumber,
    /// The text of an SMS does not show the code.
    TextWithoutCode,
}

/// Decodes a request. Numbers without `+` are read as numbers of `default_country`, and refused without one.
///
/// # Errors
/// Every fault found; the first one only when the JSON itself cannot be read.
pub fn decode(body: &[u8], default_country: Option<Country>) -> Result<Decoded, Vec<Fault>> {
    // JSON is UTF-8 throughout (RFC 8259 §8.1), in what nobody reads too: bytes that two readers take for different
    // texts are refused as a whole.
    let text = std::str::from_utf8(body).map_err(|e| vec![no_text(e)])?;
    let body: Body = serde_json::from_str(text).map_err(|_| vec![unreadable(text)])?;
    let data = body.data.unwrap_or_default();
    let request = data.context.and_then(|c| c.request).unwrap_or_default();
    let profile = data.message_profile.unwrap_or_default();

    let mut faults = Faults(Vec::new());
    if body.event_type.as_deref() != Some(EVENT_TYPE) {
        faults.note("eventType", "must be com.okta.telephony.provider");
    }
    let channel = faults.keep(PROFILE_CHANNEL, channel(profile.delivery_channel.as_deref()));
    let recipient = faults.keep(PROFILE_NUMBER, recipient(profile.phone_number.as_ref(), default_country));
    let code = faults.keep(PROFILE_CODE, code(&profile));
    let expires = faults.keep(PROFILE_EXPIRES, expires(profile.otp_expires.as_deref()));
    let template = faults.keep(PROFILE_TEXT, template(profile.msg_template, channel));
    let (Some(channel), Some(recipient), Some(code), Some(expires), Some(template)) =
        (channel, recipient, code, expires, template)
    else {
        return Err(faults.0);
    };
    if !faults.0.is_empty() {
        return Err(faults.0);
    }

    let was_number = profile.otp_code.is_some_and(|digits| digits.was_number);
    let without_code = channel == Channel::Sms && template.as_deref().is_some_and(|text| !holds(text, &code));
    let oddities = [(was_number, Oddity::CodeAsNumber), (without_code, Oddity::TextWithoutCode)];
    let message = Message {
        event_id: body.event_id.as_deref().and_then(EventId::parse),
        source: body.source.as_deref().and_then(Source::parse),
        request_id: request.id.as_ref().and_then(|id| RequestId::parse(id.text()?)),
        channel,
        recipient,
        template: template.filter(|t| holds(t, &code)).map(Text::new),
        code,
        locale: profile.locale.as_ref().and_then(|locale| Locale::parse(locale.text()?)),
        request_type: body.request_type.as_deref().map_or(RequestType::ABSENT, RequestType::parse),
        asked: body.event_time.as_ref().and_then(|time| time.text()?.trim().parse().ok()),
        expires,
        user: data.user_profile.and_then(|u| u.user_id).as_deref().and_then(UserId::parse),
        client_ip: request.ip_address.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()),
        preview: is_preview(&request),
    };
    Ok(Decoded { message, oddities: oddities.into_iter().filter_map(|(is, oddity)| is.then_some(oddity)).collect() })
}

/// The id of a request of which other parts cannot be read.
pub fn request_id(body: &[u8]) -> Option<RequestId> {
    let body: Value = serde_json::from_slice(body).ok()?;
    RequestId::parse(body.pointer("/data/context/request/id")?.as_str()?)
}

const PROFILE_CHANNEL: &str = "data.messageProfile.deliveryChannel";
const PROFILE_NUMBER: &str = "data.messageProfile.phoneNumber";
const PROFILE_CODE: &str = "data.messageProfile.otpCode";
const PROFILE_EXPIRES: &str = "data.messageProfile.otpExpires";
const PROFILE_TEXT: &str = "data.messageProfile.msgTemplate";

struct Faults(Vec<Fault>);

impl Faults {
    fn note(&mut self, member: &str, rule: impl Into<Cow<'static, str>>) {
        self.0.push(Fault { member: member.to_owned(), rule: rule.into() });
    }

    fn keep<T>(&mut self, member: &str, found: Result<T, Cow<'static, str>>) -> Option<T> {
        found.map_err(|rule| self.note(member, rule)).ok()
    }
}

const REQUIRED: Cow<'static, str> = Cow::Borrowed("is required");

fn channel(word: Option<&str>) -> Result<Channel, Cow<'static, str>> {
    let word = word.map(str::trim).filter(|w| !w.is_empty()).ok_or(REQUIRED)?;
    // The reference says CALL, the guides VOICE CALL, the wild VOICE; never a default: a wrong guess rings a phone.
    match channel_called(word) {
        Some(channel) => Ok(channel),
        None if may_be_named(word) => Err(format!("must be SMS, CALL, VOICE or VOICE CALL, not {word}").into()),
        None => Err("must be SMS, CALL, VOICE or VOICE CALL".into()),
    }
}

/// The channel that Okta calls by this word, in any case and however its parts are joined.
pub fn channel_called(word: &str) -> Option<Channel> {
    let between = |c: char| c.is_whitespace() || matches!(c, '_' | '-');
    let word = word.to_ascii_lowercase();
    let parts: Vec<&str> = word.split(between).filter(|part| !part.is_empty()).collect();
    match *parts {
        ["sms"] => Some(Channel::Sms),
        ["call" | "voice" | "voicecall"] | ["voice", "call"] => Some(Channel::Voice),
        _ => None,
    }
}

/// Whether a word that Okta did not use before may be told: without digits it can be neither a code nor a number.
fn may_be_named(word: &str) -> bool {
    word.len() <= MAX_NAMED_BYTES && word.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b' ' | b'_' | b'-'))
}

fn recipient(number: Option<&Digits>, default_country: Option<Country>) -> Result<Phone, Cow<'static, str>> {
    let number = number.filter(|n| !n.text.trim().is_empty()).ok_or(REQUIRED)?;
    Phone::parse(&number.text, default_country).map_err(|fault| fault.to_string().into())
}

fn code(profile: &MessageProfile) -> Result<OtpCode, Cow<'static, str>> {
    let digits = profile.otp_code.as_ref().filter(|c| !c.text.trim().is_empty()).ok_or(REQUIRED)?;
    OtpCode::parse(&whole(digits, profile.msg_template.as_deref())).ok_or("must be 3 to 12 digits".into())
}

fn expires(text: Option<&str>) -> Result<Option<Timestamp>, Cow<'static, str>> {
    let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    let end = text.parse().ok().or_else(|| beyond_all_time(text));
    end.map(Some).ok_or("must be an RFC 3339 date and time".into())
}

/// The last moment there is, for a date beyond it: `9999-12-31T23:59:59Z` means never.
fn beyond_all_time(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    let is_whole = pieces.time().is_some() && pieces.offset().is_some();
    (is_whole && pieces.date().year() == LAST_YEAR).then_some(Timestamp::MAX)
}

/// The text of an SMS without control characters, which no handset shows and some gateways refuse; line feeds stay.
///
/// A call does not say it, so its length is no fault there.
fn template(text: Option<String>, channel: Option<Channel>) -> Result<Option<String>, Cow<'static, str>> {
    let Some(mut text) = text.filter(|t| !t.trim().is_empty()) else { return Ok(None) };
    text.retain(|c| !c.is_control() || c == '\n');
    match channel {
        _ if text.chars().count() <= Text::MAX_CHARS => Ok(Some(text)),
        Some(Channel::Voice) => Ok(None),
        Some(Channel::Sms) | None => Err("must have at most 1600 characters".into()),
    }
}

/// Okta's Preview button sends a canned body; its one mark is the path it was made by.
fn is_preview(request: &Request) -> bool {
    let path = request.url.as_ref().and_then(|u| u.value.as_deref());
    path.is_some_and(|p| p.split(['?', '#']).next().unwrap_or(p).trim_end_matches('/').ends_with("/generatePreview"))
}

fn no_text(e: std::str::Utf8Error) -> Fault {
    let rule = format!("must be one JSON object in UTF-8: unreadable at byte {}", e.valid_up_to() + 1);
    Fault { member: String::new(), rule: rule.into() }
}

/// Says why a body could not be read. Reads it a second time, with the path tracked, which the good case need not pay for.
fn unreadable(body: &str) -> Fault {
    let mut json = serde_json::Deserializer::from_str(body);
    let fault = match serde_path_to_error::deserialize::<_, Body>(&mut json) {
        Ok(_) => json.end().err().map(|e| (String::new(), e)),
        Err(e) => Some((e.path().to_string(), e.into_inner())),
    };
    match fault {
        Some((path, e)) if e.is_data() => {
            let message = e.to_string();
            // The path of a member that stands twice ends at its parent; the name in the message is one of ours.
            let twice = message.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next());
            let parts = [path.as_str(), twice.unwrap_or_default()].into_iter().filter(|p| !p.is_empty() && *p != ".");
            Fault { member: parts.collect::<Vec<_>>().join("."), rule: rule_of(&message) }
        }
        Some((_, e)) => Fault {
            member: String::new(),
            rule: format!("must be one JSON object: unreadable at line {}, column {}", e.line(), e.column()).into(),
        },
        None => Fault { member: String::new(), rule: "must be one JSON object".into() },
    }
}

/// Keeps of serde's message only what cannot quote the body: what was expected.
fn rule_of(message: &str) -> Cow<'static, str> {
    let message = message.rsplit_once(" at line ").map_or(message, |(m, _)| m);
    if message.starts_with("duplicate field") {
        return "must not appear twice".into();
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if expected.starts_with("struct") => "must be an object".into(),
        Some((_, expected)) => format!("must be {expected}").into(),
        None => "has the wrong form".into(),
    }
}
