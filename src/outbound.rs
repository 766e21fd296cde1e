//! Calls to others: how providers are sent messages, and what a failure on the wire proves.
//!
//! Must not know any vendor. Never follows a redirect, never repeats a request whose bytes were written, never reads
//! more than 64 KiB of an answer, never logs a URL.

mod connect;
mod evidence;
mod handover;
mod hints;
mod reads;
mod request;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, DATE, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use http::uri::Scheme;
use http::{Method, Uri};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::locks::lock;
use crate::otp::{FailureKind, SendError};
use crate::settings::{Findings, authorities, duration};
use connect::{Connector, Fault};
use evidence::{Watched, is_unprocessed, unconnected};
pub use handover::Handover;
pub use request::Request;
use request::headers;

/// Answers of the vendors' documented calls stay below 4 KiB; more is a fault or an attack.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long an idle connection is kept at least: just below the minute after which load balancers commonly drop it.
const IDLE: Duration = Duration::from_secs(55);

/// How long the use that keeps a connection open may take.
const TOUCH: Duration = Duration::from_secs(5);

/// May stand before a JSON text, and no parser of ours takes it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const OUR_NAME: HeaderValue = HeaderValue::from_static(concat!("okta-telephony-hook/", env!("CARGO_PKG_VERSION")));

const PROXY_RULE: &str = "must be an http or https address such as http://proxy:3128";

/// `[outbound]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Longest wait for DNS, TCP and TLS of a new connection.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// PEM file with further certificate authorities, beside the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// Proxy for every call, such as `http://proxy:3128`. `HTTPS_PROXY` of the environment is ignored.
    pub proxy: Option<ProxyUrl>,
    /// How long opening connections may delay the start.
    #[serde(deserialize_with = "duration")]
    pub warm_up_timeout: Duration,
    /// How often an idle connection is used so that it stays open; zero: never.
    #[serde(deserialize_with = "duration")]
    pub keep_warm: Duration,
}

/// The address of a proxy, in which a password may stand.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProxyUrl(pub Url);

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({})", self.0.host_str().unwrap_or_default())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(400),
            ca_file: None,
            proxy: None,
            warm_up_timeout: Duration::from_secs(1),
            keep_warm: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Checks the rules; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) {
        let second = Duration::from_secs(1);
        findings.within(format!("{at}.connect_timeout"), self.connect_timeout, Duration::from_millis(50), 2 * second);
        findings.within(format!("{at}.warm_up_timeout"), self.warm_up_timeout, Duration::ZERO, 30 * second);
        if !self.keep_warm.is_zero() {
            findings.within(format!("{at}.keep_warm"), self.keep_warm, 5 * second, 600 * second);
        }
        if let Some(Err(rule)) = self.ca_file.as_deref().map(authorities) {
            findings.fault(format!("{at}.ca_file"), rule);
        }
        if self.proxy.as_ref().is_some_and(|ProxyUrl(url)| connect::proxy_at(url).is_none()) {
            findings.fault(format!("{at}.proxy"), PROXY_RULE);
        }
    }
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// `outbound.ca_file` is unreadable or holds no certificate.
    #[error("outbound.ca_file: {0}")]
    CaFile(String),
    /// `outbound.proxy` is no address of a proxy.
    #[error("outbound.proxy: {PROXY_RULE}")]
    Proxy,
    /// No certificate authorities.
    #[error("the HTTPS client cannot be set up: {0} (is the ca-certificates package installed?)")]
    Client(String),
}

/// The shared client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: Client<Connector, Watched>,
    reader: reqwest::Client,
    /// For requests that a proxy passes on unencrypted.
    proxy_credential: Option<HeaderValue>,
    origins: Arc<Mutex<BTreeSet<Url>>>,
    warm_up_timeout: Duration,
    keep_warm: Duration,
}

