//! What fuzzing begins with, in the form each target takes it: recorded bodies, and a few lines of our own where none is
//! recorded.
//!
//! Must not judge what comes of a seed.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::answer::{OPERATIONS, STATUSES};

fn below(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<_> = fs::read_dir(directory).expect("there").map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    paths
}

fn recorded(vendor: &str) -> Vec<Value> {
    let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON");
    below(&format!("tests/data/{vendor}")).into_iter().map(read).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn hooks() -> Vec<Vec<u8>> {
    let paths = below("tests/data/okta").into_iter();
    paths
        .filter(|path| !path.ends_with("event-hook-mfa-batch.json"))
        .map(|path| fs::read(path).expect("readable"))
        .collect()
}

pub fn event_hooks() -> Vec<Vec<u8>> {
    let failed = json!({ "eventId": "e", "data": { "events": [{
        "eventType": "inline_hook.executed", "published": "2026-01-05T10:00:00.000Z", "outcome": { "result": "FAILURE" },
        "transaction": { "id": "t" }, "debugContext": { "debugData": { "requestId": "r" } },
    }] } });
    let batch = below("tests/data/okta").into_iter().find(|path| path.ends_with("event-hook-mfa-batch.json"));
    vec![fs::read(batch.expect("recorded")).expect("readable"), failed.to_string().into_bytes()]
}

pub fn tokens() -> Vec<Vec<u8>> {
    let header = json!({ "kid": "first", "alg": "RS256" }).to_string();
    let claims = json!({
        "iss": "@issuer", "aud": "api://default", "exp": 4_102_444_900_u64, "nbf": 4_102_444_700_u64,
        "cid": "0oa1hookclient", "scp": ["telephony.send"],
    });
    let mut spelled = claims.clone();
    (spelled["scope"], spelled["aud"]) = ("openid telephony.send".into(), json!(["api://default"]));
    let odd = json!({ "kid": "first", "alg": "none", "typ": "at+jwt", "jku": "https://x", "crit": ["exp"] });
    let jwk = json!({ "keys": [{
        "kty": "RSA", "kid": "first", "use": "sig", "alg": "RS256", "e": "AQAB", "n": format!("w{}w", "7".repeat(340)),
    }] });
    let basic = "Basic b2t0YTphLWxvbmctcGFzc3dvcmQtMDEyMzQ1Njc4OQ==";
    let token = "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImZpcnN0In0.e30.AAAA";
    [
        (0, basic.to_owned()),
        (0, token.to_owned()),
        (1, format!("{header}\n{claims}")),
        (1, format!("{header}\n{spelled}")),
        (1, format!("{odd}\n{claims}")),
        (2, format!("{header}\n{claims}")),
        (3, jwk.to_string()),
    ]
    .map(|(mode, rest)| [&[mode], rest.as_bytes()].concat())
    .to_vec()
}

pub fn heads() -> Vec<Vec<u8>> {
    [
        "POST /okta/telephony HTTP/1.1\r\nHost: otp.example.com\r\nContent-Length: 4\r\n\r\n{}\r\n",
        "POST /hook HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "\r\nGET /livez HTTP/1.0\r\n\r\n",
        "GET /?a=b HTTP/1.1\r\nHost:\r\nAccept: */*\r\nX: a:b\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST /hook HTTP/1.1\r\nhost: x:1\r\ncontent-length:\t0 \r\n\r\n",
        "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /hook HTTP/1.1\r\nHost: x\r\nX: a\n folded\r\nContent-Length : 1\r\n\r\n",
    ]
    .map(|head| head.as_bytes().to_vec())
    .to_vec()
}

pub fn answers() -> Vec<Vec<u8>> {
    let cases = ["twilio", "telesign", "8x8"].map(|vendor| (vendor, recorded(vendor)));
    let cases = cases.into_iter().flat_map(|(vendor, cases)| cases.into_iter().map(move |case| (vendor, case)));
    cases.filter_map(|(vendor, case)| answer(vendor, &case)).collect()
}

/// `None` for what is no answer, and for what no operation reads.
fn answer(vendor: &str, case: &Value) -> Option<Vec<u8>> {
    let product = match (vendor, text(&case["product"])) {
        ("telesign", "voice") => "voice-telesign",
        (_, product) => product,
    };
    let operation = OPERATIONS.iter().position(|(products, _)| products.split(' ').any(|one| one == product))?;
    let status = case["response"]["status"].as_u64()?;
    let status = STATUSES.iter().position(|known| u64::from(*known) == status)?;
    let body =
        case["response"]["raw_body"].as_str().map_or_else(|| case["response"]["body"].to_string(), str::to_owned);
    Some([&[u8::try_from(operation).ok()?, u8::try_from(status).ok()?], body.as_bytes()].concat())
}

pub fn reports() -> Vec<Vec<u8>> {
    let vendors = [(0_u8, "twilio"), (1, "telesign"), (2, "8x8")];
    let cases =
        vendors.into_iter().flat_map(|(vendor, name)| recorded(name).into_iter().map(move |case| (vendor, case)));
    cases.filter(|(_, case)| case["product"] == "callback").flat_map(|(vendor, case)| report(vendor, &case)).collect()
}

/// Signed by the target, and as it came but for its own proof.
fn report(vendor: u8, case: &Value) -> [Vec<u8>; 2] {
    let request = &case["inbound_request"];
    let query = if vendor == 0 { text(&request["url"]).split_once('?').map_or("", |(_, query)| query) } else { "" };
    let (kind, body) = (text(&request["headers"]["Content-Type"]), text(&request["raw_body"]));
    let rest = format!("{query}\n{kind}\nTSA 1:AAAA\nAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n{body}");
    // Of the upper half the first that is a multiple of three is 129.
    [vendor, vendor + 129].map(|first| [&[first], rest.as_bytes()].concat())
}

pub fn configurations() -> Vec<Vec<u8>> {
    let least = "[orgs.main.auth.header]\nsecret = { env = 'S' }\n\
                 [providers.twilio]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
                 auth_token = 'a-t0ken-in-clear-0123456789'\nsms = { from = '+15005550006' }\n";
    let more = "[state]\nurl = 'redis://:pa55word-of-the-store@127.0.0.1:6379'\n\
                [outbound]\nproxy = 'http://user:pa55word-of-the-proxy@proxy:3128'\n\
                [privacy]\nhash_key = 'a-key-in-clear-0123456789-abcdefghij'\n";
    let broken =
        "[orgs.main.auth]\nbasic = { username = 'okta', password = 'pa55word-in-clear' }\n[server]\nlisten = 5\n";
    let shipped = ["config/default.toml", "config/example.toml"];
    let shipped = shipped.map(|path| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("readable"));
    let own = [least.to_owned(), format!("{least}{more}"), broken.to_owned()].map(String::into_bytes);
    shipped.into_iter().chain(own).collect()
}

pub fn phones() -> Vec<Vec<u8>> {
    [
        "+15005550006",
        "+1 (500) 555-0006",
        "07400 123456",
        "919876543210",
        "0114415551234",
        "00441",
        "+882161234567",
        "0049 151/12345678",
        "8 701 123 45 67",
        "+1415555267a",
    ]
    .map(|number| number.as_bytes().to_vec())
    .to_vec()
}

pub fn texts() -> Vec<Vec<u8>> {
    let texts = [
        "Your code is {code}. It is good for {minutes} minutes.",
        "<b>{code}</b> & \"{code}\" ]]> &amp; <!--",
        "{code}",
        "Ваш код {code} 🔑\nÜbrigens",
        "{codes}",
        "{code}\u{fffe}",
    ];
    let each = |text: &str| [0_u8, 1, 5].map(|first| [&[first], text.as_bytes()].concat());
    texts.into_iter().flat_map(each).collect()
}
