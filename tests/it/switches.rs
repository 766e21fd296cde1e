//! Run-time switches over the admin listener.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::okta::{self, Understood, understand};
use crate::support::server::{Answer, TestServer, exchange, read_answer};

const TWO: &str = "allow_sandbox = true\n[orgs.main]\n[providers.a]\nkind = 'sandbox'\ndelay = '1ms'\n[providers.b]\nkind = 'sandbox'\ndelay = '1ms'\n";

async fn admin(server: &TestServer, method: &str, path: &str, body: &str, more: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(server.admin, request.as_bytes()).await
}

async fn provider_of(server: &TestServer, to: &str) -> Understood {
    understand(&server.hook(&okta::for_a_stranger(okta::sms(to, "482913"))).await.body)
}

fn sent_by(provider: &str) -> impl Fn(&Understood) -> bool {
    move |understood| matches!(understood, Understood::Command(status, Some(p), Some(_)) if status == "SUCCESSFUL" && p == provider)
}

#[tokio::test]
async fn providers_can_be_drained_disabled_and_brought_back() {
    let server = TestServer::start(TWO).await;
    assert!(sent_by("a")(&provider_of(&server, "+15005550010").await));
    let set = admin(&server, "PUT", "/switches/provider/a", r#"{"state":"drained"}"#, "").await;
    assert_eq!(set.status, 200, "{set:?}");
    assert!(sent_by("b")(&provider_of(&server, "+15005550010").await));
    // Drained and the only one left: better it than nobody.
    admin(&server, "PUT", "/switches/provider/b", r#"{"state":"disabled"}"#, "").await;
    assert!(sent_by("a")(&provider_of(&server, "+15005550010").await));
    admin(&server, "PUT", "/switches/provider/a", r#"{"state":"disabled"}"#, "").await;
    assert!(matches!(provider_of(&server, "+15005550010").await, Understood::Error(_)));
    let ready: Value = serde_json::from_slice(&server.admin_page("/readyz").await.body).expect("JSON");
    let expected = json!([
        { "scope": "provider", "name": "a", "state": "disabled" }, { "scope": "provider", "name": "b", "state": "disabled" }
    ]);
    assert_eq!((&ready["ready"], &ready["switches"]), (&json!(true), &expected));
    admin(&server, "DELETE", "/switches/provider/b", "", "").await;
    assert!(sent_by("b")(&provider_of(&server, "+15005550010").await), "a stays disabled");
    admin(&server, "DELETE", "/switches/provider/a", "", "").await;
    assert!(sent_by("a")(&provider_of(&server, "+15005550010").await));
}

#[tokio::test]
async fn countries_channels_and_everything_can_be_stopped_without_okta_sending_instead() {
    let server = TestServer::start(TWO).await;
    let silent = |u: &Understood| matches!(u, Understood::Command(status, Some(by), None) if status == "SUCCESSFUL" && by == "policy");
    for path in ["/switches/country/us", "/switches/channel/sms", "/switches/everything"] {
        assert_eq!(admin(&server, "PUT", path, r#"{"state":"disabled"}"#, "").await.status, 200, "{path}");
        assert!(silent(&provider_of(&server, "+15005550010").await), "{path}");
        if path.ends_with("/us") {
            assert!(sent_by("a")(&provider_of(&server, "+447400123456").await), "other countries go on");
        }
        assert_eq!(admin(&server, "DELETE", path, "", "").await.status, 200);
    }
    assert!(sent_by("a")(&provider_of(&server, "+15005550010").await));
    // A country's switch is that of the islands with its calling code too.
    let gb = r#"{"state":"disabled"}"#;
    assert_eq!(admin(&server, "PUT", "/switches/country/GB", gb, "").await.status, 200);
    assert!(silent(&provider_of(&server, "+447911123456").await), "Guernsey");
    let line = r#"okta_hook_requests_total{org="main",channel="sms",verdict="blocked"}"#;
    assert_eq!(server.metric(line).await, 4.0, "loud accounting of silent drops");
}

#[tokio::test]
async fn a_switch_is_refused_when_it_is_none_or_the_token_is_missing() {
    let server = TestServer::start(TWO).await;
    for (path, body) in [
        ("/switches/provider/nobody", r#"{"state":"disabled"}"#),
        ("/switches/country/XYZ", r#"{"state":"disabled"}"#),
        // Nobody's numbers: whoever means GB must not believe that it is off.
        ("/switches/country/UK", r#"{"state":"disabled"}"#),
        ("/switches/country/XX", r#"{"state":"disabled"}"#),
        ("/switches/channel/fax", r#"{"state":"disabled"}"#),
        ("/switches/country/US", r#"{"state":"drained"}"#),
        ("/switches/provider/a", r#"{"state":"off"}"#),
        ("/switches/provider/a", "disabled"),
        ("/switches/provider/a", r#"{"state":"disabled","for":"1h"}"#),
    ] {
        assert_eq!(admin(&server, "PUT", path, body, "").await.status, 400, "{path} {body}");
    }
    assert_eq!(server.admin_page("/switches").await.body, br#"{"switches":[]}"#);
    assert_eq!(admin(&server, "POST", "/switches/everything", r#"{"state":"disabled"}"#, "").await.status, 405);
    // A page whose own name points here: without a token its browser would be let do all of that.
    let rebound = b"DELETE /switches/everything HTTP/1.1\r\nhost: attacker.example\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(server.admin, rebound).await.status, 403);
    assert_eq!(server.admin_page("/switches").await.body, br#"{"switches":[]}"#);

    let server = TestServer::start(&format!("{TWO}[admin]\ntoken = 'a long enough token'")).await;
    let bearer = "authorization: Bearer a long enough token\r\n";
    let lower = bearer.replace("Bearer", "bearer");
    for (more, status) in [("", 401), ("authorization: Bearer wrong\r\n", 401), (bearer, 200), (&lower, 200)] {
        let set = admin(&server, "PUT", "/switches/provider/a", r#"{"state":"disabled"}"#, more).await;
        assert_eq!(set.status, status, "{more}");
    }
    assert_eq!(server.admin_page("/switches").await.status, 401);
}

/// A change of a switch whose body does not come.
async fn hang(server: &TestServer, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.admin).await.expect("connects");
    let head = format!("PUT /switches/everything HTTP/1.1\r\nhost: localhost\r\n{more}content-length: 10\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    stream
}

#[tokio::test]
async fn nobody_holds_the_admin_listener_with_bodies_that_do_not_come() {
    let server = TestServer::start(&format!("{TWO}[admin]\ntoken = 'a long enough token'")).await;
    let mut held = Vec::new();
    // As many as there are places on the listener.
    for _ in 0..64 {
        held.push(hang(&server, "").await);
    }
    let ready = tokio::time::timeout(Duration::from_secs(2), server.admin_page("/readyz")).await;
    assert_eq!(ready.expect("a place is free").status, 200);
    assert_eq!(read_answer(&mut held[0]).await.status, 401, "refused by the head alone");

    // With the token: not for long, and not for much.
    let bearer = "authorization: Bearer a long enough token\r\n";
    let mut slow = hang(&server, bearer).await;
    let answer = tokio::time::timeout(Duration::from_secs(4), read_answer(&mut slow)).await;
    assert_eq!(answer.expect("given up").status, 408);
    let long = format!(r#"{{"state":"disabled"{}}}"#, " ".repeat(1024));
    assert_eq!(admin(&server, "PUT", "/switches/everything", &long, bearer).await.status, 413);
    let request = format!("GET /switches HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{bearer}\r\n");
    assert_eq!(exchange(server.admin, request.as_bytes()).await.body, br#"{"switches":[]}"#, "nothing was set");
}
