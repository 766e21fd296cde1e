//! The fault matrix: what Okta hears, what the phone gets, what the operator sees. Ring 3: real sockets, generous bounds.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::eventually;
use crate::support::okta::{self, Understood, understand};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

pub fn taken() -> Answer {
    Answer::json(201, json!({ "sid": SID, "status": "queued" }))
}

fn coded(status: u16, code: i64) -> Answer {
    Answer::json(status, json!({ "code": code, "message": "…", "status": status }))
}

/// Two Twilio accounts, `a` before `b`.
pub fn two(a: &str, b: &str) -> String {
    let account = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\nauth_token = 'x'\n\
             base_url = '{url}'\nsms = {{ from = '+15005550006' }}\nvoice = {{ from = '+15005550006' }}\n"
        )
    };
    format!(
        "[orgs.main]\nbudget = '2000ms'\nattempt_timeout = '600ms'\nmin_attempt = '300ms'\n{}{}",
        account("a", a),
        account("b", b)
    )
}

/// What one case leads to.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// What Okta hears: the status word with the provider, or `error`.
    okta: String,
    /// Sends that reached `a` and `b`.
    asked: (usize, usize),
    /// Kinds counted for `a`.
    operator: Vec<String>,
}

async fn play(a: Vec<Answer>, b: Vec<Answer>, a_url: Option<&str>, voice: bool) -> Seen {
    let (vendor_a, vendor_b) = (VendorServer::start(a).await, VendorServer::start(b).await);
    let server = TestServer::start(&two(a_url.unwrap_or(&vendor_a.url), &vendor_b.url)).await;
    let make = if voice { okta::voice } else { okta::sms };
    let answer = server.hook(&make("+15005550010", "482913")).await;
    assert_eq!(answer.status, 200);
    let okta = match understand(&answer.body) {
        Understood::Command(status, provider, _) => format!("{status} {}", provider.unwrap_or_default()),
        Understood::Error(_) => "error".to_owned(),
    };
    let kind = |l: &String| l.split("kind=\"").nth(1).and_then(|k| k.split('"').next()).map(str::to_owned);
    let attempts = server.attempts().await;
    let operator = attempts.iter().filter(|l| l.contains("provider=\"a\"")).filter_map(kind).collect();
    Seen { okta, asked: (vendor_a.finish().len(), vendor_b.finish().len()), operator }
}

#[track_caller]
fn expect(row: &str, seen: &Seen, okta: &str, asked: (usize, usize), operator: &str) {
    let expected = Seen { okta: okta.to_owned(), asked, operator: vec![operator.to_owned()] };
    assert_eq!(*seen, expected, "row {row}");
}

#[tokio::test]
async fn rows_1_to_5_and_9_what_never_reached_a_goes_to_b() {
    let seen = play(vec![taken()], vec![], None, false).await;
    expect("1", &seen, "SUCCESSFUL a", (1, 0), "accepted");
    let seen = play(vec![], vec![taken()], Some("http://no-such-host.invalid"), false).await;
    expect("2", &seen, "SUCCESSFUL b", (0, 1), "unavailable");
    let seen = play(vec![], vec![taken()], Some("http://127.0.0.1:9"), false).await;
    expect("3", &seen, "SUCCESSFUL b", (0, 1), "unavailable");
    let seen = play(vec![], vec![taken()], Some("https://127.0.0.1:9"), true).await;
    expect("3, by call", &seen, "SUCCESSFUL b", (0, 1), "unavailable");
}

#[tokio::test]
async fn row_2_a_name_that_leads_nowhere_is_told_apart_from_a_refused_connection() {
    for (url, expected) in [
        ("http://no-such-host.invalid", "a unavailable: dns "),
        ("https://no-such-host.invalid", "a unavailable: dns "),
        ("http://127.0.0.1:9", "a unavailable: connect "),
        ("https://127.0.0.1:9", "a unavailable: connect "),
    ] {
        let server = TestServer::start(&two(url, url)).await;
        let answer = server.hook(&okta::another_sms()).await;
        let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let first = told["debugContext"]["attempts"][0].as_str().expect("attempt");
        assert!(first.starts_with(expected), "{url}: {first}");
    }
}

