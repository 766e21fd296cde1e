//! What a look at an 8x8 account tells: its voice profiles, the one thing 8x8 documents that can be read without sending.
//!
//! Must not send or change anything. Source: 8x8's Voice API description (`GET …/speech-profiles`).

use http::HeaderValue;
use serde::de::IgnoredAny;
use url::Url;

use crate::outbound::Outbound;
use crate::provider::check::{Check, Diagnosis, look};

/// Whether the key may use the sub-account of calls. The answer's members are not read: that there is one says enough.
pub(super) async fn voice(outbound: &Outbound, callflows: &Url, authorization: &HeaderValue) -> Check {
    let mut url = callflows.clone();
    url.set_path(&callflows.path().replace("/callflows", "/speech-profiles"));
    let diagnosis = match look::<IgnoredAny>(outbound, url, authorization).await {
        Ok(IgnoredAny) => Diagnosis::Ok("voice profiles can be read".to_owned()),
        Err(diagnosis) => diagnosis,
    };
    Check::new("voice account", diagnosis)
}
