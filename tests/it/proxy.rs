//! A proxy between us and the vendors: what it gets to see.

use http::HeaderValue;
use okta_telephony_hook::otp::FailureKind;
use okta_telephony_hook::outbound::{Outbound, ProxyUrl, Request, Settings};

use crate::support::vendor::{Answer, VendorServer};

/// `user:p@ss`, as a proxy wants it.
const CREDENTIAL: &str = "Basic dXNlcjpwQHNz";

fn through(proxy: &VendorServer) -> Outbound {
    let url = proxy.url.replace("http://", "http://user:p%40ss@").parse().expect("address");
    let settings = Settings { proxy: Some(ProxyUrl(url)), ..Settings::default() };
    let shown = format!("{settings:?}");
    assert!(shown.contains("127.0.0.1") && !shown.contains("p%40ss") && !shown.contains("user"), "{shown}");
    Outbound::new(&settings).expect("a client")
}

fn request(url: &str) -> Request {
    Request::post(url.parse().expect("address"), &HeaderValue::from_static("Bearer key"), "text/plain", "code 123456")
}

#[tokio::test]
async fn a_vendor_without_tls_is_asked_by_its_whole_address() {
    let proxy = VendorServer::start([Answer::json(201, "done")]).await;
    let answer = through(&proxy).send(request("http://vendor.example/messages?a=b")).await.expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (201, &b"\"done\""[..]));
    let calls = proxy.finish();
    assert_eq!((calls.len(), calls[0].method.as_str()), (1, "POST"));
    assert_eq!(calls[0].path, "http://vendor.example/messages?a=b");
    assert_eq!(calls[0].header("host"), Some("vendor.example"));
    assert_eq!(calls[0].header("proxy-authorization"), Some(CREDENTIAL));
}

#[tokio::test]
async fn a_vendor_behind_tls_is_reached_through_a_tunnel_and_a_closed_one_proves_that_nothing_was_sent() {
    let proxy = VendorServer::start([Answer::json(403, "no")]).await;
    let error = through(&proxy).send(request("https://vendor.example/messages")).await.expect_err("no tunnel");
    assert_eq!((error.kind, error.code.as_str()), (FailureKind::Unavailable, "connect"));
    let calls = proxy.finish();
    assert_eq!((calls.len(), calls[0].method.as_str(), calls[0].path.as_str()), (1, "CONNECT", "vendor.example:443"));
    assert_eq!(calls[0].header("proxy-authorization"), Some(CREDENTIAL));
    assert_eq!((calls[0].header("authorization"), calls[0].body.as_str()), (None, ""), "nothing for the vendor");
}