#[tokio::test]
async fn row_4_a_address_that_swallows_connections_costs_the_connect_timeout() {
    // A listener whose queue is full answers no further SYN.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let socket = socket2::SockRef::from(&listener);
    socket.listen(0).expect("listen");
    let filler: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(3))
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let seen = play(vec![], vec![taken()], Some(&format!("http://{address}")), false).await;
    expect("4", &seen, "SUCCESSFUL b", (0, 1), "unavailable");
    drop(listener);
    for thread in filler {
        let _ = thread.join();
    }
}

#[tokio::test]
async fn row_5_a_certificate_nobody_vouches_for_is_never_accepted() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let chain = vec![certified.cert.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("config");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://localhost:{}", listener.local_addr().expect("address").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let seen = play(vec![], vec![taken()], Some(&url), false).await;
    expect("5", &seen, "SUCCESSFUL b", (0, 1), "unavailable");
    let server = TestServer::start(&two(&url, &url)).await;
    let answer = server.hook(&okta::sms("+15005550010", "482913")).await;
    let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let first = told["debugContext"]["attempts"][0].as_str().expect("attempt");
    assert!(first.starts_with("a unavailable: tls "), "told apart from a refused connection: {first}");
    assert_eq!(server.metric(r#"okta_hook_provider_security_total{provider="a",reason="tls"}"#).await, 1.0);
}

/// An `https` address at which everybody is told these bytes, whatever they say; then the connection is closed, or reset.
async fn told_to_a_handshake(bytes: &'static [u8], reset: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://localhost:{}", listener.local_addr().expect("address").port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 16 * 1024];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(bytes).await;
            if reset {
                socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
            } else {
                // What we have to say of it is not answered with a reset.
                let _ = stream.shutdown().await;
                while stream.read(&mut hello).await.is_ok_and(|read| read > 0) {}
            }
        }
    });
    url
}

