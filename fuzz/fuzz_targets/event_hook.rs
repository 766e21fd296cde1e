//! Feeds: the body of an event hook; the same bytes as the value of a challenge.
//!
//! Must hold: no event arises that a plain reading of the JSON does not show, and each has an id. A challenge is given
//! back as it came.

#![cfg_attr(fuzzing, no_main)]

use okta_telephony_hook::okta::event::{self, What};
use serde_json::Value;

const USES: [&str; 2] = ["user.authentication.auth_via_mfa", "user.mfa.factor.activate"];

/// Whether any event was read.
pub fn holds(data: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(data) {
        let reply = event::challenged(text);
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, &body["verification"]), (200, &Value::from(text)));
    }
    let Some(events) = event::decode(data) else { return false };
    // What nobody reads need not be UTF-8, nor in range.
    let plain: Value = serde_json::from_str(&String::from_utf8_lossy(data)).unwrap_or_default();
    // A list in a record's place is taken too, by the order of its entries.
    let Some(entries) = plain["data"]["events"].as_array() else { return false };
    for event in &events {
        let is_it = |(place, entry): (usize, &Value)| {
            let named =
                entry["uuid"].as_str().map_or_else(|| event.id.ends_with(&format!("#{place}")), |id| id == event.id);
            // The same again, for entries that are lists.
            entry.is_array() || (named && says(entry, &event.what))
        };
        assert!(entries.iter().enumerate().any(is_it), "{event:?}");
    }
    assert!(events.len() <= entries.len());
    !events.is_empty()
}

/// Whether an entry says so.
fn says(entry: &Value, what: &What) -> bool {
    let (kind, result) = (entry["eventType"].as_str(), entry["outcome"]["result"].as_str());
    match what {
        What::Used(user, _) => {
            let is_use = kind.is_some_and(|kind| USES.contains(&kind)) && result == Some("SUCCESS");
            let is_theirs = entry["actor"]["id"].as_str() == Some(user.expose());
            (is_use || entry["outcome"].is_array()) && (is_theirs || entry["actor"].is_array())
        }
        What::HookFailed(_) => kind == Some("inline_hook.executed") && result != Some("SUCCESS"),
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    holds(data);
});
