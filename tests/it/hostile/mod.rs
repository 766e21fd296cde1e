//! Requests that no client of good will sends. Nearly all carry the right credential and a good message: whatever
//! slips through is sent, and the metric of attempts shows it.

mod contents;
mod framing;
mod heads;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::okta::{self, SECRET};
use crate::support::server::TestServer;

const SANDBOX: &str = "
allow_sandbox = true
[server]
header_timeout = '400ms'
body_timeout = '400ms'
idle_timeout = '400ms'
[orgs.main]
[providers.sandbox]
kind = 'sandbox'
delay = '5ms'
";

/// Closed without an answer.
const CLOSED: u16 = 0;

/// One request with what it gets.
struct Case {
    what: String,
    bytes: Vec<u8>,
    expected: u16,
}

fn case(what: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: u16) -> Case {
    Case { what: what.into(), bytes: bytes.into(), expected }
}

fn message() -> String {
    okta::another_sms().to_string()
}

/// A good request but for its head: `line`, then Host and credential, then `headers`, each with its line end.
fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line}\r\nHost: x\r\nAuthorization: {SECRET}\r\nConnection: close\r\n{headers}\r\n{body}")
}

const HOOK: &str = "POST /okta/telephony HTTP/1.1";

/// A good message under these headers, with the length that is right for it.
fn with(headers: &str) -> String {
    let body = message();
    request(HOOK, &format!("{headers}Content-Length: {}\r\n", body.len()), &body)
}

fn chunked(chunks: &str) -> String {
    request(HOOK, "Transfer-Encoding: chunked\r\n", chunks)
}

fn in_one_chunk() -> String {
    let body = message();
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Sends, and reads to the end of the connection: the status of the one answer there may be.
async fn play(server: &TestServer, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let end = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "still open");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "more than one answer: {answer}");
    assert!(!answer.to_ascii_lowercase().contains("\r\nserver:"), "{answer}");
    answer.get(9..12).map_or(CLOSED, |status| status.parse().expect("status"))
}

/// Plays every case against one server, and fails with all that went otherwise.
async fn all(cases: Vec<Case>, at_least: usize) {
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let server = TestServer::start(SANDBOX).await;
    let mut wrong = Vec::new();
    for case in &cases {
        let status = play(&server, &case.bytes).await;
        if status != case.expected {
            wrong.push(format!("{}: {status}, not {}", case.what, case.expected));
        }
    }
    let sent = server.attempts().await;
    assert!(wrong.is_empty() && sent.is_empty(), "{}\n{sent:?}", wrong.join("\n"));
    // It still serves, and what is played above is a good request but for what is wrong with it.
    assert_eq!(play(&server, with("").as_bytes()).await, 200);
    assert_eq!(play(&server, chunked(&in_one_chunk()).as_bytes()).await, 200);
    assert_eq!(
        server.metric(r#"okta_hook_attempts_total{provider="sandbox",channel="sms",kind="accepted"}"#).await,
        2.0
    );
    assert_eq!(server.metric("okta_hook_panics_total").await, 0.0);
}