#[tokio::test]
async fn row_5_a_handshake_that_fails_is_suspicious_and_a_connection_that_is_lost_is_not() {
    let old = b"\x16\x03\x02\0\x2a\x02\0\0\x26\x03\x0200000000000000000000000000000000\0\0\x2f\0";
    let cases: [(&str, &'static [u8], bool, bool); 8] = [
        ("plain HTTP", b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", false, true),
        ("something else", b"220 mail.example.com ESMTP\r\n", false, true),
        ("alert: handshake failure", b"\x15\x03\x01\0\x02\x02\x28", false, true),
        ("alert: protocol version", b"\x15\x03\x03\0\x02\x02\x46", false, true),
        ("TLS 1.1", old, false, true),
        ("closed", b"", false, false),
        ("closed in the middle", b"\x16\x03\x03\0\x7a\x02", false, false),
        ("reset", b"", true, false),
    ];
    let mut seen = Vec::new();
    for (case, bytes, reset, suspicious) in cases {
        let url = told_to_a_handshake(bytes, reset).await;
        let server = TestServer::start(&two(&url, &url)).await;
        let answer = server.hook(&okta::another_sms()).await;
        let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let first = told["debugContext"]["attempts"][0].as_str().expect("attempt").to_owned();
        let count = server.metric(r#"okta_hook_provider_security_total{provider="a",reason="tls"}"#).await;
        let expected = if suspicious { ("a unavailable: tls ", 1.0) } else { ("a unavailable: connect ", 0.0) };
        if !first.starts_with(expected.0) || count != expected.1 {
            seen.push((case, first, count));
        }
    }
    assert!(seen.is_empty(), "{seen:#?}");
}

#[tokio::test]
async fn row_15_a_redirect_is_counted_for_whoever_minds_security_and_an_outage_is_not() {
    let elsewhere = Answer::Http(307, vec![("location".into(), "http://127.0.0.1:9/".into())], String::new());
    for (answer, count) in [(elsewhere, 1.0), (coded(500, 20500), 0.0)] {
        let (a, b) = (VendorServer::start([answer]).await, VendorServer::start([taken()]).await);
        let server = TestServer::start(&two(&a.url, &b.url)).await;
        server.hook(&okta::another_sms()).await;
        assert_eq!(server.metric(r#"okta_hook_provider_security_total{provider="a",reason="redirect"}"#).await, count);
        assert_eq!((a.finish().len(), b.finish().len()), (1, 1));
    }
}

#[tokio::test]
async fn rows_6_8_11_14_15_16_what_may_have_been_sent_goes_on_for_texts_and_stops_for_calls() {
    let html = Answer::Http(201, vec![("content-type".into(), "text/html".into())], "<html>".into());
    let endless = Answer::Bytes(
        format!("HTTP/1.1 201 Created\r\ncontent-length: 2000000\r\n\r\n{}", "x".repeat(100_000)).into_bytes(),
    );
    let elsewhere = Answer::Http(307, vec![("location".into(), "http://127.0.0.1:9/".into())], String::new());
    let cases = [
        ("6", Answer::Hang),
        ("8", Answer::Reset),
        ("8, closed", Answer::Close),
        ("11", coded(500, 20500)),
        ("11, no body", Answer::Http(502, vec![], "<html>".into())),
        ("11, 504", Answer::Http(504, vec![], String::new())),
        ("14", html),
        ("14, cut off", Answer::Bytes(b"HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{\"sid\":".to_vec())),
        ("14, no id", Answer::json(201, json!({ "status": "queued" }))),
        ("15", elsewhere),
        ("16", endless),
    ];
    for (row, fault) in cases {
        let seen = play(vec![fault.clone()], vec![taken()], None, false).await;
        expect(row, &seen, "SUCCESSFUL b", (1, 1), "unconfirmed");
        let seen = play(vec![fault], vec![], None, true).await;
        expect(row, &seen, "PENDING a", (1, 0), "unconfirmed");
    }
}

#[tokio::test]
async fn row_7_an_acceptance_after_the_failover_is_counted_as_late() {
    let (a, b) = (
        VendorServer::start([Answer::Late(
            std::time::Duration::from_millis(1500),
            201,
            json!({ "sid": SID }).to_string(),
        )])
        .await,
        VendorServer::start([taken()]).await,
    );
    let server = TestServer::start(&two(&a.url, &b.url)).await;
    let answer = server.hook(&okta::sms("+15005550010", "482913")).await;
    assert!(matches!(understand(&answer.body), Understood::Command(_, Some(p), _) if p == "b"));
    let line = r#"okta_hook_late_attempts_total{provider="a",channel="sms",kind="accepted"}"#;
    eventually("the late outcome is counted", async || server.metric(line).await >= 1.0).await;
    assert_eq!((a.finish().len(), b.finish().len()), (1, 1));
}

#[tokio::test]
async fn rows_12_and_13_overload_and_refused_accounts_go_on_at_once() {
    for (row, fault, kind) in [
        ("12", coded(429, 20429), "throttled"),
        ("12, no body", Answer::Http(429, vec![("retry-after".into(), "1".into())], String::new()), "throttled"),
        ("12, 503", coded(503, 20503), "unavailable"),
        ("13", coded(401, 20003), "account"),
        ("13, 403", Answer::Http(403, vec![], String::new()), "account"),
    ] {
        for voice in [false, true] {
            let seen = play(vec![fault.clone()], vec![taken()], None, voice).await;
            expect(row, &seen, "SUCCESSFUL b", (1, 1), kind);
        }
    }
}

#[tokio::test]
async fn row_18_an_opt_out_is_counted_by_itself() {
    let (a, b) = (VendorServer::start([coded(400, 21211), coded(400, 21610)]).await, VendorServer::start([]).await);
    let server = TestServer::start(&two(&a.url, &b.url)).await;
    let line = "okta_hook_opt_outs_total{provider=\"a\",channel=\"sms\"}";
    for counted in [0.0, 1.0] {
        assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
        assert_eq!(server.metric(line).await, counted);
    }
    server.stop().await;
    assert_eq!((a.finish().len(), b.finish().len()), (2, 0), "nobody else is asked");
}

#[tokio::test]
async fn rows_17_to_19_what_every_provider_would_refuse_stops() {
    for (row, code, voice, okta, kind) in [
        ("17", 21211, false, "error", "recipient"),
        ("17, landline", 21614, false, "error", "recipient"),
        ("17, call", 21217, true, "error", "recipient"),
        ("18", 21610, false, "error", "recipient"),
        ("19", 60410, false, "SUCCESSFUL a", "blocked"),
        ("19, call", 21216, true, "SUCCESSFUL a", "blocked"),
    ] {
        let seen = play(vec![coded(400, code)], vec![], None, voice).await;
        expect(row, &seen, okta, (1, 0), kind);
    }
}

#[tokio::test]
async fn rows_20_to_22_when_nobody_takes_it_okta_hears_what_is_known() {
    let seen = play(vec![coded(401, 20003)], vec![coded(503, 20503)], None, false).await;
    expect("20", &seen, "error", (1, 1), "account");
    let seen = play(vec![Answer::Hang], vec![Answer::Hang], None, false).await;
    expect("21", &seen, "PENDING b", (1, 1), "unconfirmed");
    let seen = play(vec![Answer::Close], vec![coded(401, 20003)], None, false).await;
    expect("22", &seen, "PENDING a", (1, 1), "unconfirmed");
}

#[tokio::test]
async fn row_13_a_refused_account_is_not_asked_again() {
    let (a, b) =
        (VendorServer::start([coded(401, 20003)]).await, VendorServer::start([taken(), taken(), taken()]).await);
    let server = TestServer::start(&two(&a.url, &b.url)).await;
    for code in ["482911", "482912", "482913"] {
        let answer = server.hook(&okta::sms("+15005550010", code)).await;
        assert!(matches!(understand(&answer.body), Understood::Command(_, Some(p), _) if p == "b"));
    }
    assert_eq!((a.finish().len(), b.finish().len()), (1, 3));
    assert_eq!(server.metric(r#"okta_hook_breaker_state{provider="a",channel="sms"}"#).await, 2.0);
}

#[tokio::test]
async fn row_4_after_five_failures_the_next_goes_straight_to_b() {
    let b = VendorServer::start((0..7).map(|_| taken())).await;
    let server = TestServer::start(&two("http://127.0.0.1:9", &b.url)).await;
    for n in 0..7 {
        server.hook(&okta::sms("+15005550010", &format!("48291{n}"))).await;
    }
    assert_eq!(b.finish().len(), 7);
    let line = r#"okta_hook_attempts_total{provider="a",channel="sms",kind="unavailable"}"#;
    assert_eq!(server.metric(line).await, 5.0);
}

#[tokio::test]
async fn row_25_a_slow_provider_is_waited_for() {
    let slow = Answer::Late(std::time::Duration::from_millis(450), 201, json!({ "sid": SID }).to_string());
    let seen = play(vec![slow], vec![], None, false).await;
    expect("25", &seen, "SUCCESSFUL a", (1, 0), "accepted");
}

#[tokio::test]
async fn row_9_a_connection_that_a_closed_at_rest_costs_nothing() {
    // One answer a connection, closed right after it: the pooled connection is dead when the next hook takes it.
    let closing = |sid: &str| {
        let body = json!({ "sid": sid, "status": "queued" }).to_string();
        Answer::Bytes(format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let a = VendorServer::start((0..20).map(|n| closing(&format!("SM{n}")))).await;
    let b = VendorServer::start([]).await;
    let server = TestServer::start(&two(&a.url, &b.url)).await;
    for n in 0..20 {
        let answer = server.hook(&okta::for_a_stranger(okta::voice("+15005550010", &format!("4829{n:02}")))).await;
        assert!(
            matches!(understand(&answer.body), Understood::Command(s, Some(p), Some(_)) if s == "SUCCESSFUL" && p == "a")
        );
    }
    assert_eq!((a.finish().len(), b.finish().len()), (20, 0));
}
