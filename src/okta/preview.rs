//! Writes an Okta request, as Okta's Preview button would: for `preview` and for the `curl` line of the sandbox.
//!
//! Must not know where it is sent.

use serde_json::{Value, json};

use crate::otp::Channel;

/// What an administrator chose for the request; the rest is canned.
#[derive(Debug, Clone)]
pub struct Preview {
    /// `data.messageProfile.phoneNumber`.
    pub to: String,
    /// `data.messageProfile.deliveryChannel`.
    pub channel: Channel,
    /// `data.messageProfile.locale`.
    pub locale: String,
    /// Last word of `requestType`.
    pub request_type: String,
    /// `data.messageProfile.otpCode`.
    pub otp: String,
    /// `eventId`: a repeat of one is answered, not sent again.
    pub event_id: String,
}

impl Preview {
    /// The request body, with the mark of a preview, so that stale dates do no harm.
    pub fn body(&self) -> Value {
        let channel = match self.channel {
            Channel::Sms => "SMS",
            Channel::Voice => "VOICE CALL",
        };
        json!({
            "eventId": self.event_id,
            "eventType": "com.okta.telephony.provider",
            "eventTypeVersion": "1.0",
            "contentType": "application/json",
            "cloudEventVersion": "0.1",
            "requestType": format!("com.okta.user.telephony.{}", self.request_type),
            "data": {
                "context": { "request": { "url": { "value": "/okta-telephony-hook/generatePreview" }, "ipAddress": "127.0.0.1" } },
                "userProfile": { "login": "preview@example.com", "userId": "00upreview" },
                "messageProfile": {
                    "msgTemplate": format!("Your verification code is {}.", self.otp),
                    "phoneNumber": self.to,
                    "deliveryChannel": channel,
                    "otpCode": self.otp,
                    "locale": self.locale,
                },
            },
        })
    }
}
