//! Where keys are looked for, and what is believed on the way there.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::outbound;

fn source(issuer: &str) -> Source {
    Source { issuer: issuer.to_owned(), address: issuer.parse().expect("URL"), jwks_url: None }
}

#[test]
fn places_lie_below_the_path_of_the_issuer() {
    let place = |issuer: &str| below(&source(issuer).address, KEYS).to_string();
    assert_eq!(place("https://example.okta.com/oauth2/default"), "https://example.okta.com/oauth2/default/v1/keys");
    assert_eq!(place("https://example.okta.com/oauth2/default/"), "https://example.okta.com/oauth2/default/v1/keys");
    assert_eq!(place("https://example.okta.com"), "https://example.okta.com/v1/keys");
}

#[test]
fn metadata_cannot_send_us_elsewhere() {
    const ISSUER: &str = "https://example.okta.com/oauth2/default";
    let local = "http://127.0.0.1:8000";
    for (issuer, named, jwks_uri, expected, why) in [
        (ISSUER, ISSUER, "https://example.okta.com/oauth2/default/v1/keys", None, "as Okta answers"),
        (ISSUER, ISSUER, "https://EXAMPLE.okta.com:8443/k", None, "same host, another port"),
        (
            ISSUER,
            "",
            "https://example.okta.com/k",
            None,
            "it does not say whose they are: asked there, they are the issuer's",
        ),
        (ISSUER, "", "https://evil.example/keys", Some(Fault::Elsewhere), "nor does that let it send us elsewhere"),
        (local, local, "http://127.0.0.1:9000/keys", None, "plain, but on this machine"),
        (
            ISSUER,
            "https://example.okta.com/oauth2/default/",
            "https://example.okta.com/k",
            Some(Fault::OtherIssuer),
            "a slash more",
        ),
        (
            ISSUER,
            "https://evil.example/oauth2/default",
            "https://example.okta.com/k",
            Some(Fault::OtherIssuer),
            "somebody else",
        ),
        (ISSUER, ISSUER, "https://evil.example/keys", Some(Fault::Elsewhere), "another host"),
        (ISSUER, ISSUER, "https://example.okta.com.evil.example/k", Some(Fault::Elsewhere), "a longer host"),
        (ISSUER, ISSUER, "http://example.okta.com/k", Some(Fault::Elsewhere), "plain"),
        (
            ISSUER,
            ISSUER,
            "http://169.254.169.254/latest/meta-data",
            Some(Fault::Elsewhere),
            "a cloud's metadata service",
        ),
        (ISSUER, ISSUER, "http://127.0.0.1:9464/metrics", Some(Fault::Elsewhere), "ourselves"),
        (ISSUER, ISSUER, "file:///etc/passwd", Some(Fault::Elsewhere), "a file"),
        (ISSUER, ISSUER, "https://user:word@example.okta.com/k", Some(Fault::Elsewhere), "with a credential"),
        (local, local, "http://127.0.0.2:8000/k", Some(Fault::Elsewhere), "another loopback address"),
    ] {
        let metadata = Metadata {
            issuer: (!named.is_empty()).then(|| named.to_owned()),
            jwks_uri: jwks_uri.parse().expect("URL"),
        };
        assert_eq!(trusted(&source(issuer), metadata).err(), expected, "{why}");
    }
}

/// A server on loopback that answers each path with these header lines (the status line first) and body, or with 404;
/// with the paths it was asked for.
async fn server(answers: Vec<(&'static str, String, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let origin = format!("http://{}", listener.local_addr().expect("address"));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (log, own) = (Arc::clone(&asked), origin.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            let path = String::from_utf8_lossy(&request[..length]).split(' ').nth(1).expect("a path").to_owned();
            let found = answers.iter().find(|(place, ..)| *place == path);
            let (head, body) = found.map_or(("404 Not Found", "{}"), |(_, head, body)| (head, body));
            let body = body.replace("ORIGIN", &own);
            log.lock().expect("log").push(path);
            let length = body.len();
            let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.expect("written");
        }
    });
    (origin, asked)
}

fn key_set() -> String {
    json!({ "keys": [{ "kty": "RSA", "kid": "one", "n": "x".repeat(342) + "w", "e": "AQAB" }] }).to_string()
}

