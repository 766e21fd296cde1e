//! The operator's switches over HTTP: `GET`, `PUT` and `DELETE` on the admin listener.
//!
//! Must not know what a switch does, nor wait for the body of a caller who may not change one. `PUT` and `DELETE` only:
//! a web page open on the operator's machine cannot send those across origins without asking first.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admission::Refusal;
use super::{BodyLimits, Ops, body, respond};
use crate::dispatch::switches::{Setting, Switches, Target};
use crate::otp::{Channel, Country, ProviderName};

/// The body of a `PUT` is a word in an object, and comes with its head.
const LIMITS: BodyLimits = BodyLimits { size: 1024, timeout: Duration::from_secs(2) };

/// The body of a `PUT`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: Setting,
}

/// Every switch that is set, as JSON.
pub(super) fn list(switches: &Switches) -> Vec<Value> {
    let entry = |(target, setting): (Target, Setting)| {
        let mut entry = json!(target);
        entry["state"] = json!(setting);
        entry
    };
    switches.list().into_iter().map(entry).collect()
}

pub(super) async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Result<Response, Refusal> {
    ops.admission.admit(&headers)?;
    Ok(shown(&ops))
}

pub(super) async fn set(
    State(ops): State<Ops>,
    Path((scope, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    put(&ops, &scope, &name, request).await
}

pub(super) async fn clear(
    State(ops): State<Ops>,
    Path((scope, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    delete(&ops, &scope, &name, &headers)
}

pub(super) async fn set_everything(State(ops): State<Ops>, request: Request) -> Result<Response, Refusal> {
    put(&ops, "everything", "", request).await
}

pub(super) async fn clear_everything(State(ops): State<Ops>, headers: HeaderMap) -> Result<Response, Refusal> {
    delete(&ops, "everything", "", &headers)
}

/// What is asked of a switch.
#[derive(Debug, Clone, Copy)]
enum Change {
    Set(Setting),
    Clear,
    Unreadable,
}

impl Change {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).map_or(Self::Unreadable, |Wanted { state }| Self::Set(state))
    }
}

async fn put(ops: &Ops, scope: &str, name: &str, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    ops.admission.admit(&head.headers)?;
    Ok(match body::read(body, &head.headers, LIMITS).await {
        Ok(wanted) => change(ops, scope, name, Change::read(&wanted)),
        Err(fault) => respond(fault.reply()),
    })
}

fn delete(ops: &Ops, scope: &str, name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    ops.admission.admit(headers)?;
    Ok(change(ops, scope, name, Change::Clear))
}

fn change(ops: &Ops, scope: &str, name: &str, change: Change) -> Response {
    let Some(target) = target(scope, name, ops) else {
        return refuse("no such switch: provider/NAME, country/CC, channel/sms, channel/voice or everything");
    };
    // As the switch is called, however it was typed.
    let called = json!(target);
    let [scope, name] = ["scope", "name"].map(|word| called[word].as_str().unwrap_or_default());
    match change {
        Change::Set(Setting::Drained) if !matches!(target, Target::Provider(_)) => {
            return refuse("state: only a provider can be drained");
        }
        Change::Set(state) => {
            if ops.switches().set(target, state) {
                tracing::warn!(scope, name, state = state.as_str(), "switch set");
            }
        }
        Change::Clear => {
            if ops.switches().clear(&target) {
                tracing::warn!(scope, name, "switch cleared");
            }
        }
        Change::Unreadable => return refuse("state: must be {\"state\": \"disabled\"} or {\"state\": \"drained\"}"),
    }
    shown(ops)
}

fn shown(ops: &Ops) -> Response {
    Json(json!({ "switches": list(ops.switches()) })).into_response()
}

fn target(scope: &str, name: &str, ops: &Ops) -> Option<Target> {
    match scope {
        "provider" => {
            let (name, switches) = (ProviderName::new(name), ops.switches().list());
            let is_configured = ops.shown.providers.contains_key(&name);
            let target = Target::Provider(name);
            // A switch outlives its provider, and would act upon it again when a reload brings it back.
            let is_set = switches.iter().any(|(set, _)| *set == target);
            (is_configured || is_set).then_some(target)
        }
        "country" => Country::with_numbers(name).map(Target::Country),
        "channel" => Channel::parse(name).map(Target::Channel),
        "everything" if name.is_empty() => Some(Target::Everything),
        _ => None,
    }
}

fn refuse(rule: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": { "errorSummary": rule } }))).into_response()
}
