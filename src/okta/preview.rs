//! Writes an Okta request, as Okta's Preview button would: for `preview` and for the `curl` line of the sandbox.
//!
//! Must not know where it is sent.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::otp::Channel;

/// How long Okta lets a code live.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// What every `requestType` of Okta's begins with.
const FAMILY: &str = "com.okta.user.telephony.";

/// What an administrator chose for the request; the rest is canned.
#[derive(Debug, Clone)]
pub struct Preview {
    /// `data.messageProfile.phoneNumber`.
    pub to: String,
    /// `data.messageProfile.deliveryChannel`.
    pub channel: Channel,
    /// `data.messageProfile.locale`.
    pub locale: String,
    /// `requestType`, or its last word.
    pub request_type: String,
    /// `data.messageProfile.otpCode`.
    pub otp: String,
    /// `eventId`: a repeat of one is answered, not sent again. Also the id of the web request behind it.
    pub event_id: String,
    /// `eventTime`; the code ends five minutes later.
    pub at: Timestamp,
}

impl Preview {
    /// The request body, with the mark of a preview, so that stale dates do no harm when it is sent another day.
    pub fn body(&self) -> Value {
        let channel = match self.channel {
            Channel::Sms => "SMS",
            Channel::Voice => "VOICE CALL",
        };
        let family = if self.request_type.contains('.') { "" } else { FAMILY };
        json!({
            "eventId": self.event_id,
            "eventTime": self.at.to_string(),
            "eventType": "com.okta.telephony.provider",
            "eventTypeVersion": "1.0",
            "contentType": "application/json",
            "cloudEventVersion": "0.1",
            "source": "https://okta-telephony-hook.invalid/preview",
            "requestType": format!("{family}{}", self.request_type),
            "data": {
                "context": { "request": {
                    "id": self.event_id,
                    "method": "POST",
                    "url": { "value": "/okta-telephony-hook/generatePreview" },
                    "ipAddress": "127.0.0.1",
                } },
                "userProfile": { "login": "preview@example.com", "userId": "00upreview" },
                "messageProfile": {
                    "msgTemplate": format!("Your verification code is {}.", self.otp),
                    "phoneNumber": self.to,
                    "otpExpires": (self.at + CODE_LIFE).to_string(),
                    "deliveryChannel": channel,
                    "otpCode": self.otp,
                    "locale": self.locale,
                },
            },
        })
    }
}
