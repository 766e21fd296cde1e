//! `Message`: one one-time code to deliver, decoded and checked.
//!
//! Must not know where it came from or who will deliver it. Codes, texts and user ids mask their `Debug`
//! and have no `Display`, so that a leak has to be written on purpose (`expose`).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Phone, Source};

/// One code on its way to one person.
#[derive(Debug, Clone)]
pub struct Message {
    /// Okta's id of the request, when it sent one.
    pub event_id: Option<EventId>,
    /// The hook of Okta's that called, when it said so.
    pub source: Option<Source>,
    /// Okta's id of the web request behind it.
    pub request_id: Option<RequestId>,
    /// How the code is to travel.
    pub channel: Channel,
    /// The number it goes to.
    pub recipient: Phone,
    /// The code itself.
    pub code: OtpCode,
    /// The text Okta wrote, if it wrote one and the code is in it.
    pub template: Option<Text>,
    /// The language the person reads, when known.
    pub locale: Option<Locale>,
    /// Why Okta asks.
    pub request_type: RequestType,
    /// When Okta asked, by its own clock; unknown when it did not say so readably.
    pub asked: Option<Timestamp>,
    /// When the code stops working; unknown when Okta did not say.
    pub expires: Option<Timestamp>,
    /// Okta's id of the user.
    pub user: Option<UserId>,
    /// The address the user signs in from.
    pub client_ip: Option<IpAddr>,
    /// Sent by the Preview button of Okta's console, a canned body with stale dates; or by our own `preview`.
    pub preview: bool,
}

/// Further from `asked` than this no message comes: Okta waits three seconds for an answer, and nothing on the way holds
/// a request for half an hour. So it can only be a clock that is wrong, if `asked` and `expires` are of one.
const OTHER_CLOCK: SignedDuration = SignedDuration::from_mins(30);

/// No code that is so long past its end comes from Okta now.
const RECORDED: SignedDuration = SignedDuration::from_hours(24);

/// As long as Okta has a code live at most. Dates that are further apart are not of one clock.
const MAX_LIFE: Duration = Duration::from_secs(15 * 60);

impl Message {
    /// As long as Okta has a code live unless an administrator chose otherwise.
    pub const USUAL_LIFE: Duration = Duration::from_secs(5 * 60);

    /// A code that runs out sooner than this is not worth sending: it would reach nobody in time.
    pub const MIN_LIFE: Duration = Duration::from_secs(15);

    /// What is left of the code's life, never more than it had when Okta asked, and all of that when `now` is of another
    /// clock than Okta's; zero when it has run out. `None` when unknown, or in a preview with stale dates: those of
    /// Okta's own are canned, and one of ours may be sent again another day.
    pub fn life_left(&self, now: Timestamp) -> Option<Duration> {
        let expires = self.expires?;
        // Who does not say when it asked has recorded this long ago.
        if self.asked.is_none() && now.duration_since(expires) > RECORDED {
            return None;
        }
        let since = |from: Timestamp| Duration::try_from(expires.duration_since(from)).unwrap_or_default();
        // Okta gave it so long and no longer: a clock of ours that is behind would see more.
        let whole = self.asked.map(since).filter(|whole| !whole.is_zero());
        let is_other = |asked: Timestamp| now.duration_since(asked).abs() > OTHER_CLOCK;
        let left = match whole {
            Some(whole) if whole <= MAX_LIFE && self.asked.is_some_and(is_other) => {
                return (!self.preview).then_some(whole);
            }
            Some(whole) => since(now).min(whole),
            None => since(now),
        };
        (!self.preview || left >= Self::MIN_LIFE).then_some(left)
    }
}

/// SMS or voice: Okta knows no third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A text message.
    Sms,
    /// A phone call that reads the code out.
    Voice,
}

impl Channel {
    /// Every channel, in the order tables show them.
    pub const ALL: [Self; 2] = [Self::Sms, Self::Voice];

    /// The word used in settings, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The one-time code: 3 to 12 ASCII digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OtpCode(Box<str>);

impl OtpCode {
    /// Okta sends 4 to 8 digits; the bounds leave room without letting a document through.
    const LENGTH: std::ops::RangeInclusive<usize> = 3..=12;

