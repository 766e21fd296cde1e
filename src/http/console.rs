//! `GET /` of the admin listener: one page for people that shows what happened and how things are.
//!
//! Must not change anything, nor show what a log line must not. It needs nothing from elsewhere and runs no script, and
//! its policy has the browser hold it to that.

mod html;
mod tables;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

use super::Ops;
use super::admission::Refusal;
use html::Page;

pub(super) async fn show(State(ops): State<Ops>, headers: HeaderMap) -> Result<Response, Refusal> {
    ops.admission.admit_browser(&headers)?;
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        html::style_source()
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, page(&ops)).into_response())
}

fn page(ops: &Ops) -> String {
    let shown = &ops.shown;
    let (now, obstacles) = (shown.clock.now(), ops.obstacles());
    let state = if obstacles.is_empty() { "ready" } else { "not ready" };
    let mut page = Page::new(&format!("{state} - okta-telephony-hook"));
    page.note(&format!("As of {}. This process alone; every 10 seconds anew.", tables::moment(now)));
    page.table(&tables::state(shown, &obstacles, now));
    page.table(&tables::providers(shown));
    page.table(&tables::learned(shown));
    page.table(&tables::hooks(shown));
    page.finish()
}