async fn fetch(source: &Source) -> Result<Fetched, Fault> {
    let outbound = Outbound::new(&outbound::Settings::default()).expect("a client");
    keys(source, &outbound).await
}

#[tokio::test]
async fn the_life_of_keys_is_what_the_issuer_says_within_reason() {
    for (head, seconds, why) in [
        ("200 OK", 3600, "nothing said"),
        ("200 OK\r\ncache-control: max-age=5209, must-revalidate", 5209, "as Okta says it"),
        ("200 OK\r\nCache-Control: public, MAX-AGE = \"700\"", 700, "in another spelling"),
        ("200 OK\r\ncache-control: public\r\ncache-control: max-age=900", 900, "in a second header"),
        ("200 OK\r\ncache-control: max-age=10", 300, "too short"),
        ("200 OK\r\ncache-control: no-store, max-age=0", 300, "not at all"),
        ("200 OK\r\ncache-control: max-age=31536000", 86_400, "a year"),
        ("200 OK\r\ncache-control: s-maxage=900", 3600, "for proxies"),
        ("200 OK\r\ncache-control: max-age=soon", 3600, "no number"),
    ] {
        let (origin, _) = server(vec![("/keys", head.to_owned(), key_set())]).await;
        let jwks_url = Some(format!("{origin}/keys").parse().expect("URL"));
        let fetched = fetch(&Source { jwks_url, ..source("https://issuer.example") }).await.expect(why);
        assert_eq!(fetched.life, Duration::from_secs(seconds), "{why}");
    }
}

#[tokio::test]
async fn metadata_are_looked_for_in_two_places_before_okta_s_own_is_taken() {
    const OAUTH: &str = "/a/.well-known/oauth-authorization-server";
    const OPENID: &str = "/a/.well-known/openid-configuration";
    let metadata = || json!({ "issuer": "ORIGIN/a", "jwks_uri": "ORIGIN/a/certs" }).to_string();
    let ok = || "200 OK".to_owned();
    let certs = || ("/a/certs", ok(), key_set());
    let html = || "<html>not found</html>".to_owned();
    let moved = || "302 Found\r\nlocation: http://127.0.0.1:9/".to_owned();
    let lying = || json!({ "issuer": "ORIGIN/b", "jwks_uri": "ORIGIN/a/certs" }).to_string();
    for (answers, asked, expected, why) in [
        (vec![(OAUTH, ok(), metadata()), certs()], vec![OAUTH, "/a/certs"], None, "the first"),
        (vec![(OPENID, ok(), metadata()), certs()], vec![OAUTH, OPENID, "/a/certs"], None, "the second"),
        (vec![("/a/v1/keys", ok(), key_set())], vec![OAUTH, OPENID, "/a/v1/keys"], None, "neither"),
        (
            vec![(OAUTH, ok(), html()), (OPENID, moved(), String::new()), ("/a/v1/keys", ok(), key_set())],
            vec![OAUTH, OPENID, "/a/v1/keys"],
            None,
            "a page and a redirect are no metadata",
        ),
        (vec![(OAUTH, ok(), lying()), certs()], vec![OAUTH], Some(Fault::OtherIssuer), "a lie ends the search"),
        (vec![(OAUTH, ok(), metadata())], vec![OAUTH, "/a/certs"], Some(Fault::Status(404)), "no keys there"),
        (
            vec![(OAUTH, ok(), metadata()), ("/a/certs", moved(), String::new())],
            vec![OAUTH, "/a/certs"],
            Some(Fault::Status(302)),
            "a redirect is not followed",
        ),
        (
            vec![(OAUTH, ok(), metadata()), ("/a/certs", ok(), "x".repeat(70_000))],
            vec![OAUTH, "/a/certs"],
            Some(Fault::NoAnswer("answer_too_large".to_owned())),
            "too large",
        ),
    ] {
        let (origin, log) = server(answers).await;
        assert_eq!(fetch(&source(&format!("{origin}/a"))).await.err(), expected, "{why}");
        assert_eq!(*log.lock().expect("log"), asked, "{why}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_fault_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let origin = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    assert_eq!(fetch(&source(&origin)).await.err(), Some(Fault::NoAnswer("connect".to_owned())));
}
