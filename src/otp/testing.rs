//! A message for unit tests, which say what is special about theirs.
//!
//! Must not be compiled for anything else.

use super::{Channel, Message, OtpCode, Phone, RequestType};

impl Message {
    /// A text for tests, with nothing that it need not have.
    pub(crate) fn bare(number: &str, code: &str) -> Self {
        Self {
            event_id: None,
            source: None,
            request_id: None,
            channel: Channel::Sms,
            recipient: Phone::parse(number, None).expect("E.164"),
            code: OtpCode::parse(code).expect("digits"),
            template: None,
            locale: None,
            request_type: RequestType::ABSENT,
            asked: None,
            expires: None,
            user: None,
            client_ip: None,
            preview: false,
        }
    }
}
