//! Tests.

use crate::otp::{Channel, Message, OtpCode, Phone, RequestType, UserId};

pub(super) fn message(number: &str) -> Message {
    Message {
        event_id: None,
        source: None,
        channel: Channel::Sms,
        recipient: Phone::parse(number, None).expect("E.164"),
        code: OtpCode::parse("482913").expect("digits"),
        template: None,
        locale: None,
        request_type: RequestType::ABSENT,
        expires: None,
        user: UserId::parse("00u1"),
        client_ip: "203.0.113.7".parse().ok(),
        preview: false,
    }
}
