//! Drives every path and searches all that the process printed for what must never be there.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::okta::{self, SECRET};
use crate::support::process::Place;
use crate::support::redis::RedisServer;
use crate::support::server::exchange;
use crate::support::vendor::{Answer, VendorServer};

const CODE: &str = "739164";
const NUMBER: &str = "5005557391";
const TOKEN: &str = "twilio-token-canary";
const STATE_PASSWORD: &str = "state-password-canary";
const HASH_KEY: &str = "hash-key-canary-0123456789";

/// What must not appear, in every form it could take.
fn canaries() -> Vec<String> {
    use base64::Engine as _;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let mut forms = Vec::new();
    let secrets = [CODE, NUMBER, TOKEN, SECRET, STATE_PASSWORD, HASH_KEY];
    for plain in secrets.into_iter().chain(["Canaria", "Birdsong", "birdsong@example.com", "00uyxxSknGtK8022w0g3"]) {
        forms.extend([plain.to_owned(), base64(plain), hex(plain), plain.chars().rev().collect()]);
    }
    forms.push("7, 3, 9, 1, 6, 4".to_owned());
    forms.push("7 3 9 1 6 4".to_owned());
    forms.push("203.0.113.7".to_owned());
    forms
}

#[tokio::test]
async fn nothing_personal_or_secret_is_ever_printed_or_stored() {
    let number = format!("+1{NUMBER}");
    let echo = |status: u16, code: i64| {
        let text = format!("The number {number} cannot get {CODE}");
        Answer::json(status, json!({ "code": code, "message": text, "body": text, "to": number }))
    };
    let mut script = vec![
        Answer::json(201, json!({ "sid": "SM1", "status": "queued", "to": number, "body": CODE })),
        Answer::json(201, json!({ "sid": "CA1", "status": "queued", "to": number })),
        echo(400, 21211),
        echo(400, 21610),
        echo(401, 20003),
        echo(429, 20429),
        echo(500, 20500),
        echo(503, 20503),
        echo(201, 0),
        echo(400, 15_005_557_391),
        echo(400, 739_164),
        Answer::json(201, json!({ "sid": format!("d1-{number}"), "status": "queued" })),
        Answer::json(201, json!({ "sid": format!("SM-{CODE}"), "status": "queued" })),
        Answer::Http(302, vec![("location".into(), format!("http://127.0.0.1:9/{CODE}"))], String::new()),
        Answer::Bytes(format!("HTTP/1.1 {CODE}\r\n{number}\r\n\r\n").into_bytes()),
        Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{number}").into_bytes()),
        Answer::Close,
        Answer::Reset,
        Answer::Hang,
    ];
    let sends = script.len();
    script.push(Answer::json(201, json!({ "sid": "CA2", "status": "queued", "to": number })));
    script.push(Answer::json(201, json!({ "sid": "SM2", "status": "queued", "to": number })));
    let vendor = VendorServer::start(script).await;
    let mut redis = RedisServer::with(&["--requirepass", STATE_PASSWORD]);
    let place = Place::new()
        .set("OKTA_HOOK__LOG__LEVEL", "trace")
        .set("RUST_LOG", "trace")
        .set("OKTA_HOOK__STATE__URL", &redis.url().replace("//", &format!("//:{STATE_PASSWORD}@")))
        .set("OKTA_HOOK__STATE__TIMEOUT", "300ms")
        .set("OKTA_HOOK__PRIVACY__HASH_KEY", HASH_KEY)
        .set("OKTA_HOOK__ORGS__MAIN__BUDGET", "1200ms")
        // So that its lines are looked at too.
        .set("OKTA_HOOK__ORGS__MAIN__GUARD__MODE", "observe")
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__PROVIDERS__TWILIO__KIND", "twilio")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__ACCOUNT_SID", "AC00000000000000000000000000000001")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN", TOKEN)
        .set("OKTA_HOOK__PROVIDERS__TWILIO__BASE_URL", &vendor.url)
        .set("OKTA_HOOK__PROVIDERS__TWILIO__SMS__FROM", "+15005550006")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__VOICE__FROM", "+15005550006");
    let server = place.serve(&["serve"]).await;
    let mut answers = String::new();
    let mut requests: Vec<Value> = (0..sends).map(|_| okta::sms(&number, CODE)).collect();
    requests[1] = okta::voice(&number, CODE);
    for (place, request) in requests.iter_mut().enumerate() {
        // The same code to the same person for the same reason would be a repeat.
        request["requestType"] = format!("com.okta.user.telephony.reason-{place}").into();
    }
    // A repeat, and an event that comes again with another content.
    requests.push(requests[0].clone());
    requests.push(requests[0].clone());
    requests[sends + 1]["data"]["messageProfile"]["deliveryChannel"] = "CALL".into();
    let mut bad: Vec<Vec<u8>> = Vec::new();
    for (member, value) in [
        ("phoneNumber", json!(NUMBER)),
        ("otpCode", json!("x739164x")),
        ("deliveryChannel", json!(number)),
        ("otpExpires", json!(CODE)),
    ] {
        let mut request = okta::sms(&number, CODE);
        request["data"]["messageProfile"][member] = value;
        bad.push(request.to_string().into_bytes());
    }
    let mut expired = okta::sms(&number, CODE);
    expired["data"]["messageProfile"]["otpExpires"] = "2020-01-01T00:00:00Z".into();
    bad.push(expired.to_string().into_bytes());
    bad.push(format!("{{\"{NUMBER}\": \"{CODE}").into_bytes());
    for body in requests.iter().map(|r| r.to_string().into_bytes()).chain(bad) {
        for credential in [SECRET, &SECRET[1..]] {
            let mut request = format!("POST /okta/telephony?{CODE} HTTP/1.1\r\nhost: {NUMBER}\r\nauthorization: {credential}\r\nx-request-id: {CODE}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
            request.extend(&body);
            let answer = exchange(server.public, &request).await;
            answers.push_str(&answer.head);
            answers.push_str(&String::from_utf8_lossy(&answer.body));
        }
    }
    let kinds = ["event:", "fingerprint:", "journal-to:", "journal-user:", "journal-transaction:", "journal-number:"];
    let mut stored = String::new();
    eventually("every kind of key stands there", async || {
        stored = redis.everything();
        kinds.iter().all(|kind| stored.contains(kind))
    })
    .await;
    redis.kill();
    let mut last = okta::sms(&number, CODE);
    last["requestType"] = "com.okta.user.telephony.last".into();
    let body = last.to_string();
    let request = format!(
        "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    answers.push_str(&String::from_utf8_lossy(&exchange(server.public, request.as_bytes()).await.body));
    exchange(
        server.public,
        format!("GET /{NUMBER}/{CODE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    let metrics =
        exchange(server.admin, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let learned =
        exchange(server.admin, b"GET /learned HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(learned.status == 200 && learned.body.len() > 100, "{learned:?}");
    answers.push_str(&String::from_utf8_lossy(&learned.body));
    let page = exchange(server.admin, b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let page = String::from_utf8_lossy(&page.body);
    assert!(page.matches("<tr").count() > 20 && page.contains("unauthorized"), "{page}");
    answers.push_str(&page);
    let printed = server.stop().await;
    assert_eq!(vendor.finish().len(), sends + 2);
    assert!(printed.stderr.contains("the state store failed") && printed.stderr.contains("came again with another"));
    assert!(printed.stderr.contains("\"verdict\":\"accepted\"") && printed.stderr.contains("phone_ref"));
    let (out, err, metrics) = (printed.stdout, printed.stderr, String::from_utf8_lossy(&metrics.body));
    let everything = format!("{out}\n{err}\n{answers}\n{metrics}\n{stored}");
    for canary in canaries() {
        let lines: Vec<&str> =
            everything.lines().filter(|l| l.to_lowercase().contains(&canary.to_lowercase())).collect();
        assert!(lines.is_empty(), "{canary}: {lines:#?}");
    }
}
