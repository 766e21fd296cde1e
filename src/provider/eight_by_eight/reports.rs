//! 8x8's delivery receipts and session summaries: how they are recognised, and their words.
//!
//! Must not know who asks. 8x8 signs nothing: its reports carry a fixed `Authorization` of our choice, and those of
//! texts come to an address that holds a token. Source: 8x8's developer pages on webhooks.

use http::header::AUTHORIZATION;
use serde::Deserialize;
use subtle::Choice;
use url::Url;

use super::Config;
use crate::otp::Delivery;
use crate::provider::callback::{Address, Callback, CallbackRequest, Forged, Report, Verified};
use crate::secret::{CredentialDigest, only};

/// The query parameter of the token.
const TOKEN: &str = "token";

/// Reads the reports of one account.
#[derive(Debug)]
pub(in crate::provider) struct Reports {
    /// The secret, then the one before it.
    authorizations: Vec<CredentialDigest>,
    /// In the addresses that we tell.
    token: Option<CredentialDigest>,
}

impl Reports {
    /// `None` without a `callback_secret`. Without an address of ours reports still come: webhooks are set up by hand.
    pub(in crate::provider) fn new(config: &Config) -> Option<Self> {
        let secret = config.callback_secret.as_ref()?;
        Some(Self {
            authorizations: [Some(secret), config.previous_callback_secret.as_ref()]
                .into_iter()
                .flatten()
                .map(|secret| CredentialDigest::of(secret.expose().as_bytes()))
                .collect(),
            token: config.reports_to.as_ref().map(|to| CredentialDigest::of(to.token.to_string().as_bytes())),
        })
    }
}

/// The address that 8x8 is told with each text.
pub(super) fn text_address(address: &Address) -> Url {
    let mut url = address.url.clone();
    url.query_pairs_mut().append_pair(TOKEN, &address.token.to_string());
    url
}

impl Callback for Reports {
    fn verify(&self, request: &CallbackRequest<'_>) -> Result<Verified, Forged> {
        let presented = only(request.headers, &AUTHORIZATION).unwrap_or_default();
        let presented = CredentialDigest::of(presented);
        let mut known = self.authorizations.iter().fold(Choice::from(0), |any, one| any | one.matches(&presented));
        let query = request.path_and_query.split_once('?').map_or("", |(_, query)| query);
        // The webhooks of calls are set up by hand, for a whole sub-account: their address has no token.
        for (_, token) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == TOKEN) {
            let presented = CredentialDigest::of(token.as_bytes());
            known &= self.token.as_ref().map_or(Choice::from(0), |ours| ours.matches(&presented));
        }
        bool::from(known).then(|| Verified::new(request)).ok_or(Forged::Credential)
    }

    fn parse(&self, verified: Verified) -> Report {
        let Ok(Body { payload: Some(payload) }) = serde_json::from_slice(verified.body()) else {
            return Report::Unreadable;
        };
        if let Some(session) = &payload.session_id {
            return Report::of(Some(session), payload.session_status.as_deref().and_then(call));
        }
        let state = payload.status.and_then(|status| status.state);
        Report::of(payload.umid.as_deref(), state.as_deref().and_then(text))
    }

    fn taken(&self) -> u16 {
        200
    }
}

#[derive(Deserialize)]
struct Body {
    payload: Option<Payload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    umid: Option<String>,
    status: Option<Status>,
    session_id: Option<String>,
    session_status: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    state: Option<String>,
}

fn text(state: &str) -> Option<Delivery> {
    match state {
        "queued" | "sent" => Some(Delivery::Underway),
        "delivered" | "read" => Some(Delivery::Delivered),
        "undelivered" | "rejected" => Some(Delivery::Undelivered),
        _ => None,
    }
}

fn call(status: &str) -> Option<Delivery> {
    match status {
        "COMPLETED" => Some(Delivery::Delivered),
        "NO_ANSWER" | "BUSY" | "CANCELED" | "CANCELLED" | "FAILED" | "ERROR" => Some(Delivery::Undelivered),
        // The person has opted out: whether the code was heard before that, nobody says.
        "COMPLETED_UNSUBSCRIBED" | "COMPLETED_UNSUB_ERROR" | "UNSUBSCRIBED_CONTACT" => Some(Delivery::Undelivered),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use serde_json::Value;

    use super::*;

    const SECRET: &str = "Bearer 3f9c1d7a-webhook-secret";

    fn reports() -> Reports {
        let authorizations = vec![CredentialDigest::of(SECRET.as_bytes())];
        Reports { authorizations, token: Some(CredentialDigest::of(b"a token")) }
    }

    fn verify(path_and_query: &str, authorization: Option<&str>, body: &str) -> Result<Verified, Forged> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
        }
        let body = Bytes::from(body.to_owned());
        reports().verify(&CallbackRequest { path_and_query, headers: &headers, body: &body })
    }

    #[test]
    fn every_recorded_callback_is_recognised_and_read() {
        let mut seen = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/8x8")).expect("a folder") {
            let path = entry.expect("an entry").path();
            if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callback-")) {
                continue;
            }
            let case: Value = serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("JSON");
            let (request, expect) = (&case["inbound_request"], &case["expect"]);
            let authorization = request["headers"]["Authorization"].as_str();
            let body = request["raw_body"].as_str().expect("a body");
            let verified = verify("/callbacks/8x8", authorization, body);
            seen += 1;
            assert_eq!(verified.is_ok(), expect["authorized"].as_bool().expect("a bool"), "{path:?}");
            let Ok(verified) = verified else { continue };
            assert_eq!(Some(reports().taken().into()), expect["http_reply"].as_u64(), "{path:?}");
            let delivery = match (expect["final"].as_bool(), expect["delivered"].as_bool()) {
                (Some(false), _) => Delivery::Underway,
                (_, Some(true)) => Delivery::Delivered,
                (_, _) => Delivery::Undelivered,
            };
            let id = expect["umid"].as_str().or(expect["session_id"].as_str());
            assert_eq!(reports().parse(verified), Report::of(id, Some(delivery)), "{path:?}");
        }
        assert_eq!(seen, 10, "as many as tests/data/8x8 holds");
    }

    #[test]
    fn whoever_opts_out_got_no_code() {
        for word in ["COMPLETED_UNSUBSCRIBED", "COMPLETED_UNSUB_ERROR", "UNSUBSCRIBED_CONTACT"] {
            assert_eq!(call(word), Some(Delivery::Undelivered), "{word}");
        }
        assert_eq!(call("COMPLETED"), Some(Delivery::Delivered));
    }

    #[test]
    fn a_token_that_is_there_must_be_ours_and_never_replaces_the_header() {
        for (path, authorization, fine) in [
            ("/callbacks/8x8?token=a+token", Some(SECRET), true),
            ("/callbacks/8x8", Some(SECRET), true),
            ("/callbacks/8x8?token=another", Some(SECRET), false),
            ("/callbacks/8x8?token=a+token&token=another", Some(SECRET), false),
            ("/callbacks/8x8?token=", Some(SECRET), false),
            ("/callbacks/8x8?token=a+token", Some("Bearer nope"), false),
            ("/callbacks/8x8?token=a+token", None, false),
        ] {
            assert_eq!(verify(path, authorization, "{}").is_ok(), fine, "{path} {authorization:?}");
        }
        let other = verify("/callbacks/8x8", Some(SECRET), r#"{"umid":"an older form"}"#).expect("theirs");
        assert_eq!(reports().parse(other), Report::Unreadable);
    }
}
