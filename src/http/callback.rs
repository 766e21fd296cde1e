//! `POST /callbacks/{provider}`, and whatever stands behind that: a provider's delivery report comes in.
//!
//! Must not judge it: `feedback` does. The body is read before the sender is known, as signatures cover it, within the
//! same limits as a hook's.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;

use super::{BodyLimits, body, respond};
use crate::feedback::Reports;
use crate::okta::Reply;
use crate::provider::callback::{CallbackRequest, Forged};

/// Whose report it is; what else stands in the path is the signature's business.
#[derive(Deserialize)]
pub(super) struct CallbackPath {
    provider: String,
}

pub(super) async fn take(
    State((reports, limits)): State<(Reports, BodyLimits)>,
    Path(CallbackPath { provider }): Path<CallbackPath>,
    request: Request,
) -> Response {
    match reports.expects(&provider) {
        Ok(true) => {}
        Ok(false) => return respond(Reply::not_found()),
        Err(forged) => return refuse(forged),
    }
    let (head, body) = request.into_parts();
    let body = match body::read(body, &head.headers, limits).await {
        Ok(body) => body,
        Err(fault) => return respond(fault.reply()),
    };
    let path_and_query = head.uri.path_and_query().map_or("/", |whole| whole.as_str());
    let request = CallbackRequest { path_and_query, headers: &head.headers, body: &body };
    match reports.take(&provider, &request).await {
        Ok(status) => respond(Reply::noted(status)),
        Err(forged) => refuse(forged),
    }
}

fn refuse(forged: Forged) -> Response {
    respond(match forged {
        Forged::Credential => Reply::unauthorized(),
        Forged::Signature => Reply::forbidden(),
    })
}
