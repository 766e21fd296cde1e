//! What is read of Okta's requests where they are not as documented.

use okta_telephony_hook::okta::{Decoded, Fault, Oddity, decode};
use okta_telephony_hook::otp::{Content, Country};
use serde_json::{Value, json};

use crate::support::okta::{self, SECRET};
use crate::support::process::Place;
use crate::support::server::exchange;
use crate::support::stub::Stage;

const NUMBER: &str = "+15005550010";

fn with(mut request: Value, member: &str, value: Value) -> Value {
    request["data"]["messageProfile"][member] = value;
    request
}

fn read(request: &Value, country: &str) -> Result<Decoded, Vec<Fault>> {
    decode(request.to_string().as_bytes(), Country::parse(country))
}

#[tokio::test]
async fn a_code_that_came_as_a_number_is_told_whole_in_texts_and_calls() {
    let stage = Stage::new("text.webotp = 'login.example.com'", &[("one", &[])]);
    let said = |request: Value| {
        let decoded = read(&request, "").expect("readable");
        let content = match stage.hook.content(&decoded.message) {
            Content::Text(text) => text.expose().to_owned(),
            Content::Speech(speech) => speech.sentence.expose().to_owned(),
        };
        (content, decoded.oddities)
    };
    let text = "Your code is 048 291.";
    let sms = with(with(okta::sms(NUMBER, "x"), "otpCode", json!(48291)), "msgTemplate", text.into());
    let (content, oddities) = said(sms.clone());
    assert_eq!(content, "Your code is 048 291.\n\n@login.example.com #048291");
    assert_eq!(oddities, [Oddity::CodeAsNumber]);
    let (content, _) = said(with(sms.clone(), "deliveryChannel", "CALL".into()));
    assert!(content.contains("0, 4, 8, 2, 9, 1"), "{content}");
    let (content, oddities) = said(with(sms, "msgTemplate", "Your code is hidden.".into()));
    assert!(content.starts_with("Your verification code is 48291."), "{content}");
    assert_eq!(oddities, [Oddity::CodeAsNumber, Oddity::TextWithoutCode]);
    for usual in [okta::sms(NUMBER, "482913"), okta::voice(NUMBER, "482913")] {
        assert_eq!(said(usual).1, [], "nothing is odd");
    }
}

#[tokio::test]
async fn the_log_warns_of_what_is_odd_and_holds_neither_code_nor_number() {
    let place = Place::new()
        .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__PROVIDERS__BOX__KIND", "sandbox")
        .set("OKTA_HOOK__SERVER__LISTEN", "127.0.0.1:0")
        .set("OKTA_HOOK__ADMIN__LISTEN", "127.0.0.1:0");
    let server = place.serve(&["serve"]).await;
    let odd = with(with(okta::another_sms(), "otpCode", json!(482_913)), "msgTemplate", "Good morning.".into());
    for body in [odd.clone(), okta::another_sms()].map(|request| request.to_string()) {
        let request = format!(
            "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(exchange(server.public, request.as_bytes()).await.status, 200);
    }
    let log = server.stop().await.stderr;
    for told in ["otpCode is a JSON number", "msgTemplate does not hold the code"] {
        assert_eq!(log.matches(told).count(), 1, "{told}: {log}");
    }
    assert!(!log.contains("482913") && !log.contains("1500556") && !log.contains("Good morning"), "{log}");
}

#[test]
fn a_word_that_is_no_channel_is_named_unless_it_could_be_something_else() {
    let rule = "must be SMS, CALL, VOICE or VOICE CALL";
    for (word, named) in [
        ("WHATSAPP", true),
        (" Video-call ", true),
        ("rich text_message", true),
        ("482913", false),
        ("SMS2", false),
        ("+15005550010", false),
        ("a\nb", false),
        ("größer", false),
        ("a word of many letters", false),
    ] {
        let faults = read(&with(okta::sms(NUMBER, "482913"), "deliveryChannel", word.into()), "").expect_err(word);
        let expected = if named { format!("{rule}, not {}", word.trim()) } else { rule.to_owned() };
        assert_eq!(faults.iter().map(|fault| &*fault.rule).collect::<Vec<_>>(), [expected], "{word}");
    }
}
