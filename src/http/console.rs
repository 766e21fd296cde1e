//! `GET /` of the admin listener: one page for people that shows what happened and how things are.
//!
//! Must not change anything, nor show what a log line must not. It needs nothing from elsewhere and runs no script, and
//! its policy has the browser hold it to that.

mod html;
mod tables;

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::{Ops, respond};
use crate::okta::Reply;
use html::Page;

pub(super) async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if !ops.admits_browser(&headers) {
        let mut response = respond(Reply::unauthorized());
        let challenge = HeaderValue::from_static("Basic realm=\"okta-telephony-hook\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return response;
    }
    if ops.is_open() && !is_called_by_address(&headers) {
        let rule = "without admin.token this page is for callers who name the host as an IP address or localhost";
        return (StatusCode::FORBIDDEN, Json(json!({ "error": { "errorSummary": rule } }))).into_response();
    }
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        html::style_source()
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page(&ops)).into_response()
}

/// Whether the host is named as nobody else can name it. A page from elsewhere that has its own name point here, to read
/// what is open on this machine, has the browser send that name.
pub(super) fn is_called_by_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let has_port = |(_, port): &(&str, &str)| port.bytes().all(|b| b.is_ascii_digit());
    let name = host.rsplit_once(':').filter(has_port).map_or(host, |(name, _)| name);
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok(),
    }
}

fn page(ops: &Ops) -> String {
    let shown = &ops.shown;
    let (now, obstacles) = (shown.clock.now(), ops.obstacles());
    let state = if obstacles.is_empty() { "ready" } else { "not ready" };
    let mut page = Page::new(&format!("{state} - okta-telephony-hook"));
    page.note(&format!("As of {}. This process alone; every 10 seconds anew.", tables::moment(now)));
    page.table(&tables::state(shown, &obstacles, now));
    page.table(&tables::providers(shown));
    page.table(&tables::learned(shown));
    page.table(&tables::hooks(shown));
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_that_nobody_else_can_be_named_is_taken() {
        for (host, taken, why) in [
            (None, true, "HTTP/1.0 without a host: no browser"),
            (Some(""), true, "an empty one says no name"),
            (Some("localhost"), true, ""),
            (Some("LocalHost:9464"), true, "any case, with a port"),
            (Some("127.0.0.1:9464"), true, ""),
            (Some("192.0.2.7"), true, "an address says where it leads"),
            (Some("[::1]:9464"), true, ""),
            (Some("[::1]"), true, "version 6 without a port"),
            (Some("::1"), false, "version 6 without brackets is no host"),
            (Some("evil.example"), false, "a name can be made to point here"),
            (Some("evil.example:9464"), false, ""),
            (Some("localhost.evil.example"), false, ""),
            (Some("127.0.0.1.evil.example"), false, ""),
            (Some("127.0.0.1@evil.example"), false, ""),
            (Some("evil.example@127.0.0.1"), false, "no address before the host either"),
            (Some("2130706433"), false, "browsers write addresses with dots"),
            (Some("[evil.example]"), false, ""),
            (Some("localhost:evil"), false, "no port"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(HOST, HeaderValue::from_static(host));
            }
            assert_eq!(is_called_by_address(&headers), taken, "{host:?} {why}");
        }
        let odd = HeaderValue::from_bytes(b"loc\xe4lhost").expect("value");
        assert!(!is_called_by_address(&HeaderMap::from_iter([(HOST, odd)])));
    }
}
