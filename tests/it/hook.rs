//! The whole hook on a paused clock: what Okta may send, what it hears, and what was not sent.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use okta_telephony_hook::hook::Unread;
use okta_telephony_hook::otp::FailureKind;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::data;
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::stub::{Act, Stage};

const DURATIONS: &str = "okta_hook_duration_seconds_count";

fn error_causes(body: &[u8]) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let causes = body["error"]["errorCauses"].as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    causes.iter().map(|c| (text(&c["location"]), text(&c["errorSummary"]))).collect()
}

#[tokio::test(start_paused = true)]
async fn an_accepted_message_is_successful_with_the_providers_id() {
    for request in [okta::sms("+15005550010", "482913"), okta::voice("+15005550010", "482913")] {
        let stage = Stage::new("", &[("one", &[Act::Accept(300)])]);
        let reply = stage.call(&request).await;
        assert_eq!(reply.status, 200);
        let expected = Understood::Command("SUCCESSFUL".into(), Some("one".into()), Some("id-one".into()));
        assert_eq!(understand(&reply.body), expected);
        assert_eq!(stage.transcript(), ["0 one asked", "300 one accepts", "300 Okta hears 200"]);
        assert_eq!(stage.metric(DURATIONS), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_pending_inside_the_budget_and_its_late_outcome_is_counted() {
    let stage = Stage::new("", &[("one", &[Act::Accept(4000)])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("one".into()), None));
    assert_eq!(stage.transcript(), ["0 one asked", "2575 Okta hears 200"]);
    assert_eq!(stage.metric(r#"okta_hook_attempts_total{provider="one",channel="sms",kind="unconfirmed"}"#), 1.0);
    stage.tasks.close();
    stage.tasks.wait().await;
    assert_eq!(stage.transcript().last().map(String::as_str), Some("4000 one accepts"));
    assert_eq!(stage.metric(r#"okta_hook_late_attempts_total{provider="one",channel="sms",kind="accepted"}"#), 1.0);
    assert_eq!(stage.metric("okta_hook_late_outcomes_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_never_ends_is_given_up_after_ten_seconds() {
    let stage = Stage::new("", &[("one", &[Act::Hang])]);
    stage.call(&okta::sms("+15005550010", "482913")).await;
    let before = Instant::now();
    stage.tasks.close();
    stage.tasks.wait().await;
    assert_eq!(before.elapsed().as_millis(), 10_000 - 2575);
    assert_eq!(stage.metric(r#"okta_hook_late_attempts_total{provider="one",channel="sms",kind="unconfirmed"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_cancels_nothing() {
    let stage = Stage::new("", &[("one", &[Act::Accept(900)])]);
    let request = okta::sms("+15005550010", "482913");
    let gave_up = tokio::time::timeout(Duration::from_millis(100), stage.call(&request)).await;
    assert!(gave_up.is_err());
    stage.tasks.close();
    stage.tasks.wait().await;
    assert_eq!(stage.transcript(), ["0 one asked", "900 one accepts"]);
    let counted = r#"okta_hook_requests_total{org="main",channel="sms",verdict="accepted"}"#;
    assert_eq!(stage.metric(counted), 1.0);
}

#[tokio::test(start_paused = true)]
async fn every_failure_has_its_reply_and_each_reply_setting_its_effect() {
    use FailureKind::{Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};
    let status = |word: &str| Understood::Command(word.into(), Some("one".into()), None);
    let not_sent =
        || Understood::Error("We could not send your code. Please try again in a moment or use another method.".into());
    let refused = || {
        Understood::Error(
            "We cannot send a code to this phone number. Please use another number or another method.".into(),
        )
    };
    let cases = [
        ("", Account, 200, not_sent()),
        ("", Rejected, 200, not_sent()),
        ("", Throttled, 200, not_sent()),
        ("", Unavailable, 200, not_sent()),
        ("exhausted = 'failed'", Unavailable, 200, status("FAILED")),
        ("exhausted = 'http-503'", Unavailable, 503, not_sent()),
        ("exhausted = 'successful'", Unavailable, 200, status("SUCCESSFUL")),
        ("", Recipient, 200, refused()),
        ("refused = 'failed'", Recipient, 200, status("FAILED")),
        ("", Blocked, 200, status("SUCCESSFUL")),
        ("blocked = 'error'", Blocked, 200, not_sent()),
        ("blocked = 'failed'", Blocked, 200, status("FAILED")),
        ("", Unconfirmed, 200, status("PENDING")),
        ("unconfirmed = 'successful'", Unconfirmed, 200, status("SUCCESSFUL")),
        ("unconfirmed = 'error'", Unconfirmed, 200, not_sent()),
    ];
    for (setting, kind, http, expected) in cases {
        let stage = Stage::new(&format!("[orgs.main.reply]\n{setting}"), &[("one", &[Act::Fail(5, kind)])]);
        let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
        assert_eq!((reply.status, understand(&reply.body)), (http, expected), "{setting} {kind}");
    }
    let stage = Stage::new("[orgs.main.reply]\naccepted = 'pending'", &[("one", &[Act::Accept(5)])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(
        understand(&reply.body),
        Understood::Command("PENDING".into(), Some("one".into()), Some("id-one".into()))
    );
}

#[tokio::test(start_paused = true)]
async fn end_users_read_errors_in_their_own_language() {
    for (locale, start) in
        [("FR-ca", "Nous"), ("de_DE", "Ihr"), ("ja", "コード"), ("hu-HU", "We could"), ("", "We could")]
    {
        let stage = Stage::new("", &[("one", &[Act::Fail(5, FailureKind::Account)])]);
        let mut request = okta::sms("+15005550010", "482913");
        request["data"]["messageProfile"]["locale"] = locale.into();
        let reply = stage.call(&request).await;
        let Understood::Error(summary) = understand(&reply.body) else { panic!("{locale}: no error") };
        assert!(summary.starts_with(start), "{locale}: {summary}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_or_missing_credential_is_401_in_one_shape_and_the_body_stays_unread() {
    let stage = Stage::new("", &[("one", &[])]);
    let mut replies = Vec::new();
    for headers in [
        &[][..],
        &[("authorization", "")],
        &[("authorization", "Basic d3Jvbmc=")],
        &[("authorization", "Basic dGVzdC1jcmVkZW50aWFsOnZlcnktc2VjcmV")],
        &[("x-telephony-key", SECRET)],
        &[("authorization", SECRET), ("authorization", SECRET)],
    ] {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("value"));
        }
        let body = async { panic!("the body was asked for") };
        replies.push(
            stage
                .hook
                .call::<std::pin::Pin<Box<dyn Future<Output = Result<Bytes, Unread>> + Send>>>(
                    Instant::now(),
                    map,
                    Box::pin(body),
                )
                .await,
        );
    }
    assert!(replies.iter().all(|r| *r == replies[0]), "{replies:?}");
    assert_eq!(replies[0].status, 401);
    assert_eq!(stage.transcript(), [""; 0]);
    let counted = [r#"okta_hook_requests_total{org="main",channel="none",verdict="unauthorized"}"#, DURATIONS];
    assert_eq!(
        counted.map(|line| stage.metric(line)),
        [6.0, 0.0],
        "what costs nothing says nothing of how long Okta waits"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_400_with_member_and_rule_and_nothing_is_sent() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &[&str]); 17] = [
        ("no number", |b| drop(profile(b).remove("phoneNumber")), &["data.messageProfile.phoneNumber is required"]),
        (
            "null number",
            |b| drop(profile(b).insert("phoneNumber".into(), Value::Null)),
            &["data.messageProfile.phoneNumber is required"],
        ),
        (
            "empty number",
            |b| drop(profile(b).insert("phoneNumber".into(), "".into())),
            &["data.messageProfile.phoneNumber is required"],
        ),
        (
            "national number",
            |b| drop(profile(b).insert("phoneNumber".into(), "9876543210".into())),
            &[
                "data.messageProfile.phoneNumber must start with + and a country code (or set default_country to accept national numbers)",
            ],
        ),
        (
            "letters",
            |b| drop(profile(b).insert("phoneNumber".into(), "+1500555CODE".into())),
            &["data.messageProfile.phoneNumber must be an E.164 number: + and 7 to 15 digits"],
        ),
        (
            "number as object",
            |b| drop(profile(b).insert("phoneNumber".into(), json!({ "canary": "+15005550010" }))),
            &["data.messageProfile.phoneNumber must be a string or a whole number"],
        ),
        ("no code", |b| drop(profile(b).remove("otpCode")), &["data.messageProfile.otpCode is required"]),
        (
            "code of letters",
            |b| drop(profile(b).insert("otpCode".into(), "canary".into())),
            &["data.messageProfile.otpCode must be 3 to 12 digits"],
        ),
        (
            "code as list",
            |b| drop(profile(b).insert("otpCode".into(), json!(["482913"]))),
            &["data.messageProfile.otpCode must be a string or a whole number"],
        ),
        (
            "unknown channel",
            |b| drop(profile(b).insert("deliveryChannel".into(), "canary1".into())),
            &["data.messageProfile.deliveryChannel must be SMS, CALL, VOICE or VOICE CALL"],
        ),
        (
            "no channel",
            |b| drop(profile(b).remove("deliveryChannel")),
            &["data.messageProfile.deliveryChannel is required"],
        ),
        (
            "bad expiry",
            |b| drop(profile(b).insert("otpExpires".into(), "canary".into())),
            &["data.messageProfile.otpExpires must be an RFC 3339 date and time"],
        ),
        (
            "long text",
            |b| drop(profile(b).insert("msgTemplate".into(), "x".repeat(1601).into())),
            &["data.messageProfile.msgTemplate must have at most 1600 characters"],
        ),
        (
            "other hook",
            |b| b["eventType"] = "com.okta.oauth2.tokens.transform".into(),
            &["eventType must be com.okta.telephony.provider"],
        ),
        (
            "no event type",
            |b| drop(b.as_object_mut().expect("object").remove("eventType")),
            &["eventType must be com.okta.telephony.provider"],
        ),
        (
            "no data",
            |b| drop(b.as_object_mut().expect("object").remove("data")),
            &[
                "data.messageProfile.deliveryChannel is required",
                "data.messageProfile.phoneNumber is required",
                "data.messageProfile.otpCode is required",
            ],
        ),
        ("data as text", |b| b["data"] = "canary".into(), &["data must be an object"]),
    ];
    for (name, change, expected) in cases {
        let stage = Stage::new("", &[("one", &[])]);
        let mut request = okta::sms("+15005550010", "482913");
        change(&mut request);
        let reply = stage.call(&request).await;
        assert_eq!(reply.status, 400, "{name}");
        let causes: Vec<String> = error_causes(&reply.body).into_iter().map(|(_, summary)| summary).collect();
        assert_eq!(causes, expected, "{name}");
        let body = String::from_utf8(reply.body).expect("text");
        assert!(!["canary", "9876543210", "482913", "5005550010"].iter().any(|c| body.contains(c)), "{name}: {body}");
        assert_eq!(stage.transcript(), ["0 Okta hears 400"], "{name}: nothing may be sent");
    }
}

fn profile(body: &mut Value) -> &mut serde_json::Map<String, Value> {
    body["data"]["messageProfile"].as_object_mut().expect("object")
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_is_400_and_nothing_is_sent() {
    let twice = r#"{"eventType":"com.okta.telephony.provider","data":{"messageProfile":{"phoneNumber":"+15005550010","phoneNumber":"+15005550011"}}}"#;
    let deep = "{\"a\":".repeat(5000);
    // Nobody reads the name, and all the rest could be sent.
    let name = [&b"{\"\xeb\":0,"[..], &okta::sms("+15005550010", "482913").to_string().as_bytes()[1..]].concat();
    for (bytes, rule) in [
        (&b""[..], "body must be one JSON object: unreadable at line 1, column 0"),
        (b"canary", "body must be one JSON object: unreadable at line 1, column 1"),
        (b"{\"eventId\": \"canary", "body must be one JSON object: unreadable at line 1, column 19"),
        (&name, "body must be one JSON object in UTF-8: unreadable at byte 3"),
        (b"[]", "body must be an object"),
        (b"\"canary\"", "body must be an object"),
        (b"\xff\xfe", "body must be one JSON object in UTF-8: unreadable at byte 1"),
        (b"{} {}", "body must be one JSON object: unreadable at line 1, column 4"),
        (deep.as_bytes(), "body must be one JSON object: unreadable at line 1, column 25000"),
        (twice.as_bytes(), "data.messageProfile.phoneNumber must not appear twice"),
    ] {
        let stage = Stage::new("", &[("one", &[])]);
        let reply = stage.call_with(&[("authorization", SECRET)], bytes.to_vec()).await;
        assert_eq!(reply.status, 400);
        let causes: Vec<String> = error_causes(&reply.body).into_iter().map(|(_, summary)| summary).collect();
        assert_eq!(causes, [rule], "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        assert_eq!(stage.transcript(), ["0 Okta hears 400"]);
    }
}

#[tokio::test(start_paused = true)]
async fn every_spelling_that_okta_was_seen_to_use_is_understood() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 14] = [
        ("sms in lower case", |b| profile(b)["deliveryChannel"] = "sms".into()),
        ("CALL", |b| profile(b)["deliveryChannel"] = "CALL".into()),
        ("Voice", |b| profile(b)["deliveryChannel"] = "Voice".into()),
        ("VOICE_CALL", |b| profile(b)["deliveryChannel"] = "VOICE_CALL".into()),
        ("voice call", |b| profile(b)["deliveryChannel"] = "voice call".into()),
        ("no locale", |b| drop(profile(b).remove("locale"))),
        ("odd locale", |b| profile(b)["locale"] = "!!".into()),
        ("no expiry", |b| drop(profile(b).remove("otpExpires"))),
        ("no text", |b| drop(profile(b).remove("msgTemplate"))),
        ("no request type", |b| drop(b.as_object_mut().expect("object").remove("requestType"))),
        ("unknown request type", |b| b["requestType"] = "com.okta.user.telephony.something-new".into()),
        ("no event id, context, user", |b| {
            b.as_object_mut().expect("object").remove("eventId");
            b["data"].as_object_mut().expect("object").remove("context");
            b["data"]["userProfile"] = Value::Null;
        }),
        ("unknown members", |b| {
            b["new"] = json!({ "deep": [1, 2] });
            profile(b).insert("newer".into(), json!(true));
        }),
        ("number as number", |b| {
            profile(b)["phoneNumber"] = "+15005550010".into();
            profile(b)["otpCode"] = json!(482_913);
        }),
    ];
    for (name, change) in cases {
        let stage = Stage::new("", &[("one", &[Act::Accept(5)])]);
        let mut request = okta::sms("+15005550010", "482913");
        change(&mut request);
        let reply = stage.call(&request).await;
        let expected = Understood::Command("SUCCESSFUL".into(), Some("one".into()), Some("id-one".into()));
        assert_eq!((reply.status, understand(&reply.body)), (200, expected), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn oktas_published_examples_are_answered() {
    // The preview's number has no +, its code and number are JSON numbers, its dates are years old.
    let preview: Value = read("okta/preview-numbers-unquoted.json");
    let stage = Stage::new("default_country = 'IN'", &[("one", &[Act::Accept(5)])]);
    let reply = stage.call(&preview).await;
    assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));

    for file in ["okta/sms-mfa.json", "okta/voice-enrolment.json"] {
        let stage = Stage::new("", &[("one", &[Act::Accept(5)])]);
        let mut request = read(file);
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(300);
        request["data"]["messageProfile"]["otpExpires"] = expires.to_string().into();
        let reply = stage.call(&request).await;
        assert!(matches!(understand(&reply.body), Understood::Command(status, ..) if status == "SUCCESSFUL"), "{file}");
    }
}

fn read(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(file)).expect(file)).expect(file)
}

fn debug_context(body: &[u8]) -> Value {
    serde_json::from_slice::<Value>(body).expect("JSON")["debugContext"].take()
}

#[tokio::test(start_paused = true)]
async fn a_code_that_has_run_out_or_is_about_to_is_not_sent() {
    for (left, sent) in [(-3600, false), (0, false), (10, false), (60, true)] {
        let act = [Act::Accept(5)];
        let stage = Stage::new("", &[("one", if sent { &act[..] } else { &[] })]);
        let mut request = okta::sms("+15005550010", "482913");
        let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(left);
        request["data"]["messageProfile"]["otpExpires"] = expires.to_string().into();
        let reply = stage.call(&request).await;
        assert_eq!(reply.status, 200);
        if sent {
            assert!(matches!(understand(&reply.body), Understood::Command(..)), "{left}");
        } else {
            let expected = Understood::Error("This code has expired. Please request a new one.".into());
            assert_eq!(understand(&reply.body), expected, "{left}");
            assert_eq!(debug_context(&reply.body), json!({ "verdict": "expired", "attempts": [], "elapsedMs": 0 }));
            assert_eq!(stage.transcript(), ["0 Okta hears 200"], "{left}: nothing may be sent");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_leaves_okta_with_an_answer() {
    let stage = Stage::new("", &[("one", &[Act::Panic])]);
    let reply = stage.call(&okta::sms("+15005550010", "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("one".into()), None));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_ours_before_anything_was_sent_is_an_error_reply() {
    let stage = Stage::new("", &[("one", &[])]);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", SECRET.parse().expect("value"));
    let reply = stage.hook.call(Instant::now(), headers, async { panic!("scripted") }).await;
    assert!(matches!(understand(&reply.body), Understood::Error(_)));
    assert_eq!(debug_context(&reply.body), json!({ "verdict": "broken", "attempts": [], "elapsedMs": 0 }));
    assert_eq!((reply.status, stage.metric("okta_hook_panics_total")), (200, 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_late_is_408_and_nothing_is_sent() {
    let stage = Stage::new("", &[("one", &[])]);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", SECRET.parse().expect("value"));
    let started = Instant::now();
    let reply = stage.hook.call(started, headers, std::future::pending()).await;
    assert_eq!((reply.status, started.elapsed().as_millis()), (408, 2575));
    assert_eq!(stage.transcript(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_budget_counts_from_the_first_byte() {
    let stage = Stage::new("", &[("one", &[Act::Hang])]);
    let first_byte = Instant::now();
    tokio::time::advance(Duration::from_millis(1000)).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", SECRET.parse().expect("value"));
    let body = Bytes::from(okta::sms("+15005550010", "482913").to_string());
    stage.hook.call(first_byte, headers, async { Ok(body) }).await;
    assert_eq!(first_byte.elapsed().as_millis(), 2575);
}