    /// Parses a code, leading zeros kept; `None` unless it is 3 to 12 ASCII digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = Self::LENGTH.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(text.into()))
    }

    /// The digits. Only for what is handed to a provider.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits one by one, `4, 8, 2`: a voice reads `482` as a quantity otherwise.
    pub fn spoken(&self) -> String {
        let mut spoken = String::with_capacity(self.0.len() * 3);
        for (place, digit) in self.0.chars().enumerate() {
            if place > 0 {
                spoken.push_str(", ");
            }
            spoken.push(digit);
        }
        spoken
    }
}

impl fmt::Debug for OtpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpCode(…)")
    }
}

/// The text of a message, code included.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Twilio's and Telesign's limit for one text; Okta's templates are far shorter.
    pub const MAX_CHARS: usize = 1600;

    /// Wraps a text that holds the code.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. Only for what is handed to a provider.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} chars)", self.0.chars().count())
    }
}

/// What a message says, in the form its channel needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The whole text of an SMS.
    Text(Text),
    /// What a call says.
    Speech(Speech),
}

/// What a call says, and the language it is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// Language and region of the sentence, such as `en-US`: that of the sentence, not of the person.
    pub language: Locale,
    /// The sentence, digits separated.
    pub sentence: Text,
}

/// A language tag, normalised to `ll` or `ll-RR` (`EN_us` becomes `en-US`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locale(Box<str>);

impl Locale {
    /// Parses Okta's spellings: any case, hyphen or underscore. `None` when it is no language tag.
    pub fn parse(tag: &str) -> Option<Self> {
        let mut parts = tag.trim().split(['-', '_']);
        let language = parts.next().filter(|l| (2..=3).contains(&l.len()))?;
        if !language.bytes().all(|b| b.is_ascii_alphabetic()) {
            return None;
        }
        let mut normal = language.to_ascii_lowercase();
        for part in parts {
            if part.is_empty() || part.len() > 8 || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return None;
            }
            normal.push('-');
            match part.len() {
                2 => normal.push_str(&part.to_ascii_uppercase()),
                4 => {
                    normal.push_str(&part[..1].to_ascii_uppercase());
                    normal.push_str(&part[1..].to_ascii_lowercase());
                }
                _ => normal.push_str(&part.to_ascii_lowercase()),
            }
        }
        (normal.len() <= 35).then(|| Self(normal.into()))
    }

    /// The whole tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language alone: `fr` of `fr-CA`.
    pub fn language(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why Okta asks: the last part of its `requestType`, such as `mfa-verification`. An unknown value is carried through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestType(Option<Box<str>>);

impl RequestType {
    /// Okta left it out, as in its own published example.
    pub const ABSENT: Self = Self(None);

    /// Keeps the part after the last dot, in lower case; characters that no log or page should see are dropped.
    pub fn parse(text: &str) -> Self {
        let last = text.rsplit('.').next().unwrap_or_default();
        let name: String = last
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .take(64)
            .collect::<String>()
            .to_ascii_lowercase();
        Self((!name.is_empty()).then(|| name.into()))
    }

    /// Whether the person signs in with the code, as far as is known.
    pub fn is_sign_in(&self) -> bool {
        self.as_str() == "mfa-verification"
    }

    /// The word used in routes and logs; `unknown` when Okta did not say.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("unknown")
    }
}

/// Okta's `eventId`: identifies one request. Chosen by the caller, so it is escaped and cut wherever it is shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventId(Box<str>);

impl EventId {
    /// Wraps a non-empty id.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The id exactly as Okta sent it, for comparing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    /// At most 64 characters, and only those an id consists of: what is logged must not carry line feeds or colours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(64) {
            fmt::Write::write_char(f, if c.is_ascii_alphanumeric() || "-_.:".contains(c) { c } else { '?' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

/// Okta's id of the web request that a call was made for. The System Log names the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Wraps a non-empty id.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The id exactly as Okta sent it, for comparing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Okta's id of a user. Personal data: masked in `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Box<str>);

impl UserId {
    /// Wraps a non-empty id.
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The id, for comparing, for keyed hashes and for asking Okta.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

#[cfg(test)]
mod tests;
