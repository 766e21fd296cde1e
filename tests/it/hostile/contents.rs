//! Credentials that are not the right one, and bodies that are no message.

use super::{HOOK, all, case, message, request, with};
use crate::support::okta::SECRET;

#[tokio::test]
async fn no_credential_but_the_right_one_once_opens_the_door() {
    let good = with("");
    let right = format!("Authorization: {SECRET}");
    let mut cases = Vec::new();
    for wrong in [
        String::new(),
        "Authorization:".into(),
        format!("Authorization: {}", &SECRET[..SECRET.len() - 1]),
        format!("Authorization: {SECRET}x"),
        format!("Authorization: {SECRET}, {SECRET}"),
        format!("Authorization: {}", SECRET.to_ascii_lowercase()),
        format!("Authorization: {}", SECRET.replace("Basic ", "Bearer ")),
        format!("Authorization: {}", SECRET.replace("Basic ", "")),
        format!("Authorization: {}", SECRET.replace(' ', "  ")),
        format!("Authorization: {SECRET}\u{a0}"),
        format!("{right}\r\n{right}"),
        format!("{right}\r\nAuthorization: x"),
        format!("Authorization: x\r\n{right}"),
        format!("Proxy-{right}"),
        format!("X-{right}"),
        format!("Cookie: {SECRET}"),
        "X-Forwarded-For: 127.0.0.1".into(),
        "X-Original-URL: /okta/telephony\r\nX-Rewrite-URL: /okta/telephony".into(),
    ] {
        cases.push(case(
            format!("{wrong:?}"),
            good.replace(&right, if wrong.is_empty() { "X: y" } else { &wrong }),
            401,
        ));
    }
    let query = format!("POST /okta/telephony?authorization={} HTTP/1.1", SECRET.replace(' ', "%20"));
    cases.push(case("in the query", good.replace(HOOK, &query).replace(&right, "X: y"), 401));
    all(cases, 19).await;
}

#[tokio::test]
async fn bodies_that_are_no_message_are_refused() {
    let good = message();
    let mut cases = Vec::new();
    for (what, body) in [
        ("empty", String::new()),
        ("white space", "  \r\n ".into()),
        ("a word", "null".into()),
        ("a list", format!("[{good}]")),
        ("a text", format!("{good:?}")),
        ("half", good[..good.len() / 2].to_owned()),
        ("all but the last", good[..good.len() - 1].to_owned()),
        ("two", format!("{good}{good}")),
        ("one and a rest", format!("{good},")),
        ("a mark before it", format!("\u{feff}{good}")),
        ("a NUL after it", format!("{good}\0")),
        ("a comment before it", format!("// x\n{good}")),
        ("nested without end", "[".repeat(60_000)),
        (
            "nested deeper than anybody needs",
            good.replace("\"482913\"", &format!("{}1{}", "[".repeat(1000), "]".repeat(1000))),
        ),
        ("a form", "phoneNumber=%2B15005550010&otpCode=482913".into()),
        ("XML", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>".into()),
        ("a number twice", good.replacen("\"phoneNumber\"", "\"phoneNumber\":\"+15005550099\",\"phoneNumber\"", 1)),
        ("a code twice", good.replacen("\"otpCode\"", "\"otpCode\":\"000000\",\"otpCode\"", 1)),
        ("single quotes", good.replace('"', "'")),
        ("half a surrogate", good.replace("482913", "\\ud800")),
    ] {
        cases.push(case(what, request(HOOK, &format!("Content-Length: {}\r\n", body.len()), &body), 400));
    }
    for (what, bytes) in [
        ("no UTF-8", &b"\xff"[..]),
        ("UTF-16", b"\xfe\xff\0{"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0"),
        ("an overlong NUL", b"\xc0\x80"),
    ] {
        let head = request(HOOK, &format!("Content-Length: {}\r\n", bytes.len() + good.len()), "");
        cases.push(case(what, [head.as_bytes(), bytes, good.as_bytes()].concat(), 400));
    }
    let n = good.len();
    cases.push(case(
        "a length that is too short",
        request(HOOK, &format!("Content-Length: {}\r\n", n - 1), &good),
        400,
    ));
    cases.push(case("a length of nothing", request(HOOK, "Content-Length: 0\r\n", &good), 400));
    cases.push(case("no length", request(HOOK, "", &good), 400));
    cases.push(case("a length that is too long", request(HOOK, &format!("Content-Length: {}\r\n", n + 1), &good), 408));
    all(cases, 28).await;
}
