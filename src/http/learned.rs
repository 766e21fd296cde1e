//! What was learnt of the providers, as a page of the admin listener.
//!
//! Must not show anything but names, countries and counts.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Ops, respond};
use crate::learn::Row;
use crate::okta::Reply;

pub(super) async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    if !ops.admits(&headers) {
        return respond(Reply::unauthorized());
    }
    let rows: Vec<Value> = ops.shown.learn.table().iter().map(row).collect();
    Json(json!({ "learned": rows })).into_response()
}

fn row(row: &Row) -> Value {
    json!({
        "provider": row.way.provider.as_str(),
        "country": row.way.country_word(),
        "channel": row.way.channel.as_str(),
        "accepted": row.accepted,
        "failed": row.failed,
        "delivered": row.delivered,
        "undelivered": row.undelivered,
        "awaited": row.awaited,
        "converted": row.converted,
        "delivery_ratio": row.delivery,
        "conversion_ratio": row.conversion,
        "verdict": if row.behind.is_empty() { "fine" } else { "falls behind" },
        "behind_in": row.behind,
    })
}
