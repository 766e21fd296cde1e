//! What is read of Okta's requests where they are not as documented.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use okta_telephony_hook::deadline::Clock;
use okta_telephony_hook::okta::{Decoded, Fault, Oddity, decode};
use okta_telephony_hook::otp::{Channel, Content, Country};
use serde_json::{Value, json};

use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::process::Place;
use crate::support::server::exchange;
use crate::support::stub::{Act, Stage};

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
        assert_eq!(said(with(usual.clone(), "locale", json!(7))), said(usual.clone()), "in no language we know");
        assert_eq!(said(usual).1, [], "nothing is odd");
    }
}

#[test]
fn a_text_keeps_its_lines_and_loses_what_no_handset_shows() {
    let sms = with(okta::sms(NUMBER, "482913"), "msgTemplate", "Your\u{7} code\r\nis\t482913\u{85}.".into());
    let template = read(&sms, "").expect("readable").message.template.expect("a text");
    assert_eq!(template.expose(), "Your code\nis482913.");
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
    let mut late = okta::another_sms();
    late["eventTime"] = (Timestamp::now() - SignedDuration::from_secs(45)).to_string().into();
    let odd = with(with(okta::another_sms(), "otpCode", json!(482_913)), "msgTemplate", "Good morning.".into());
    for body in [odd, okta::another_sms(), late.clone(), late].map(|request| request.to_string()) {
        let request = format!(
            "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(exchange(server.public, request.as_bytes()).await.status, 200);
    }
    let log = server.stop().await.stderr;
    for told in ["otpCode is a JSON number", "msgTemplate does not hold the code", "clock and Okta's differ"] {
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

const SKEW: &str = "okta_hook_clock_skew_seconds{org=\"main\"}";

fn hour() -> SignedDuration {
    SignedDuration::from_hours(1)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_is_told_of_and_lengthens_no_codes_life() {
    let stage = Stage::with_clock("", &[("one", &[Act::Accept(5)])], Clock::new(|| Timestamp::now() - hour()));
    let request = okta::sms(NUMBER, "482913");
    assert!(matches!(understand(&stage.call(&request).await.body), Understood::Command(..)));
    assert_eq!((stage.metric(SKEW) / 10.0).round(), -360.0);
    let message = read(&request, "").expect("readable").message;
    for minutes in [60, 31, 29, 1] {
        let now = Timestamp::now() - SignedDuration::from_mins(minutes);
        assert_eq!(message.life_left(now).map(|life| life.as_secs()), Some(300), "{minutes}");
    }
    for (asked, life) in [(json!(5), 3900), (json!("yesterday"), 3900)] {
        let mut request = request.clone();
        request["eventTime"] = asked.clone();
        let message = read(&request, "").expect("readable").message;
        let left = message.life_left(Timestamp::now() - hour()).expect("known").as_secs();
        assert!((life - 10..=life).contains(&left), "{asked} costs nobody a code: {left}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_far_ahead_is_told_of_and_costs_nobody_a_code() {
    let stage = Stage::with_clock("", &[("one", &[Act::Accept(5)])], Clock::new(|| Timestamp::now() + hour()));
    let request = okta::sms(NUMBER, "482913");
    let reply = stage.call(&request).await;
    assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    assert_eq!((stage.metric(SKEW) / 10.0).round(), 360.0);
    let message = read(&request, "").expect("readable").message;
    assert_eq!(message.life_left(Timestamp::now() + hour()).map(|life| life.as_secs()), Some(300));
    let stage = Stage::new("", &[("one", &[Act::Accept(5)])]);
    let file = std::fs::read(crate::support::data("okta/sms-mfa.json")).expect("readable");
    let reply = stage.call(&serde_json::from_slice(&file).expect("JSON")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(..)), "months old, and its own dates agree");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_ended_by_oktas_clock_or_lately_by_ours_is_not_sent() {
    for (asked, expires) in
        [(0, -300), (0, 10), (-600, -300), (-7200, -7190), (-30_000_000, -1), (-30_000_000, 10), (-1860, -60)]
    {
        let stage = Stage::new("", &[("one", &[])]);
        let at = |seconds| json!((Timestamp::now() + SignedDuration::from_secs(seconds)).to_string());
        let mut request = with(okta::sms(NUMBER, "482913"), "otpExpires", at(expires));
        request["eventTime"] = at(asked);
        let reply = stage.call(&request).await;
        let expected = Understood::Error("This code has expired. Please request a new one.".into());
        assert_eq!(understand(&reply.body), expected, "{asked} {expires}");
        assert_eq!(stage.transcript(), ["0 Okta hears 200"], "{asked} {expires}: nothing may be sent");
        assert_eq!(stage.metric(r#"okta_hook_requests_total{org="main",channel="sms",verdict="expired"}"#), 1.0);
    }
}

#[test]
fn an_event_time_that_is_of_another_clock_than_the_end_does_not_count() {
    for asked in [360, 1200, 7200, -30_000_000] {
        let at = |seconds| json!((Timestamp::now() + SignedDuration::from_secs(seconds)).to_string());
        let mut request = with(okta::sms(NUMBER, "482913"), "otpExpires", at(300));
        request["eventTime"] = at(asked);
        let left = read(&request, "").expect("readable").message.life_left(Timestamp::now()).expect("known").as_secs();
        assert!((290..=300).contains(&left), "{asked}: {left}");
    }
}

#[test]
fn an_end_long_past_in_a_request_that_does_not_say_when_it_was_made_does_not_count() {
    for (seconds, known) in [(-30_000_000, false), (-90_000, false), (-80_000, true), (-60, true)] {
        let end = (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string();
        for asked in [None, Some(Value::Null)] {
            let mut request = with(okta::sms(NUMBER, "482913"), "otpExpires", json!(end));
            match asked {
                Some(asked) => request["eventTime"] = asked,
                None => drop(request.as_object_mut().expect("an object").remove("eventTime")),
            }
            let left = read(&request, "").expect("readable").message.life_left(Timestamp::now());
            assert_eq!(left, known.then_some(Duration::ZERO), "{seconds}");
        }
    }
}

#[test]
fn a_preview_has_the_life_its_dates_give_it_while_they_are_fresh_and_never_expires() {
    let dated = |asked: i64, expires: i64| {
        let at = |seconds| json!((Timestamp::now() + SignedDuration::from_secs(seconds)).to_string());
        let mut request = with(okta::sms(NUMBER, "482913"), "otpExpires", at(expires));
        request["eventTime"] = at(asked);
        request["data"]["context"]["request"]["url"]["value"] = "/x/generatePreview".into();
        read(&request, "").expect("readable").message.life_left(Timestamp::now()).map(|life| life.as_secs())
    };
    assert!(dated(0, 300).is_some_and(|left| (295..=300).contains(&left)));
    for (asked, expires) in [(-290, 10), (-400, -100), (-86_400, -86_100), (86_400, 86_700), (0, -300)] {
        assert_eq!(dated(asked, expires), None, "{asked} {expires}");
    }
}

#[test]
fn a_date_beyond_the_last_moment_there_is_means_that_moment() {
    let expires = |text: &str| {
        let decoded = read(&with(okta::sms(NUMBER, "482913"), "otpExpires", text.into()), "");
        decoded.map(|decoded| decoded.message.expires)
    };
    for text in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999+02:00", "9999-12-30T22:00:01Z"] {
        assert_eq!(expires(text), Ok(Some(Timestamp::MAX)), "{text}");
    }
    assert_eq!(expires("9999-12-01T00:00:00Z"), Ok("9999-12-01T00:00:00Z".parse().ok()));
    for text in ["9999-12-31T23:59:59", "9999-12-31", "9999-13-31T23:59:59Z", "9999-12-31T25:59:59Z", "never"] {
        assert!(expires(text).is_err(), "{text}");
    }
}

#[test]
fn the_parts_of_a_channels_name_may_be_joined_by_anything() {
    for word in ["Voice  call", "voice _-call", "VOICE_CALL", "voice\tcall", " VoiceCall ", "call"] {
        let request = with(okta::sms(NUMBER, "482913"), "deliveryChannel", word.into());
        let channel = read(&request, "").map(|decoded| decoded.message.channel);
        assert_eq!(channel, Ok(Channel::Voice), "{word:?}");
    }
    for word in ["s ms", "call voice", "voice call call", "_"] {
        assert!(read(&with(okta::sms(NUMBER, "482913"), "deliveryChannel", word.into()), "").is_err(), "{word:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_and_previews_tell_nothing_of_a_clock() {
    let stage = Stage::new("", &[("one", &[Act::Accept(5); 2])]);
    let mut request = okta::sms(NUMBER, "482913");
    stage.call(&request).await;
    request["eventTime"] = "2020-01-17T21:23:56.000Z".into();
    stage.call(&request).await;
    let mut preview = okta::for_a_stranger(request);
    preview["eventId"] = "a preview".into();
    preview["data"]["context"]["request"]["url"]["value"] = "/api/internal/v1/x/generatePreview".into();
    stage.call(&preview).await;
    assert!(stage.unused().is_empty());
    assert_eq!((stage.metric(SKEW) / 10.0).round(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_too_long_costs_an_sms_and_no_call() {
    let long = |channel: &str| {
        let text = format!("482913 {}", "x".repeat(1600)).into();
        with(with(okta::sms(NUMBER, "482913"), "msgTemplate", text), "deliveryChannel", channel.into())
    };
    let stage = Stage::new("", &[("one", &[Act::Accept(5)])]);
    assert_eq!(stage.call(&long("SMS")).await.status, 400);
    assert_eq!(stage.unused().len(), 1, "nothing may be sent");
    let reply = stage.call(&long("CALL")).await;
    assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
}
