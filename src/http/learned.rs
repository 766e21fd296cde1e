//! What was learnt of the providers, as a page of the admin listener.
//!
//! Must not show anything but names, countries and counts.

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde_json::{Value, json};

use super::Ops;
use super::admission::Refusal;
use crate::learn::Row;

pub(super) async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    ops.admission.admit(&headers)?;
    let rows: Vec<Value> = ops.shown.learn.table().iter().map(row).collect();
    Ok(Json(json!({ "learned": rows })))
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
