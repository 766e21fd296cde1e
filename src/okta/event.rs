//! Event hooks: Okta's notices of what happened, as far as they concern codes that we sent.
//!
//! Must not judge or count: every event that is not ours to know is left out. Notices come at least once, in any order.
//! Source: Okta docs, "Event hooks"; the System Log's `LogEvent`.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Reply;
use super::authenticate::{self, Authenticate, BasicSettings, HeaderSettings};
use crate::otp::{Channel, RequestId, UserId};
use crate::secret::Environment;
use crate::settings::Findings;

/// The header of the one question by which Okta makes sure of us, which its answer has to repeat.
pub const CHALLENGE: &str = "x-okta-verification-challenge";

/// One event has two to four thousand bytes; how many Okta puts together is documented nowhere.
const MIB: usize = 1024 * 1024;

/// `[orgs.*.event_hook]`, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Path on the public listener.
    pub path: String,
    /// Bytes that a batch of events may have.
    pub max_body: usize,
    /// How Okta proves itself there.
    pub auth: AuthSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self { path: "/okta/events".to_owned(), max_body: 4 * MIB, auth: AuthSettings::default() }
    }
}

/// `[orgs.*.event_hook.auth]`: event hooks know no access tokens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// A header with a fixed value.
    pub header: Option<HeaderSettings>,
    /// HTTP Basic.
    pub basic: Option<BasicSettings>,
}

/// `[orgs.*.event_hook]`, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path on the public listener.
    pub path: String,
    /// Bytes that a batch of events may have.
    pub max_body: usize,
    /// Recognises Okta.
    pub authenticate: Authenticate,
}

impl Settings {
    /// Reads the secrets and checks the rules; `at` is the key path of this table. The path is for the caller to check.
    pub fn check(&self, at: &str, environment: &Environment, findings: &mut Findings) -> Config {
        let auth = format!("{at}.auth");
        let AuthSettings { header, basic } = self.auth.clone();
        let authenticate = if header.is_none() && basic.is_none() {
            findings.fault(&auth, "configure header or basic: without one, anybody could tell of sign-ins");
            Authenticate::nobody()
        } else {
            authenticate::Settings { header, basic, oauth: None }.check(&auth, environment, findings)
        };
        if !(MIB / 16..=64 * MIB).contains(&self.max_body) {
            findings.fault(format!("{at}.max_body"), "must be between 65536 and 67108864 bytes");
        }
        Config { path: self.path.clone(), max_body: self.max_body, authenticate }
    }
}

/// One notice that concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, the same each time it comes: its own, else its place in a delivery that has one.
    pub id: String,
    /// When it happened, unless Okta did not say it readably.
    pub at: Option<Timestamp>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A user proved to have got a code.
    Used(UserId, Channel),
    /// Okta could not make use of an inline hook's answer, or had none; with its id of the request, if it is told.
    HookFailed(Option<RequestId>),
}

/// The answer to a challenge.
pub fn challenged(value: &str) -> Reply {
    let body = serde_json::json!({ "verification": value }).to_string().into_bytes();
    Reply { status: 200, body, retry_after: None }
}

