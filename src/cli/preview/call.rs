//! The ways a preview is really made: into our own hook, over HTTP to a running server, or by hand with `curl`.
//!
//! Must not decide how anything looks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use tokio::time::{Instant, timeout};
use url::Url;

use super::report::{Heard, Report};
use crate::hook::Hook;
use crate::http::ServerSettings;
use crate::okta::preview::Preview;
use crate::outbound::{self, Outbound, Request};
use crate::settings::is_loopback;

/// How long a server is waited for: longer than any budget.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls our own hook, which really sends. `dry` is what was expected to happen.
pub(super) async fn send(hook: &Arc<Hook>, preview: &Preview, dry: Report) -> Report {
    let body = Bytes::from(preview.body().to_string());
    let started = Instant::now();
    let reply = hook.call(started, credential(hook), async move { Ok(body) }).await;
    dry.sent(hook, reply.status, &reply.body, started.elapsed())
}

/// Posts to a running server. `settings` are those by which providers are called.
pub(super) async fn over_http(
    hook: &Arc<Hook>,
    url: &Url,
    settings: &outbound::Settings,
    preview: &Preview,
) -> Result<Report, String> {
    let url = with_path(hook, url);
    // A plain address is that of a server nearby, and what goes there through a proxy can be read on it.
    let proxy = settings.proxy.clone().filter(|_| url.scheme() == "https" && !is_loopback(&url));
    let settings = outbound::Settings { connect_timeout: PATIENCE, proxy, ..settings.clone() };
    let outbound = Outbound::new(&settings).map_err(|e| e.to_string())?;
    let body = preview.body().to_string().into();
    let request = Request { method: Method::POST, url: url.clone(), headers: credential(hook), body, hidden: None };
    let started = Instant::now();
    let failed = |why: &str| format!("--url: no answer from {url}: {why}");
    let answer = timeout(PATIENCE, outbound.send(request)).await.map_err(|_| failed("time-out"))?;
    let answer = answer.map_err(|e| failed(&format!("connection failed ({})", e.code)))?;
    let mut report = Report::new(hook, &format!("sent to {url}"));
    report.reply(answer.status, &answer.body, Heard::After(started.elapsed()));
    Ok(report)
}

/// The address of a hook: on the server named, else where Okta would call it, else where it listens.
pub(super) fn address(hook: &Hook, named: Option<&Url>, server: &ServerSettings) -> String {
    let path = &hook.config().path;
    match (named, &server.public_url) {
        (Some(url), _) => with_path(hook, url).into(),
        (None, Some(url)) => format!("{}{path}", url.as_str().trim_end_matches('/')),
        (None, None) => format!("{}://{}{path}", server.scheme(), server.listen),
    }
}

/// The path of the hook, where only a server is named.
fn with_path(hook: &Hook, url: &Url) -> Url {
    let mut url = url.clone();
    if url.path() == "/" {
        url.set_path(&hook.config().path);
    }
    url
}

/// The command that plays the request, and what its variable means. The credential stays out of it: terminals and shells
/// keep histories.
pub(super) fn curl(hook: &Hook, url: &str, preview: &Preview) -> (String, String) {
    let name = hook.config().authenticate.current().map_or("authorization", |(name, _)| name.as_str());
    let meant = match token_needed(hook) {
        Some(issuer) => format!("Bearer and an access token of {issuer}"),
        None => format!("the whole value of the {name} header"),
    };
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let (url, body) = (quoted(url), quoted(&preview.body().to_string()));
    let curl =
        format!("curl -sS '{url}' -H \"{name}: $OKTA_HOOK_SECRET\" -H 'content-type: application/json' -d '{body}'");
    (curl, format!("OKTA_HOOK_SECRET is {meant}"))
}

/// The issuer of the access tokens that alone admit, when nothing else is configured: none can be made here.
pub(super) fn token_needed(hook: &Hook) -> Option<&str> {
    let authenticate = &hook.config().authenticate;
    let issuer = authenticate.issuer().filter(|_| authenticate.current().is_none())?;
    Some(&issuer.source().issuer)
}

/// The headers of a caller who knows the current credential.
pub(super) fn credential(hook: &Hook) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((name, secret)) = hook.config().authenticate.current()
        && let Ok(mut value) = HeaderValue::from_str(secret.expose())
    {
        value.set_sensitive(true);
        headers.insert(HeaderName::clone(name), value);
    }
    headers
}
