//! Okta's request exactly as it stands on the wire, and nothing else of it than what we use.
//!
//! Must not judge: every member is optional here, `decode` says what is missing. Names of people are not read at all.
//! Must not be shown either: codes, numbers and texts stand here in clear, so nothing here has a `Debug`.
//! Source: `TelephonyInlineHookRequest` of Okta's management API.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, Visitor};

/// The whole body.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    pub event_id: Option<String>,
    pub event_type: Option<String>,
    pub event_time: Option<Loose>,
    pub source: Option<String>,
    pub request_type: Option<String>,
    pub data: Option<Data>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Data {
    pub context: Option<Context>,
    pub user_profile: Option<UserProfile>,
    pub message_profile: Option<MessageProfile>,
}

#[derive(Default, serde::Deserialize)]
pub(super) struct Context {
    pub request: Option<Request>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub id: Option<Loose>,
    pub url: Option<Url>,
    pub ip_address: Option<String>,
}

/// A text that nothing depends on: in another form it is as if it were not there.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(super) enum Loose {
    Text(String),
    Other(IgnoredAny),
}

impl Loose {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(IgnoredAny) => None,
        }
    }
}

#[derive(Default, serde::Deserialize)]
pub(super) struct Url {
    pub value: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserProfile {
    pub user_id: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageProfile {
    pub msg_template: Option<String>,
    pub phone_number: Option<Digits>,
    pub otp_expires: Option<String>,
    pub delivery_channel: Option<String>,
    pub otp_code: Option<Digits>,
    pub locale: Option<Loose>,
}

/// Digits that Okta writes as a text, and its own published example as a number.
pub(super) struct Digits {
    pub text: String,
    /// Written as a JSON number: leading zeros are gone.
    pub was_number: bool,
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl Visitor<'_> for Form {
            type Value = Digits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digits, E> {
                Ok(Digits { text: text.to_owned(), was_number: false })
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Digits, E> {
                Ok(Digits { text: number.to_string(), was_number: true })
            }
        }
        deserializer.deserialize_any(Form)
    }
}
