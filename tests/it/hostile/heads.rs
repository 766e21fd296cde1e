//! Heads with bytes, lines and sizes that no head has, and protocols that are not ours.

use super::{CLOSED, HOOK, all, case, message, request, with};

#[tokio::test]
async fn bytes_that_belong_in_no_head_are_refused() {
    let mut cases = Vec::new();
    let splice = |before: &str, byte: u8, after: &str| [before.as_bytes(), &[byte], after.as_bytes()].concat();
    let good = with("X-A: y\r\n");
    let (before, after) = good.split_once("X-A: y").expect("header");
    for byte in (0..32).chain([127]).filter(|b| !b"\t\r\n".contains(b)) {
        let value = [before.as_bytes(), b"X-A: a", &[byte], b"b", after.as_bytes()].concat();
        cases.push(case(format!("byte {byte} in a value"), value, 400));
        let name = [before.as_bytes(), b"X-", &[byte], b"A: y", after.as_bytes()].concat();
        cases.push(case(format!("byte {byte} in a name"), name, 400));
        let target = splice("POST /okta", byte, &good["POST /okta".len()..]);
        cases.push(case(format!("byte {byte} in the target"), target, 400));
        let method = splice("PO", byte, &good["PO".len()..]);
        cases.push(case(format!("byte {byte} in the method"), method, 400));
    }
    for byte in *b" \t\"(),/;<=>?@[\\]{}\x80\xff" {
        let name = [before.as_bytes(), b"X-", &[byte], b"A: y", after.as_bytes()].concat();
        cases.push(case(format!("{:?} in a name", byte as char), name, 400));
    }
    for (what, header) in [
        ("a folded value", "X-A: y\r\n folded"),
        ("a value folded by a tab", "X-A: y\r\n\tfolded"),
        ("a fold before every header", "X-A:\r\n "),
        ("no colon", "X-A"),
        ("no name", ": y"),
        ("a line of spaces", "   "),
        ("a bare line feed between headers", "X-A: y\nX-B: z"),
        ("a bare carriage return between headers", "X-A: y\rX-B: z"),
        ("two carriage returns", "X-A: y\r\r"),
        ("an end of head by line feeds", "X-A: y\n\n"),
        ("an end of head by mixed line ends", "X-A: y\n\r\n"),
    ] {
        cases.push(case(what, with(&format!("{header}\r\n")), 400));
    }
    cases.push(case("line feeds alone", with("").replace("\r\n", "\n"), 400));
    cases.push(case("carriage returns alone", with("").replace("\r\n", "\r"), 400));
    cases.push(case("no Host", with("").replace("Host: x\r\n", ""), 400));
    cases.push(case("two Hosts", with("Host: y\r\n"), 400));
    cases.push(case("the same Host twice", with("Host: x\r\n"), 400));
    all(cases, 150).await;
}

