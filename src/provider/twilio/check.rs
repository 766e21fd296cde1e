//! What a look at a Twilio account or Verify service tells.
//!
//! Must not send or change anything. Sources: twilio-oai `api_v2010` (`GET /2010-04-01/Accounts/{Sid}.json`) and
//! `verify_v2` (`GET /v2/Services/{Sid}`).

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use crate::outbound::{Outbound, Request};
use crate::provider::check::{Check, Diagnosis, look};

#[derive(Deserialize)]
struct Account {
    /// Left out by what merely plays Twilio.
    status: Option<String>,
}

#[derive(Deserialize)]
struct Service {
    /// Only in the answers of newer versions of the API.
    custom_code_enabled: Option<bool>,
}

/// The account behind the credentials: `active`, `suspended` or `closed`.
pub(super) async fn account(outbound: &Outbound, url: Url, authorization: &HeaderValue) -> Check {
    let (account, contact) = look::<Account>(outbound, Request::get(url, authorization)).await;
    let diagnosis = match account {
        Ok(Account { status: None }) => Diagnosis::Ok("found; its status is not told".to_owned()),
        Ok(Account { status: Some(status) }) => match status.as_str() {
            "active" => Diagnosis::Ok("active".to_owned()),
            "suspended" | "closed" => Diagnosis::Fail(status),
            _ => Diagnosis::Fail("neither active nor suspended nor closed".to_owned()),
        },
        Err(diagnosis) => diagnosis,
    };
    Check::new("account", diagnosis).with(contact).but_for_the_sender()
}

/// The Verify service, and whether it takes Okta's codes.
pub(super) async fn service(outbound: &Outbound, url: Url, authorization: &HeaderValue) -> Check {
    let (service, contact) = look::<Service>(outbound, Request::get(url, authorization)).await;
    let diagnosis = match service {
        Ok(Service { custom_code_enabled: Some(true) }) => Diagnosis::Ok("custom codes enabled".to_owned()),
        Ok(Service { custom_code_enabled: Some(false) }) => {
            let rule = "custom codes are not enabled: switch them on in the service's settings, under General";
            Diagnosis::Fail(rule.to_owned())
        }
        Ok(Service { custom_code_enabled: None }) => {
            Diagnosis::Ok("found; Twilio does not tell whether custom codes are enabled".to_owned())
        }
        Err(diagnosis) => diagnosis,
    };
    Check::new("service", diagnosis).with(contact)
}
