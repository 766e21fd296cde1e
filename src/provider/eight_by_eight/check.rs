//! What a look at an 8x8 account tells: whether its sub-accounts take the key, and whether the voices it is to speak with
//! are there.
//!
//! Must not send or change anything. Sources: 8x8's API descriptions (`GET …/messages/{umid}`, `GET …/speech-profiles`).

use http::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::answer;
use crate::outbound::{Outbound, Request};
use crate::provider::account::join;
use crate::provider::check::{Check, Codes, Diagnosis, ask, look};

/// No text's id.
const NO_TEXT: &str = "00000000-0000-4000-8000-000000000000";

/// Of the SMS API: a resource that is not there; a wrong key, one without permission, another's sub-account.
const CODES: Codes = Codes { unknown: &[1300], refused: &[1200, 1201, 1001] };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profiles {
    speech_profiles: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    speech_profile_code: String,
}

/// Whether the key may use the sub-account of texts, by asking for one that is not there.
pub(super) async fn texts(outbound: &Outbound, messages: &Url, authorization: &HeaderValue) -> Check {
    let request = Request::get(join(messages, &format!("/{NO_TEXT}")), authorization);
    let (answer, contact) = ask(outbound, request).await;
    let diagnosis = match answer {
        Ok(answer) => CODES.read(answer.status, answer::text_code(&answer)),
        Err(diagnosis) => diagnosis,
    };
    Check::new("sms account", diagnosis).with(contact).but_for_the_sender()
}

/// Whether the key may use the sub-account of calls, and whether it has these profiles: 8x8 refuses a call with any other
/// (-1002).
pub(super) async fn voice<'c>(
    outbound: &Outbound,
    callflows: &Url,
    authorization: &HeaderValue,
    profiles: impl Iterator<Item = &'c str>,
) -> Check {
    let mut url = callflows.clone();
    url.set_path(&callflows.path().replace("/callflows", "/speech-profiles"));
    let (found, contact) = look::<Profiles>(outbound, Request::get(url, authorization)).await;
    let diagnosis = match found {
        Ok(Profiles { speech_profiles: there }) => {
            let mut missing: Vec<&str> =
                profiles.filter(|name| there.iter().all(|profile| profile.speech_profile_code != *name)).collect();
            missing.sort_unstable();
            missing.dedup();
            if missing.is_empty() {
                Diagnosis::Ok("the key is taken, and the configured voice profiles are there".to_owned())
            } else {
                Diagnosis::Fail(format!("no such voice profile: {}", missing.join(", ")))
            }
        }
        Err(diagnosis) => diagnosis,
    };
    Check::new("voice account", diagnosis).with(contact).but_for_the_sender()
}