#[tokio::test]
async fn no_other_first_line_than_a_path_in_http_1_is_understood() {
    let body = message();
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut cases = Vec::new();
    for (target, expected) in [
        ("http://x/okta/telephony", 400),
        ("https://x/okta/telephony", 400),
        ("HTTP://X/okta/telephony", 400),
        ("ftp://x/okta/telephony", 400),
        ("file:///okta/telephony", 400),
        ("x:443", 400),
        ("*", 400),
        ("", 400),
        ("x", 400),
        ("okta/telephony", 400),
        ("?/okta/telephony", 400),
        ("\\okta\\telephony", 400),
        ("/okta/telephony#x", 400),
        ("/okta/telephony ", 400),
        (" /okta/telephony", 400),
        ("/okta /telephony", 400),
        ("/okta/telephony HTTP/1.1", 400),
        ("//okta/telephony", 404),
        ("/okta//telephony", 404),
        ("/okta/telephony/", 404),
        ("/okta/./telephony", 404),
        ("/x/../okta/telephony", 404),
        ("/okta/telephony/..", 404),
        ("/okta%2ftelephony", 404),
        ("/%6fkta/telephony", 404),
        ("/okta/telephony%00", 404),
        ("/okta/telephony%0d%0aX:y", 404),
        ("/okta/telephony;x=1", 404),
        ("/OKTA/TELEPHONY", 404),
        ("/okta/telephony\\", 404),
        ("/..%2f..%2fetc/passwd", 404),
        ("/.env", 404),
        ("/metrics", 404),
        ("/readyz", 404),
    ] {
        cases.push(case(
            format!("target {target:?}"),
            request(&format!("POST {target} HTTP/1.1"), &length, &body),
            expected,
        ));
    }
    for (version, expected) in [
        ("HTTP/2.0", 400),
        ("HTTP/1.2", 400),
        ("HTTP/1.10", 400),
        ("HTTP/1.", 400),
        ("HTTP/1", 400),
        ("HTTP/11", 400),
        ("HTTP/0.9", 400),
        ("HTTP/3", 400),
        ("http/1.1", 400),
        ("HTTP/1.1 ", 400),
        ("HTTP /1.1", 400),
        ("HTTPS/1.1", 400),
        ("ICY", 400),
        ("", 400),
    ] {
        cases.push(case(
            format!("version {version:?}"),
            request(&format!("POST /okta/telephony {version}"), &length, &body),
            expected,
        ));
    }
    for (method, expected) in [
        ("post", 405),
        ("Post", 405),
        ("GET", 405),
        ("HEAD", 405),
        ("PUT", 405),
        ("DELETE", 405),
        ("PATCH", 405),
        ("OPTIONS", 405),
        ("TRACE", 405),
        ("CONNECT", 405),
        ("PROPFIND", 405),
        ("POSTX", 405),
        ("XPOST", 405),
        ("P0ST", 405),
        ("\"POST\"", 400),
        ("", 400),
        ("PÖST", 400),
        ("POST\t", 400),
        ("PO ST", 400),
    ] {
        cases.push(case(
            format!("method {method:?}"),
            request(&format!("{method} /okta/telephony HTTP/1.1"), &length, &body),
            expected,
        ));
    }
    let long = "x".repeat(1000);
    cases.push(case("a long method", request(&format!("{long} /okta/telephony HTTP/1.1"), &length, &body), 405));
    all(cases, 65).await;
}

#[tokio::test]
async fn other_protocols_are_not_understood() {
    let good = with("");
    all(
        vec![
            case("HTTP/0.9", "GET /okta/telephony\r\n", 400),
            case("HTTP/0.9 with an end", "GET /okta/telephony\r\n\r\n", 400),
            case("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", CLOSED),
            case("HTTP/2 preface, then HTTP/1.1", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{good}"), CLOSED),
            case("PROXY protocol 1", format!("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n{good}"), 400),
            case("PROXY protocol 2", [&b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x00"[..], good.as_bytes()].concat(), 400),
            case("TLS", [&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 193]].concat(), 400),
            case("SSH", "SSH-2.0-OpenSSH_9.6\r\n", 400),
            case("SMTP", "EHLO x\r\nMAIL FROM:<x@example.com>\r\n", 400),
            case("Redis", "*1\r\n$4\r\nPING\r\n", 400),
            case("RTSP", "DESCRIBE rtsp://x/y RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
            case("SIP", "INVITE sip:x@y SIP/2.0\r\nVia: z\r\n\r\n", 400),
            case("zeros", vec![0; 5000], 400),
            case("ones", vec![0xff; 5000], 400),
            case("a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400),
            case("empty lines without end", "\r\n".repeat(20_000), 431),
            case("nothing", "", CLOSED),
            case("half a head", &good.as_bytes()[..60], CLOSED),
            case("half a word", "PO", CLOSED),
        ],
        19,
    )
    .await;
}

#[tokio::test]
async fn sizes_have_an_end() {
    let body = message();
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut cases = Vec::new();
    for size in [17_000, 100_000, 1_000_000] {
        let long = "x".repeat(size);
        cases.push(case(format!("a value of {size}"), with(&format!("X-A: {long}\r\n")), 431));
        cases.push(case(format!("a name of {size}"), with(&format!("{long}: y\r\n")), 431));
        cases.push(case(
            format!("a target of {size}"),
            request(&format!("POST /okta/telephony?{long} HTTP/1.1"), &length, &body),
            431,
        ));
        cases.push(case(format!("a method of {size}"), request(&format!("{long} / HTTP/1.1"), &length, &body), 431));
    }
    for count in [101, 1000, 20_000] {
        cases.push(case(format!("{count} headers"), with(&"a: b\r\n".repeat(count)), 431));
    }
    for announced in ["65537", "10000000", "4294967296", "9223372036854775807"] {
        cases.push(case(
            format!("{announced} bytes announced"),
            request(HOOK, &format!("Content-Length: {announced}\r\n"), &body),
            413,
        ));
    }
    cases.push(case(
        "the largest number as a length",
        request(HOOK, &format!("Content-Length: {}\r\n", u64::MAX), &body),
        431,
    ));
    all(cases, 20).await;
}
