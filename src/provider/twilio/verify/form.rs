//! The form of `POST …/Verifications`.
//!
//! Must not know how it is sent or answered. Source: twilio-oai `verify_v2`.

use form_urlencoded::Serializer;

use super::settings::Config;
use super::wording::Wording;
use crate::otp::{Channel, Message, SendError};
use crate::provider::account::person_ip;

/// Verify takes codes of these lengths.
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 4..=10;

/// Writes the form. Okta's text is not in it: Verify sends its own, and refuses a foreign one with 60243.
pub(super) fn form(
    config: &Config,
    message: &Message,
    channel: Channel,
    wording: Wording<'_>,
) -> Result<String, SendError> {
    let code = message.code.expose();
    if !CODE_LENGTH.contains(&code.len()) {
        return Err(SendError::unasked("code_length"));
    }
    let channel = match channel {
        Channel::Sms => "sms",
        Channel::Voice => "call",
    };
    let mut form = Serializer::new(String::with_capacity(256));
    form.append_pair("To", message.recipient.expose()).append_pair("Channel", channel).append_pair("CustomCode", code);
    let device_ip = person_ip(message).filter(|_| config.device_ip).map(|ip| ip.to_string());
    let optional = [
        ("Locale", wording.locale),
        ("CustomFriendlyName", config.custom_friendly_name.as_deref()),
        ("TemplateSid", wording.template),
        ("DeviceIp", device_ip.as_deref()),
        ("RiskCheck", config.risk_check.map(|switch| switch.as_str())),
        ("Tags", config.tags.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::Provider as _;
    use crate::provider::twilio::testing::*;
    use crate::provider::twilio::verify::Verify;
    use crate::provider::twilio::verify::tests::verify;

    /// The form of the request a message becomes; `None` when it becomes none.
    fn form_of(verify: &Verify, message: &Message) -> Option<String> {
        let request = verify.requests(message, options(&content(message.channel))).ok()?.pop()?;
        Some(String::from_utf8(request.body.to_vec()).expect("ASCII"))
    }

    #[test]
    fn requests_are_the_published_ones() {
        for (name, fixture) in fixtures("verify-201-") {
            let request = &fixture["request"];
            let field = |key: &str| {
                let pairs = request["form"].as_array().expect("a form");
                pairs.iter().find(|pair| pair[0] == key).and_then(|pair| pair[1].as_str())
            };
            let channel = if field("Channel") == Some("call") { Channel::Voice } else { Channel::Sms };
            let message = message(channel, field("CustomCode").expect("a code"), field("Locale"));
            let built = verify(json!({}))
                .requests(&message, options(&content(channel)))
                .expect(&name)
                .pop()
                .expect("a request");
            assert_eq!(request["url"], built.url.as_str(), "{name}");
            assert_eq!(request["raw_body"], std::str::from_utf8(&built.body).expect("ASCII"), "{name}");
            for (header, value) in request["headers"].as_object().expect("headers") {
                assert_eq!(*value, built.headers[header.as_str()].to_str().expect("ASCII"), "{name}");
            }
        }
    }

    #[test]
    fn optional_fields_follow_in_the_documented_order() {
        let mut message = message(Channel::Sms, CODE, Some("de-AT"));
        message.client_ip = Some("::ffff:203.0.113.9".parse().expect("an address"));
        let template_sid = "HJ00000000000000000000000000000005";
        let settings = json!({
            "tags": { "env": "test" }, "risk_check": "disable", "custom_friendly_name": " Acme ",
            "template_sid": template_sid,
        });
        let expected = "To=%2B15005550010&Channel=sms&CustomCode=482913&Locale=de&CustomFriendlyName=Acme\
                        &TemplateSid=HJ00000000000000000000000000000005&DeviceIp=203.0.113.9&RiskCheck=disable\
                        &Tags=%7B%22env%22%3A%22test%22%7D";
        assert_eq!(form_of(&verify(settings), &message).as_deref(), Some(expected));
        let without = "To=%2B15005550010&Channel=sms&CustomCode=482913&Locale=de";
        assert_eq!(form_of(&verify(json!({ "device_ip": false })), &message).as_deref(), Some(without));
        message.client_ip = Some("::ffff:127.0.0.1".parse().expect("an address"));
        assert_eq!(
            form_of(&verify(json!({})), &message).as_deref(),
            Some(without),
            "loopback says nothing about the user"
        );
    }
}
