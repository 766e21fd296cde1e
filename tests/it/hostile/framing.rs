//! Where a request ends, told in more than one way, or wrongly, or with another behind it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{HOOK, SANDBOX, all, case, chunked, in_one_chunk, message, request, with};
use crate::support::server::TestServer;

/// Everything that some reader somewhere takes for `Transfer-Encoding: chunked`, and another does not.
const CODINGS: [&str; 30] = [
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: chunk",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked;q=0.5",
    "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding:",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding\r\n: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\r\r\nTransfer-Encoding: chunked",
];

#[tokio::test]
async fn a_body_has_one_length_or_the_request_is_refused() {
    let mut cases = Vec::new();
    for coding in CODINGS {
        cases.push(case(
            format!("{coding:?} alone"),
            chunked(&in_one_chunk()).replace("Transfer-Encoding: chunked", coding),
            400,
        ));
        cases.push(case(format!("{coding:?} and a length"), with(&format!("{coding}\r\n")), 400));
    }
    // The classics: one of two readers goes by the length, the other by the chunks.
    for (first, second) in
        [("Content-Length: 4", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 4")]
    {
        for casing in [str::to_owned, str::to_ascii_lowercase, str::to_ascii_uppercase] as [fn(&str) -> String; 3] {
            let headers = format!("{}\r\n{}\r\n", casing(first), casing(second));
            cases.push(case(format!("{headers:?}"), request(HOOK, &headers, &in_one_chunk()), 400));
        }
    }
    let body = message();
    let n = body.len();
    let huge = u64::MAX;
    for length in [
        format!("{n}, {n}"),
        format!("{n},{n}"),
        format!("{n} {n}"),
        format!("+{n}"),
        format!("-{n}"),
        format!("{n}.0"),
        format!("0x{n:x}"),
        format!("{n}e0"),
        format!("{n};"),
        format!("\"{n}\""),
        format!("{n}\0"),
        format!("\u{b}{n}"),
        format!("{n}\r\n {n}"),
        String::new(),
        "x".into(),
        "-1".into(),
        format!("{huge}0"),
        "٨".into(),
    ] {
        let headers = format!("Content-Length: {length}\r\n");
        cases.push(case(format!("{headers:?}"), request(HOOK, &headers, &body), 400));
    }
    for (one, two) in [(n, n), (n, n + 1), (n, 0), (0, n)] {
        let headers = format!("Content-Length: {one}\r\nContent-Length: {two}\r\n");
        cases.push(case(format!("lengths {one} and {two}"), request(HOOK, &headers, &body), 400));
    }
    let old = with("").replace("HTTP/1.1", "HTTP/1.0").replace("Content-Length", "Transfer-Encoding: chunked\r\nX");
    cases.push(case("chunks in HTTP/1.0", old, 400));
    all(cases, 85).await;
}

#[tokio::test]
async fn chunks_that_make_no_sense_are_refused() {
    let body = message();
    let n = body.len();
    let mut cases = Vec::new();
    for size in [
        "",
        "g",
        "-1",
        "+5",
        "0x5",
        " ",
        "5 5",
        "\u{b}5",
        "\0",
        ";",
        "FFFFFFFFFFFFFFFFF",
        "ffffffffffffffff0",
        "５",
        "5\0",
        "5,5",
    ] {
        cases.push(case(format!("chunk size {size:?}"), chunked(&format!("{size}\r\n{body}\r\n0\r\n\r\n")), 400));
    }
    for (what, chunks, expected) in [
        ("no line end after the data", format!("{n:x}\r\n{body}0\r\n\r\n"), 400),
        ("more data than announced", format!("{:x}\r\n{body}\r\n0\r\n\r\n", n - 1), 400),
        ("less data than announced", format!("{:x}\r\n{body}\r\n0\r\n\r\n", n + 1), 400),
        ("a bare CR after the size", format!("{n:x}\r{body}\r\n0\r\n\r\n"), 400),
        ("a line feed in an extension", format!("{n:x};a\nb\r\n{body}\r\n0\r\n\r\n"), 400),
        ("an endless extension", format!("{n:x};{}\r\n{body}\r\n0\r\n\r\n", "a".repeat(40_000)), 400),
        ("endless trailers", format!("{n:x}\r\n{body}\r\n0\r\n{}\r\n", "a: b\r\n".repeat(20_000)), 400),
        ("half a message in chunks", format!("5\r\n{}\r\n0\r\n\r\n", &body[..5]), 400),
        ("no chunk at all", "0\r\n\r\n".to_owned(), 400),
        ("no last chunk", format!("{n:x}\r\n{body}\r\n"), 408),
        ("a size and nothing more", "ffffffff\r\n".to_owned(), 408),
        ("many empty promises", format!("{n:x}\r\n"), 408),
        ("far more than is taken", format!("20000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x20000)), 413),
        ("a chunk beyond all memory", format!("fffffffffffffff\r\n{}", "x".repeat(0x20000)), 413),
    ] {
        cases.push(case(what, chunked(&chunks), expected));
    }
    all(cases, 29).await;
}

/// What stands behind a request, or in the body of one that nobody reads, is never taken for another request.
#[tokio::test]
async fn nothing_is_smuggled_behind_another_request() {
    let hidden = with("");
    let n = hidden.len();
    let kept = |line: &str, headers: &str| format!("{line}\r\nHost: x\r\n{headers}\r\n{hidden}");
    let wrong = "Authorization: wrong\r\n";
    let mut cases = vec![
        case("behind a refused caller", kept(HOOK, &format!("{wrong}Content-Length: 0\r\n")), 401),
        case("in the body of a refused caller", kept(HOOK, &format!("{wrong}Content-Length: {n}\r\n")), 401),
        case("behind a malformed head", kept("POST x HTTP/1.1", ""), 400),
        case("behind two lengths", kept("GET /livez HTTP/1.1", "Content-Length: 0\r\nContent-Length: 0\r\n"), 400),
        case("behind a message cut short", format!("{}{hidden}", request(HOOK, "Content-Length: 2\r\n", "{}")), 400),
    ];
    for (line, status) in
        [("GET /livez", 200), ("POST /nowhere", 404), ("PUT /okta/telephony", 405), ("GET /okta/telephony", 405)]
    {
        let line = format!("{line} HTTP/1.1");
        cases.push(case(format!("behind {line}"), kept(&line, ""), status));
        cases.push(case(
            format!("behind {line}, HTTP/1.0"),
            kept(&line.replace("1.1", "1.0"), "Connection: keep-alive\r\n"),
            status,
        ));
        cases.push(case(format!("in the body of {line}"), kept(&line, &format!("Content-Length: {n}\r\n")), status));
        cases.push(case(
            format!("half in the body of {line}"),
            kept(&line, &format!("Content-Length: {}\r\n", n / 2)),
            status,
        ));
        let zero = format!("{line}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
        cases.push(case(format!("behind the last chunk of {line}"), zero, status));
        let one = format!("{line}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n{hidden}\r\n0\r\n\r\n");
        cases.push(case(format!("in a chunk of {line}"), one, status));
    }
    all(cases, 29).await;
}

/// The same, when the hidden request comes only after the answer to the first.
#[tokio::test]
async fn a_body_that_comes_after_the_answer_is_no_request() {
    let server = TestServer::start(SANDBOX).await;
    let hidden = with("");
    for (line, headers) in [
        ("POST /nowhere HTTP/1.1", format!("Content-Length: {}\r\n", hidden.len())),
        ("GET /livez HTTP/1.1", format!("Content-Length: {}\r\n", hidden.len())),
        ("POST /nowhere HTTP/1.1", "Transfer-Encoding: chunked\r\n".to_owned()),
    ] {
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        stream.write_all(format!("{line}\r\nHost: x\r\n{headers}\r\n").as_bytes()).await.expect("written");
        let answer = crate::support::server::read_answer(&mut stream).await;
        assert!(answer.head.contains("connection: close"), "{line} {headers}: {}", answer.head);
        let _ = stream.write_all(hidden.as_bytes()).await;
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("closed");
        assert_eq!(rest, b"");
    }
    assert_eq!(server.attempts().await, [""; 0]);
}
