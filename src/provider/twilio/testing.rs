//! What the tests of this folder share: the fixtures, a message, and a vendor on the loopback that answers by script.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::otp::{Channel, Content, FailureKind, Locale, Message, Speech, Text};
use crate::outbound::{Answer, Outbound};
use crate::provider::SendOptions;
use crate::secret::{Pseudonyms, Secret};

pub(super) const NUMBER: &str = "+15005550010";
pub(super) const CODE: &str = "482913";
pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(super) const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// The fixtures whose names begin so, by name.
pub(super) fn fixtures(prefix: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/twilio");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder of fixtures") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            let fixture = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("JSON");
            found.insert(name, fixture);
        }
    }
    assert!(!found.is_empty(), "no fixture begins with {prefix}");
    found
}

/// A fixture's `response` as it reaches the classifiers.
pub(super) fn answer(response: &Value) -> Answer {
    let status = response["status"].as_u64().and_then(|s| s.try_into().ok()).expect("a status");
    let body = response["raw_body"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
    Answer { status, body: body.into(), retry_after: None, max_age: None, date: None }
}

/// The kinds that do justice to a fixture's `expect`.
pub(super) fn kinds(expect: &Value) -> &'static [FailureKind] {
    use FailureKind::{Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};
    match (expect["class"].as_str(), expect["next_provider"].as_bool()) {
        (Some("bad-credentials"), Some(true)) => &[Account],
        (Some("bad-number"), Some(false)) => &[Recipient],
        (Some("bad-number"), Some(true)) => &[Rejected],
        (Some("blocked/opt-out"), Some(false)) => &[Blocked, Recipient],
        (Some("rate-limited"), Some(true)) => &[Throttled],
        (Some("config-error"), Some(true)) => &[Account, Rejected],
        (Some("provider-outage"), Some(true)) => &[Unavailable, Unconfirmed],
        other => panic!("{other:?}"),
    }
}

pub(super) fn message(channel: Channel, code: &str, locale: Option<&str>) -> Message {
    Message {
        channel,
        locale: locale.map(|l| Locale::parse(l).expect("a language tag")),
        ..Message::bare(NUMBER, code)
    }
}

pub(super) fn content(channel: Channel) -> Content {
    let text = Text::new(format!("Your code is {CODE}."));
    match channel {
        Channel::Sms => Content::Text(text),
        Channel::Voice => {
            Content::Speech(Speech { language: Locale::parse("en-US").expect("a language tag"), sentence: text })
        }
    }
}

pub(super) fn options(content: &Content) -> SendOptions<'_> {
    SendOptions { content, now: Timestamp::UNIX_EPOCH }
}

pub(super) fn outbound() -> Outbound {
    Outbound::new(&crate::outbound::Settings::default()).expect("certificate authorities")
}

pub(super) fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(Secret::new("a key of tests").as_ref()).expect("a key")
}

/// What the vendor does with one call.
pub(super) enum Step {
    /// Answers with this status and body.
    Answer(u16, Value),
    /// Reads the call and says nothing.
    Hang,
    /// Reads the call and hangs up.
    Cut,
}

/// A vendor on the loopback.
pub(super) struct Vendor {
    pub(super) base_url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// Plays one step a call. A call beyond the script is answered with 500 and shows in `seen`.
    pub(super) async fn playing(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(play(listener, script.into_iter().collect(), Arc::clone(&seen)));
        Self { base_url, seen }
    }

    /// The calls since the last look: method, path and form of each.
    #[track_caller]
    pub(super) fn saw(&self, calls: &[&str]) {
        assert_eq!(std::mem::take(&mut *self.seen.lock().expect("not poisoned")), calls);
    }
}

async fn play(listener: TcpListener, script: Vec<Step>, seen: Arc<Mutex<Vec<String>>>) {
    let mut steps = script.into_iter();
    let mut silent = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let Some(call) = read(&mut stream).await else { continue };
        seen.lock().expect("not poisoned").push(call);
        match steps.next() {
            Some(Step::Answer(status, body)) => write(&mut stream, status, &body.to_string()).await,
            Some(Step::Hang) => silent.push(stream),
            Some(Step::Cut) => {}
            None => write(&mut stream, 500, "unscripted").await,
        }
    }
}

/// One call as `POST /path form`; `None` when the caller left before it was whole.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |l| l.parse().expect("a length")) {
                assert!(head.contains("\r\nauthorization: basic "), "every call carries the credentials");
                let line = text.lines().next().and_then(|l| l.strip_suffix(" HTTP/1.1"))?;
                return Some(format!("{line} {body}").trim_end().to_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn write(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    // The caller may have stopped waiting, which is then what the test is about.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}