/// A readable answer: any status, at most 64 KiB.
#[derive(Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body as it came, but for a byte-order mark. May echo the code and the number: for parsing only.
    pub body: Bytes,
    /// `Retry-After`, an hour at most.
    pub retry_after: Option<Duration>,
    /// `max-age` of `Cache-Control`.
    pub max_age: Option<Duration>,
    /// The clock of whoever answered, to the second.
    pub date: Option<Timestamp>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Outbound {
    /// Sets the client up: system certificate authorities, no redirects, no proxy but the configured one.
    ///
    /// # Errors
    /// When there are no certificate authorities to trust, or the configured ones cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, SetupFault> {
        let tls = connect::tls(settings)?;
        let (connector, proxy_credential) = connect::connector(settings, &tls)?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle_time(settings.keep_warm))
            .build(connector);
        Ok(Self {
            client,
            reader: reads::client(settings, tls)?,
            proxy_credential,
            origins: Arc::default(),
            warm_up_timeout: settings.warm_up_timeout,
            keep_warm: settings.keep_warm,
        })
    }

    /// Sends a request that delivers no message, and reads its answer. No time-out of its own beyond connecting: the caller
    /// decides how long to wait.
    ///
    /// # Errors
    /// `Unavailable` when no byte of the request can have reached the vendor, `Unconfirmed` when one may have.
    pub async fn send(&self, request: Request) -> Result<Answer, SendError> {
        self.post(request, None).await
    }

    /// As `send`, for a request that delivers a message: not written when `handover` is closed by then.
    ///
    /// # Errors
    /// As `send`.
    pub async fn deliver(&self, request: Request, handover: &Handover) -> Result<Answer, SendError> {
        self.post(request, Some(handover.clone())).await
    }

    async fn post(&self, request: Request, handover: Option<Handover>) -> Result<Answer, SendError> {
        let written = Arc::new(AtomicBool::new(false));
        let body = Watched { bytes: request.body, written: Arc::clone(&written), handover };
        let mut call = http::Request::new(body);
        *call.method_mut() = request.method;
        *call.headers_mut() = request.headers;
        let answer = self.exchange(call, request.url).await.map_err(|e| {
            if !written.load(Ordering::Acquire) {
                unconnected(&*e)
            // Of an answer that has begun nobody can say that.
            } else if e.is::<hyper_util::client::legacy::Error>() && is_unprocessed(&*e) {
                SendError::new(FailureKind::Unavailable, "h2_unprocessed")
            } else {
                SendError::new(FailureKind::Unconfirmed, "connection_lost")
            }
        })?;
        answer.map(|(answer, _)| answer)
    }

    async fn exchange(&self, mut call: http::Request<Watched>, url: Url) -> Result<Readable, Fault> {
        let address = Uri::try_from(String::from(url))?;
        if let Some(credential) = self.proxy_credential.as_ref().filter(|_| address.scheme() == Some(&Scheme::HTTP)) {
            call.headers_mut().insert(PROXY_AUTHORIZATION, credential.clone());
        }
        call.headers_mut().insert(USER_AGENT, OUR_NAME);
        *call.uri_mut() = address;
        Ok(read(self.client.request(call).await?).await?)
    }

    /// Remembers the vendors' addresses, to open connections there before the first hook and keep them open, in place of
    /// those remembered before.
    ///
    /// Only HTTPS ones: without a TLS handshake there is nothing worth saving.
    pub fn keep_open(&self, addresses: impl IntoIterator<Item = Url>) {
        let encrypted = addresses.into_iter().filter(|address| address.scheme() == "https");
        *lock(&self.origins) = encrypted.map(|address| origin(&address)).collect();
    }

    /// Whether there is an address to be remembered, and so TLS to be spoken.
    pub fn keeps_open(&self) -> bool {
        !lock(&self.origins).is_empty()
    }

    /// Opens a connection to every remembered address, for as long as `warm_up_timeout`. Failures are left to the hooks to find.
    pub async fn warm_up(&self) {
        let origins = lock(&self.origins).clone();
        let touches: Vec<_> = origins.into_iter().map(|origin| tokio::spawn(touch(self.clone(), origin))).collect();
        let all = async {
            for touch in touches {
                let _ = touch.await;
            }
        };
        let _ = timeout(self.warm_up_timeout, all).await;
    }

    /// Uses every remembered connection from time to time until `stop`.
    pub async fn stay_warm(self, stop: CancellationToken) {
        if self.keep_warm.is_zero() {
            return;
        }
        let mut ticks = interval(self.keep_warm);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.warm_up().await;
        }
    }
}

/// The address of a host, without the path of what is asked there.
pub fn origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin
}

/// How long an idle connection is kept: until after the next use that keeps it open.
fn idle_time(keep_warm: Duration) -> Duration {
    IDLE.max(keep_warm + TOUCH)
}

/// `HEAD /` without credentials: opens a connection, or proves that an idle one still lives.
async fn touch(outbound: Outbound, origin: Url) {
    let mut call = http::Request::new(Watched::default());
    *call.method_mut() = Method::HEAD;
    *call.headers_mut() = headers(None);
    let _ = timeout(TOUCH, outbound.exchange(call, origin)).await;
}

/// An answer with its headers, or what makes it unreadable.
type Readable = Result<(Answer, HeaderMap), SendError>;

/// Reads the body up to the limit. The inner error: an answer came, but not one that can be read.
async fn read<B>(mut response: http::Response<B>) -> Result<Readable, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let date = headers.get(DATE).and_then(hints::date);
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| hints::retry_after(value, date));
    let max_age = headers.get_all(CACHE_CONTROL).iter().find_map(hints::max_age);
    let mut body = BytesMut::new();
    while let Some(frame) = response.body_mut().frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Ok(Err(SendError::new(FailureKind::Unconfirmed, "answer_too_large")));
        }
        body.extend_from_slice(&chunk);
    }
    if body.starts_with(BYTE_ORDER_MARK) {
        drop(body.split_to(BYTE_ORDER_MARK.len()));
    }
    Ok(Ok((Answer { status, body: body.freeze(), retry_after, max_age, date }, headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_byte_order_mark_is_taken_off_an_answer() {
        for (body, expected) in [("\u{feff}{}", "{}"), ("{}\u{feff}", "{}\u{feff}"), ("\u{feff}", ""), ("", "")] {
            let response = http::Response::new(http_body_util::Full::new(Bytes::from(body)));
            let (answer, _) = read(response).await.expect("no fault").expect("readable");
            assert_eq!(answer.body, expected, "{body:?}");
        }
    }

    #[tokio::test]
    async fn what_is_asked_says_too_that_a_name_leads_nowhere() {
        let settings = Settings { connect_timeout: Duration::from_secs(2), ..Settings::default() };
        let outbound = Outbound::new(&settings).expect("a client");
        // A label of this length is asked of nobody.
        let nowhere = format!("http://{}.invalid/", "a".repeat(64));
        for (url, expected) in [(nowhere.as_str(), "dns"), ("http://127.0.0.1:9/", "connect")] {
            let error = outbound.read(url.parse().expect("an address"), None).await.expect_err("nobody is there");
            assert_eq!(error, SendError::unsent(expected), "{url}");
        }
    }

    #[test]
    fn an_idle_connection_outlives_the_pause_before_its_next_use() {
        for (keep_warm, kept) in [(0, 55), (30, 55), (50, 55), (55, 60), (600, 605)] {
            assert_eq!(idle_time(Duration::from_secs(keep_warm)), Duration::from_secs(kept), "{keep_warm}");
        }
    }
}
