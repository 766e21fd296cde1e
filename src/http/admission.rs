//! Who may see and change what the admin listener shows, beyond its signs of life.
//!
//! Must not know what any page shows.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONNECTION, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::respond;
use crate::okta::Reply;
use crate::secret::{CredentialDigest, Secret, basic_pair, bearer, only};

/// Judges callers by the token; where none is set, by how they name the host.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    token: Option<CredentialDigest>,
}

/// Why a caller sees nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Without the token. How the page takes it, for `WWW-Authenticate` (RFC 9110, 15.5.2).
    NoToken(&'static str),
    /// There is no token, and the host has a name that anybody could have made to point here.
    Named,
}

impl Admission {
    /// By this token; without one, whoever calls this machine by its address.
    pub(super) fn by(token: Option<&Secret>) -> Self {
        Self { token: token.map(|token| CredentialDigest::of(token.expose().as_bytes())) }
    }

    /// Admits a program.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.judge(headers, bearer(authorization(headers)), "Bearer realm=\"okta-telephony-hook\"")
    }

    /// Admits a person too: a browser can send the token only as a password, with a user name that says nothing.
    pub(super) fn admit_browser(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let authorization = authorization(headers);
        let pair = basic_pair(authorization).unwrap_or_default();
        let presented = bearer(authorization).or_else(|| pair.splitn(2, |b| *b == b':').nth(1));
        self.judge(headers, presented, "Basic realm=\"okta-telephony-hook\"")
    }

    fn judge(&self, headers: &HeaderMap, presented: Option<&[u8]>, challenge: &'static str) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return is_called_by_address(headers).then_some(()).ok_or(Refusal::Named);
        };
        let presented = CredentialDigest::of(presented.unwrap_or_default());
        bool::from(token.matches(&presented)).then_some(()).ok_or(Refusal::NoToken(challenge))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoToken(challenge) => {
                let mut response = respond(Reply::unauthorized());
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                response
            }
            Self::Named => {
                let rule = "without admin.token this is for callers who name the host as an IP address or localhost";
                let body = Json(json!({ "error": { "errorSummary": rule } }));
                // A body may still be unread.
                (StatusCode::FORBIDDEN, [(CONNECTION, "close")], body).into_response()
            }
        }
    }
}

fn authorization(headers: &HeaderMap) -> &[u8] {
    only(headers, &AUTHORIZATION).unwrap_or_default()
}

/// Whether the host is named as nobody else can name it. A page from elsewhere that has its own name point here, to read
/// and change what is open on this machine, is of one origin with us to the browser, which sends that name.
fn is_called_by_address(headers: &HeaderMap) -> bool {
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
