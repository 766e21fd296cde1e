//! Each vendor's request and the reading of its answer, without the exchange between them.
//!
//! The settings are a plain account's; the answers are those recorded in `tests/data`.

use std::sync::LazyLock;

use bytes::Bytes;
use divan::Bencher;
use jiff::Timestamp;
use okta_telephony_hook::app::Hooks;
use okta_telephony_hook::otp::{Accepted, Channel, Message, ProviderName, SendError};
use okta_telephony_hook::outbound::{Answer, Request};
use okta_telephony_hook::provider::telesign::Product;
use okta_telephony_hook::provider::{SendOptions, eight_by_eight, telesign, twilio};

use crate::ground::{hook, hooks, message};

const ACCOUNTS: &str = r#"
privacy.hash_key = "a bench key"
[orgs.main.auth.header]
secret = "a secret of the org"
[providers.twilio]
kind = "twilio"
account_sid = "AC00000000000000000000000000000001"
auth_token = "0123456789abcdef0123456789abcdef"
sms = { from = "+15005550006" }
voice = { from = "+15005550006" }
[providers.verify]
kind = "twilio-verify"
account_sid = "AC00000000000000000000000000000001"
auth_token = "0123456789abcdef0123456789abcdef"
service_sid = "VA00000000000000000000000000000004"
[providers.omnichannel]
kind = "telesign"
customer_id = "11111111-2222-3333-4444-555555555555"
api_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
[providers.digest]
kind = "telesign"
auth = "digest"
customer_id = "11111111-2222-3333-4444-555555555555"
api_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
[providers.sms-voice]
kind = "telesign"
api = "sms-voice"
customer_id = "11111111-2222-3333-4444-555555555555"
api_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
[providers.eight]
kind = "8x8"
api_key = "fake-8x8-api-key"
subaccount_id = "acme_otp"
sms = {}
voice = { source = "+15005550001" }
"#;

static PROVIDERS: LazyLock<Hooks> = LazyLock::new(|| hooks(ACCOUNTS));

#[divan::bench]
fn twilio_messages_request(bencher: Bencher) {
    request(bencher, "twilio", Channel::Sms);
}

#[divan::bench]
fn twilio_messages_answer(bencher: Bencher) {
    answer(bencher, include_str!("../../tests/data/twilio/messages-201-from.json"), twilio::classify);
}

#[divan::bench]
fn twilio_calls_request(bencher: Bencher) {
    request(bencher, "twilio", Channel::Voice);
}

#[divan::bench]
fn twilio_calls_answer(bencher: Bencher) {
    answer(bencher, include_str!("../../tests/data/twilio/calls-201-twiml.json"), twilio::classify);
}

#[divan::bench]
fn twilio_verify_request(bencher: Bencher) {
    request(bencher, "verify", Channel::Sms);
}

#[divan::bench]
fn twilio_verify_answer(bencher: Bencher) {
    answer(bencher, include_str!("../../tests/data/twilio/verify-201-sms.json"), twilio::classify);
}

#[divan::bench]
fn telesign_messaging_request(bencher: Bencher) {
    request(bencher, "omnichannel", Channel::Sms);
}

/// The same, signed instead of carrying the key.
#[divan::bench]
fn telesign_messaging_request_digest(bencher: Bencher) {
    request(bencher, "digest", Channel::Sms);
}

#[divan::bench]
fn telesign_messaging_answer(bencher: Bencher) {
    let recorded = include_str!("../../tests/data/telesign/omnichannel-200-3001-sms-basic.json");
    answer(bencher, recorded, |answer| telesign::classify(Product::Omnichannel, answer));
}

#[divan::bench]
fn telesign_sms_voice_text_request(bencher: Bencher) {
    request(bencher, "sms-voice", Channel::Sms);
}

#[divan::bench]
fn telesign_sms_voice_text_answer(bencher: Bencher) {
    let recorded = include_str!("../../tests/data/telesign/messaging-201-290.json");
    answer(bencher, recorded, |answer| telesign::classify(Product::Messaging, answer));
}

#[divan::bench]
fn telesign_sms_voice_call_request(bencher: Bencher) {
    request(bencher, "sms-voice", Channel::Voice);
}

#[divan::bench]
fn telesign_sms_voice_call_answer(bencher: Bencher) {
    let recorded = include_str!("../../tests/data/telesign/voice-201-103.json");
    answer(bencher, recorded, |answer| telesign::classify(Product::Voice, answer));
}

#[divan::bench]
fn eight_by_eight_sms_request(bencher: Bencher) {
    request(bencher, "eight", Channel::Sms);
}

#[divan::bench]
fn eight_by_eight_sms_answer(bencher: Bencher) {
    answer(bencher, include_str!("../../tests/data/8x8/sms-200-queued.json"), eight_by_eight::classify_text);
}

#[divan::bench]
fn eight_by_eight_voice_request(bencher: Bencher) {
    request(bencher, "eight", Channel::Voice);
}

#[divan::bench]
fn eight_by_eight_voice_answer(bencher: Bencher) {
    answer(bencher, include_str!("../../tests/data/8x8/voice-200-created.json"), eight_by_eight::classify_call);
}

/// Builds the exact request that `send` would send.
fn request(bencher: Bencher, provider: &str, channel: Channel) {
    let provider = &PROVIDERS.providers[&ProviderName::new(provider)];
    let (hook, now) = (hook(), Timestamp::now());
    let message = || Message { channel, ..message() };
    bencher
        .with_inputs(|| {
            let message = message();
            (hook.content(&message), message)
        })
        .bench_local_refs(|(content, message)| -> Request {
            let requests = provider.requests(message, SendOptions { content, now });
            requests.expect("can be sent").pop().expect("a request")
        });
}

/// Reads the answer of a recorded case.
fn answer(bencher: Bencher, recorded: &str, classify: impl Fn(&Answer) -> Result<Accepted, SendError>) {
    let recorded: serde_json::Value = serde_json::from_str(recorded).expect("JSON");
    let response = &recorded["response"];
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    let body = Bytes::from(response["body"].to_string());
    let answer = Answer { status, body, retry_after: None, max_age: None, date: None };
    bencher.bench_local(|| classify(divan::black_box(&answer)).expect("accepted"));
}