/// The notices in a body that concern us; `None` when it is no event hook's.
pub fn decode(body: &[u8]) -> Option<Vec<Event>> {
    let Body { event_id, data } = serde_json::from_slice(body).ok()?;
    // One that has another form does not cost the others.
    let read = |(place, event)| {
        let event: LogEvent = serde_json::from_value(event).ok()?;
        let id = event.uuid.clone().or_else(|| Some(format!("{}#{place}", event_id.as_deref()?)))?;
        event.read(id)
    };
    Some(data?.events.into_iter().enumerate().filter_map(read).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default, deserialize_with = "if_readable")]
    event_id: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    events: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEvent {
    #[serde(default, deserialize_with = "if_readable")]
    uuid: Option<String>,
    published: Option<Value>,
    event_type: String,
    #[serde(default, deserialize_with = "if_readable")]
    actor: Option<Actor>,
    #[serde(default, deserialize_with = "if_readable")]
    outcome: Option<Outcome>,
    #[serde(default, deserialize_with = "if_readable")]
    debug_context: Option<DebugContext>,
    #[serde(default, deserialize_with = "if_readable")]
    transaction: Option<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(default, deserialize_with = "if_readable")]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(default, deserialize_with = "if_readable")]
    id: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default, deserialize_with = "if_readable")]
    result: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DebugContext {
    #[serde(default, deserialize_with = "if_readable")]
    debug_data: Option<DebugData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DebugData {
    #[serde(default, deserialize_with = "if_readable")]
    factor: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    request_id: Option<String>,
}

/// A member in another form is as if it were not there: whether that costs the event depends on whether it is needed.
fn if_readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

impl LogEvent {
    fn read(self, id: String) -> Option<Event> {
        let outcome = self.outcome?;
        let result = outcome.result.as_deref()?;
        let debug_data = self.debug_context.and_then(|context| context.debug_data);
        let what = match self.event_type.as_str() {
            "user.authentication.auth_via_mfa" | "user.mfa.factor.activate" if result == "SUCCESS" => {
                let factor = debug_data.and_then(|data| data.factor);
                let channel = factor.as_deref().and_then(channel);
                let channel = channel.or_else(|| outcome.reason.as_deref().and_then(channel_in))?;
                What::Used(UserId::parse(&self.actor?.id?)?, channel)
            }
            "inline_hook.executed" if result != "SUCCESS" => {
                // Web requests are transactions of the System Log; which of the two members is there varies.
                let request = debug_data.and_then(|data| data.request_id).or_else(|| self.transaction?.id);
                What::HookFailed(request.as_deref().and_then(RequestId::parse))
            }
            _ => return None,
        };
        let at = self.published.as_ref().and_then(Value::as_str).and_then(|at| at.parse().ok());
        Some(Event { id, at, what })
    }
}

fn channel(factor: &str) -> Option<Channel> {
    match factor {
        "SMS_FACTOR" => Some(Channel::Sms),
        "CALL_FACTOR" => Some(Channel::Voice),
        _ => None,
    }
}

/// The factor that a sentence names.
fn channel_in(reason: &str) -> Option<Channel> {
    reason.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find_map(channel)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_recorded_batch_holds_two_uses() {
        let body = include_bytes!("../../tests/data/okta/event-hook-mfa-batch.json");
        let events = decode(body).expect("a batch");
        let used = |n: u8, at: &str, user, channel| Event {
            id: format!("f1d0b993-cc19-11ed-a688-00000000000{n}"),
            at: at.parse().ok(),
            what: What::Used(UserId::parse(user).expect("an id"), channel),
        };
        let expected = [
            used(1, "2026-01-05T10:00:38.159Z", "00uyxxSknGtK8022w0g3", Channel::Sms),
            used(2, "2026-01-05T10:00:38.900Z", "00u1ero7vZFVEIYLWPBN", Channel::Voice),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn what_does_not_concern_us_is_left_out() {
        let used = json!({
            "uuid": "1", "eventType": "user.authentication.auth_via_mfa", "actor": { "id": "00u" },
            "outcome": { "result": "SUCCESS" }, "debugContext": { "debugData": { "factor": "SMS_FACTOR" } },
        });
        let with = |pointer: &str, value: Value| {
            let mut event = used.clone();
            *event.pointer_mut(pointer).expect("there") = value;
            event
        };
        let read = |events: Vec<Value>| {
            decode(json!({ "data": { "events": events } }).to_string().as_bytes()).expect("a batch").len()
        };
        let others = vec![
            with("/outcome/result", json!("FAILURE")),
            with("/outcome", Value::Null),
            with("/eventType", json!("user.session.start")),
            with("/eventType", json!("inline_hook.executed")),
            with("/actor/id", json!("")),
            with("/debugContext/debugData/factor", json!("EMAIL_FACTOR")),
            with("/debugContext", json!({})),
            json!("an event of another form"),
        ];
        assert_eq!(read(others.clone()), 0);
        assert_eq!(read([others, vec![used]].concat()), 1);
        let failed = json!({ "uuid": "2", "eventType": "inline_hook.executed", "outcome": { "result": "FAILURE" } });
        assert_eq!(read(vec![failed.clone()]), 1);
        let mut requested = failed.clone();
        requested["transaction"] = json!({ "type": "WEB", "id": "Wreq" });
        let decoded = |event: Value| {
            decode(json!({ "eventId": "delivery", "data": { "events": [null, event] } }).to_string().as_bytes())
                .expect("a batch")
        };
        let by = |id| What::HookFailed(RequestId::parse(id));
        assert_eq!(decoded(requested.clone())[0].what, by("Wreq"));
        requested["debugContext"] = json!({ "debugData": { "requestId": "Dreq" } });
        assert_eq!(decoded(requested.clone())[0].what, by("Dreq"));
        requested["uuid"] = Value::Null;
        assert_eq!(decoded(requested)[0].id, "delivery#1", "an event without an id has its delivery's");
        for at in [json!("yesterday"), json!(1767607238), Value::Null] {
            let mut undated = failed.clone();
            undated["published"] = at;
            assert_eq!(read(vec![undated]), 1, "a date costs no event");
        }
        for body in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"data":{"events":{}}}"#] {
            assert_eq!(decode(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_member_of_another_form_costs_an_event_only_if_it_is_needed() {
        let event = json!({
            "uuid": "1", "eventType": "user.mfa.factor.activate", "actor": { "id": "00u" },
            "outcome": { "result": "SUCCESS", "reason": "User passed CALL_FACTOR" },
            "debugContext": { "debugData": { "factor": "CALL_FACTOR", "requestId": "Dreq" } },
            "transaction": { "id": "Wreq" },
        });
        let failed = |event: &Value| {
            let mut event = event.clone();
            event["eventType"] = "inline_hook.executed".into();
            event["outcome"]["result"] = "FAILURE".into();
            event
        };
        let read = |event: Value| {
            let body = json!({ "eventId": 7, "data": { "events": [event] } });
            decode(body.to_string().as_bytes()).expect("a batch").pop().map(|event| event.what)
        };
        let used = What::Used(UserId::parse("00u").expect("an id"), Channel::Voice);
        for (pointer, request) in [
            ("/debugContext", "Wreq"),
            ("/debugContext/debugData", "Wreq"),
            ("/debugContext/debugData/factor", "Dreq"),
            ("/debugContext/debugData/requestId", "Wreq"),
            ("/transaction", "Dreq"),
            ("/transaction/id", "Dreq"),
            ("/outcome/reason", "Dreq"),
        ] {
            for odd in [json!(5), json!([]), json!("odd")] {
                let mut event = event.clone();
                *event.pointer_mut(pointer).expect("there") = odd.clone();
                assert_eq!(read(event.clone()), Some(used.clone()), "{pointer} {odd}");
                if !odd.is_string() {
                    assert_eq!(read(failed(&event)), Some(What::HookFailed(RequestId::parse(request))), "{pointer}");
                }
            }
        }
        for pointer in ["/uuid", "/eventType", "/actor", "/actor/id", "/outcome", "/outcome/result"] {
            let mut event = event.clone();
            *event.pointer_mut(pointer).expect("there") = json!(5);
            assert_eq!(read(event), None, "{pointer}");
        }
    }
}
