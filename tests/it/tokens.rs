//! The long table of access tokens, each taken through the whole server.

mod cases;
mod table;

use crate::oauth::{configuration, ready};
use crate::support::issuer::{Issuer, Mode};
use crate::support::jwt::{FIRST, SECOND};
use crate::support::okta;
use crate::support::server::TestServer;
use table::Case;

/// All counters of refused tokens, by reason.
async fn rejected(server: &TestServer) -> Vec<(String, f64)> {
    let page = String::from_utf8(server.admin_page("/metrics").await.body).expect("text");
    let counter = |line: &str| {
        let (reason, count) =
            line.strip_prefix(r#"okta_hook_tokens_rejected_total{org="bare",reason=""#)?.split_once("\"} ")?;
        Some((reason.to_owned(), count.parse().ok()?))
    };
    let mut counters: Vec<(String, f64)> = page.lines().filter_map(counter).collect();
    counters.sort_by(|a, b| a.0.cmp(&b.0));
    counters
}

#[tokio::test]
async fn every_token_gets_the_verdict_it_deserves() {
    let issuer = Issuer::start(Mode::Up, &[&FIRST, &SECOND]).await;
    let server = TestServer::start(&configuration(&issuer.name)).await;
    ready(&server).await;
    let cases = cases::all(&issuer.name);
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut answers = Vec::new();
    let mut before = rejected(&server).await;
    for Case { why, headers, verdict } in &cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = okta::another_sms().to_string();
        let answer = server.post("/bare", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, if verdict.is_ok() { 200 } else { 401 }, "{why}");
        let after = rejected(&server).await;
        let count = |counters: &[(String, f64)], reason: &str| {
            counters.iter().find(|(r, _)| r == reason).map_or(0.0, |(_, count)| *count)
        };
        let counted: Vec<&str> =
            after.iter().filter(|(r, n)| *n > count(&before, r)).map(|(reason, _)| reason.as_str()).collect();
        assert_eq!(counted, verdict.err().flatten().into_iter().collect::<Vec<_>>(), "{why}");
        before = after;
        if verdict.is_err() {
            let head: Vec<String> =
                answer.head.lines().filter(|l| !l.starts_with("date:")).map(str::to_owned).collect();
            answers.push((head, answer.body));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "every refusal looks the same: {:?}", answers[0]);
    let admitted = cases.iter().filter(|case| case.verdict.is_ok()).count();
    let sent = server.metric(r#"okta_hook_attempts_total{provider="sandbox",channel="sms",kind="accepted"}"#).await;
    assert_eq!(sent, admitted as f64, "nothing was sent for whoever was refused");
    assert_eq!(issuer.key_fetches(), 2, "at the start, and once for all the keys nobody has");
    assert!(issuer.asked().iter().all(|path| path.starts_with("/oauth2/default/")), "{:?}", issuer.asked());
}
