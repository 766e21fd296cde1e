//! The front door: methods, paths, sizes, slow callers, and an orderly end.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use okta_telephony_hook::app::Stop;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::callbacks;
use crate::support::eventually;
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::server::{TestServer, exchange, read_answer};

const SANDBOX: &str = "allow_sandbox = true\n[orgs.main]\n[providers.sandbox]\nkind = 'sandbox'\ndelay = '5ms'\n";

async fn attempts(server: &TestServer) -> f64 {
    server.metric(r#"okta_hook_attempts_total{provider="sandbox",channel="sms",kind="accepted"}"#).await
}

#[tokio::test]
async fn only_what_is_documented_is_there() {
    let server = TestServer::start(SANDBOX).await;
    for (request, status) in [
        ("GET /livez", 200),
        ("GET /okta/telephony", 405),
        ("PUT /okta/telephony", 405),
        ("POST /livez", 405),
        ("POST /okta/telephony/", 404),
        ("POST /okta", 404),
        ("GET /", 404),
        ("GET /metrics", 404),
        ("GET /readyz", 404),
        ("TRACE /okta/telephony", 405),
    ] {
        let bytes = format!("{request} HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\n\r\n");
        let answer = exchange(server.public, bytes.as_bytes()).await;
        assert_eq!(answer.status, status, "{request}");
        assert!(answer.head.contains("content-type: application/json"), "{request}: {}", answer.head);
        assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{request}");
        assert!(!answer.head.contains("server:"), "{}", answer.head);
        assert_eq!(answer.head.contains("allow: post"), status == 405 && request.ends_with("telephony"), "{request}");
    }
    assert_eq!(attempts(&server).await, 0.0);
}

#[tokio::test]
async fn the_admin_listener_tells_life_readiness_and_metrics() {
    let server = TestServer::start(SANDBOX).await;
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/okta/telephony", 404)] {
        assert_eq!(server.admin_page(path).await.status, status, "{path}");
    }
    let guarded = TestServer::start(&format!("{SANDBOX}\n[admin]\ntoken = 'a long enough token'")).await;
    assert_eq!(guarded.admin_page("/metrics").await.status, 401);
    assert_eq!(guarded.admin_page("/readyz").await.status, 200);
    let request =
        "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a long enough token\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(guarded.admin, request.as_bytes()).await.status, 200);
    let twice = request.replace("connection:", "authorization: Bearer another\r\nconnection:");
    assert_eq!(exchange(guarded.admin, twice.as_bytes()).await.status, 401);
}

#[tokio::test]
async fn metrics_come_in_the_form_that_is_accepted() {
    let server = TestServer::start(SANDBOX).await;
    for (accept, content_type, name, end) in [
        ("", "text/plain; version=0.0.4", "# TYPE okta_hook_shed_total counter\n", false),
        ("accept: text/plain\r\n", "text/plain; version=0.0.4", "# TYPE okta_hook_shed_total counter\n", false),
        (
            "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n",
            "application/openmetrics-text; version=1.0.0",
            "# TYPE okta_hook_shed counter\n",
            true,
        ),
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n{accept}connection: close\r\n\r\n");
        let answer = exchange(server.admin, request.as_bytes()).await;
        let page = String::from_utf8_lossy(&answer.body);
        assert!(answer.head.contains(content_type), "{accept}: {}", answer.head);
        assert!(page.contains(name) && page.contains("\nokta_hook_shed_total 0\n"), "{accept}: {page}");
        assert_eq!(page.ends_with("# EOF\n"), end, "{accept}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_comes() {
    let server = TestServer::start(SANDBOX).await;
    let head = format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\n");
    let announced = format!("{head}content-length: 10000000\r\n\r\n{{");
    assert_eq!(exchange(server.public, announced.as_bytes()).await.status, 413);
    let exact = "x".repeat(64 * 1024 + 1);
    let over = format!("{head}content-length: {}\r\n\r\n{exact}", exact.len());
    assert_eq!(exchange(server.public, over.as_bytes()).await.status, 413);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n10001\r\n{exact}\r\n0\r\n\r\n");
    assert_eq!(exchange(server.public, chunked.as_bytes()).await.status, 413);
    let mut at_limit = okta::sms("+15005550010", "482913").to_string();
    at_limit.push_str(&" ".repeat(64 * 1024 - at_limit.len()));
    assert_eq!(server.post("/okta/telephony", &[("authorization", SECRET)], at_limit.as_bytes()).await.status, 200);
    assert_eq!(attempts(&server).await, 1.0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let server = TestServer::start(&format!("{SANDBOX}\n[server]\nbody_timeout = '200ms'")).await;
    let head =
        format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: 10\r\n\r\n{{");
    assert_eq!(exchange(server.public, head.as_bytes()).await.status, 408);
    assert_eq!(attempts(&server).await, 0.0);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_before_the_body_is_sent() {
    let server = TestServer::start(SANDBOX).await;
    let head = "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: wrong\r\ncontent-length: 800\r\nexpect: 100-continue\r\n\r\n";
    let answer = exchange(server.public, head.as_bytes()).await;
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("connection: close"));
}

/// Opens a connection, writes, and tells how long the server bore with it.
async fn patience(address: SocketAddr, bytes: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let started = Instant::now();
    stream.write_all(bytes).await.expect("written");
    let end = timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "still open after 20 s");
    started.elapsed()
}

#[tokio::test]
async fn silent_and_dribbling_callers_are_cut_off() {
    let server =
        TestServer::start(&format!("{SANDBOX}\n[server]\nheader_timeout = '300ms'\nidle_timeout = '30s'")).await;
    for bytes in [&b""[..], b"POST /okta", b"POST /okta/telephony HTTP/1.1\r\nhost: x\r\n"] {
        let borne = patience(server.public, bytes).await;
        assert!((250..10_000).contains(&borne.as_millis()), "{borne:?} {bytes:?}");
    }
    // Bytes that keep coming buy no time: the head as a whole has the limit.
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if stream.write_all(b"x").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn no_route_waits_long_for_a_body_that_does_not_come() {
    let events = "[orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = 'an-event-hook-secret-0123'\n";
    let limits = "[server]\npublic_url = 'https://otp.example.com'\nbody_timeout = '300ms'\n";
    let twilio = callbacks::twilio("http://127.0.0.1:9", "auth_token = '0123456789abcdef0123456789abcdef'");
    let server = TestServer::start(&format!("{limits}{events}{twilio}")).await;
    let hook = format!("POST /okta/telephony HTTP/1.1\r\nauthorization: {SECRET}");
    let public = [
        hook.as_str(),
        "POST /okta/telephony HTTP/1.1",
        "POST /okta/events HTTP/1.1\r\nx-okta-events: an-event-hook-secret-0123",
        "POST /okta/events HTTP/1.1",
        "GET /okta/events HTTP/1.1",
        "POST /callbacks/twilio HTTP/1.1",
        "POST /callbacks/nobody HTTP/1.1",
        "GET /livez HTTP/1.1",
        "POST /nowhere HTTP/1.1",
    ];
    let admin = [
        "GET / HTTP/1.1",
        "GET /metrics HTTP/1.1",
        "GET /learned HTTP/1.1",
        "GET /switches HTTP/1.1",
        "PUT /switches/provider/twilio HTTP/1.1",
        "DELETE /switches/provider/twilio HTTP/1.1",
        "PUT /switches/everything HTTP/1.1",
        "DELETE /switches/everything HTTP/1.1",
        "POST /readyz HTTP/1.1",
    ];
    let public = public.map(|head| (server.public, head));
    let all = public.into_iter().chain(admin.map(|head| (server.admin, head)));
    // At once, as each is borne for a second.
    let all = all.map(async |(address, head)| {
        let request = format!("{head}\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n");
        (patience(address, request.as_bytes()).await, head)
    });
    for (borne, head) in join_all(all).await {
        assert!(borne < Duration::from_secs(4), "{borne:?} {head}");
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_may_rest_between_them() {
    let server =
        TestServer::start(&format!("{SANDBOX}\n[server]\nheader_timeout = '300ms'\nidle_timeout = '5s'")).await;
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    for code in ["482911", "482912", "482913"] {
        let body = okta::sms("+15005550010", code).to_string();
        let request = format!(
            "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("written");
        assert_eq!(read_answer(&mut stream).await.status, 200);
        // Longer than a head may take: rest is not dribbling.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(attempts(&server).await, 3.0);
}

#[tokio::test]
async fn the_budget_counts_from_the_first_byte_of_the_head() {
    let server = TestServer::start(&SANDBOX.replace("[orgs.main]", "[orgs.main]\nbudget = '500ms'")).await;
    let body = okta::another_sms().to_string();
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    stream.write_all(b"POST /okta/telephony HTTP/1.1\r\n").await.expect("written");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let rest = format!("host: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(rest.as_bytes()).await.expect("written");
    let answer = read_answer(&mut stream).await;
    assert!(matches!(understand(&answer.body), Understood::Error(_)), "there was no time left");
    assert_eq!(attempts(&server).await, 0.0);
}

#[tokio::test]
async fn over_the_cap_hooks_are_429_at_once_and_not_sent() {
    let server = TestServer::start(&format!("{SANDBOX}\n[server]\nmax_in_flight = 1")).await;
    let slow = okta::sms("+15005550011", "482913");
    let (first, second) = tokio::join!(server.hook(&slow), async {
        eventually("the first is in flight", async || server.metric("okta_hook_in_flight").await >= 1.0).await;
        server.hook(&okta::sms("+15005550010", "482914")).await
    });
    assert_eq!((first.status, second.status), (200, 429));
    assert!(second.head.contains("retry-after: 1"));
    assert_eq!(attempts(&server).await, 1.0);
    assert_eq!(server.metric("okta_hook_shed_total").await, 1.0);
}

#[tokio::test]
async fn connections_over_the_cap_wait_for_a_place() {
    let server = TestServer::start(&format!("{SANDBOX}\n[server]\nmax_connections = 1\nheader_timeout = '1s'")).await;
    let idle = TcpStream::connect(server.public).await.expect("connects");
    let started = Instant::now();
    assert_eq!(server.hook(&okta::sms("+15005550010", "482913")).await.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(300), "served beside the idle connection");
    drop(idle);
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_end_and_detached_attempts_too() {
    let mut server = TestServer::start(&format!("{SANDBOX}\n[server]\nshutdown_delay = '2s'")).await;
    let slow = okta::sms("+15005550011", "482913");
    let address = server.public;
    let in_flight = tokio::spawn({
        let body = slow.to_string();
        async move {
            let request = format!(
                "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            exchange(address, request.as_bytes()).await
        }
    });
    eventually("it is in flight", async || server.metric("okta_hook_in_flight").await >= 1.0).await;
    server.begin_stop(Stop::Announced);
    eventually("it is no longer ready", async || server.admin_page("/readyz").await.status != 200).await;
    // Not ready, and still there for whoever has not noticed.
    assert_eq!(server.hook(&okta::sms("+15005550010", "482914")).await.status, 200);
    let answer = in_flight.await.expect("no panic");
    assert!(matches!(understand(&answer.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    server.ended().await;
    assert!(TcpStream::connect(address).await.is_err());
}

fn hook_request(body: &str) -> String {
    format!(
        "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn between_announcement_and_end_every_answer_says_that_the_connection_closes() {
    let mut server = TestServer::start(&format!("{SANDBOX}\n[server]\nshutdown_delay = '300ms'")).await;
    let mut kept = TcpStream::connect(server.public).await.expect("connects");
    let hook = hook_request(&okta::another_sms().to_string());
    kept.write_all(hook.as_bytes()).await.expect("written");
    assert!(!read_answer(&mut kept).await.head.contains("connection: close"));
    server.begin_stop(Stop::Announced);
    while server.admin_page("/readyz").await.status == 200 {
        tokio::task::yield_now().await;
    }
    let livez = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut others = Vec::new();
    for address in [server.public, server.admin] {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(livez.as_bytes()).await.expect("written");
        others.push(stream);
    }
    kept.write_all(hook_request(&okta::another_sms().to_string()).as_bytes()).await.expect("written");
    others.push(kept);
    for mut stream in others {
        let answer = read_answer(&mut stream).await;
        assert!(answer.status == 200 && answer.head.contains("connection: close"), "{}", answer.head);
    }
    server.ended().await;
}

#[tokio::test]
async fn who_is_connected_when_the_end_comes_is_answered() {
    let mut server = TestServer::start(SANDBOX).await;
    let hook = hook_request(&okta::another_sms().to_string());
    let (early, late) = hook.split_at(40);
    let mut silent = TcpStream::connect(server.public).await.expect("connects");
    let mut half = TcpStream::connect(server.public).await.expect("connects");
    half.write_all(early.as_bytes()).await.expect("written");
    // Until both have been let in.
    while server.metric("okta_hook_connections ").await < 2.0 {
        tokio::task::yield_now().await;
    }
    // In the kernel's queue: nothing runs between this and the stop that could let it in.
    let waiting = std::net::TcpStream::connect(server.public).expect("connects");
    server.begin_stop(Stop::Immediate);
    tokio::time::sleep(Duration::from_millis(100)).await;
    silent.write_all(hook_request(&okta::another_sms().to_string()).as_bytes()).await.expect("written");
    waiting.set_nonblocking(true).expect("set");
    let mut waiting = TcpStream::from_std(waiting).expect("a stream");
    waiting.write_all(hook_request(&okta::another_sms().to_string()).as_bytes()).await.expect("written");
    for stream in [&mut silent, &mut waiting] {
        assert_eq!(read_answer(stream).await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    half.write_all(late.as_bytes()).await.expect("written");
    assert_eq!(read_answer(&mut half).await.status, 200);
    server.ended().await;
}

#[tokio::test]
async fn who_waits_for_a_place_when_the_end_comes_is_answered() {
    let mut server = TestServer::start(&format!("{SANDBOX}\n[server]\nmax_connections = 1")).await;
    let mut idle = TcpStream::connect(server.public).await.expect("connects");
    idle.write_all(hook_request(&okta::another_sms().to_string()).as_bytes()).await.expect("written");
    assert_eq!(read_answer(&mut idle).await.status, 200);
    let mut waiting = TcpStream::connect(server.public).await.expect("connects");
    waiting.write_all(hook_request(&okta::another_sms().to_string()).as_bytes()).await.expect("written");
    server.begin_stop(Stop::Immediate);
    assert_eq!(read_answer(&mut waiting).await.status, 200);
    server.ended().await;
}

#[tokio::test]
async fn a_stop_resets_nobody_who_has_been_let_connect() {
    let mut server = TestServer::start(&format!("{SANDBOX}\n[server]\nshutdown_delay = '100ms'")).await;
    let address = server.public;
    let client = || async move {
        let mut answered = 0;
        // Until nobody listens any more.
        while let Ok(mut stream) = TcpStream::connect(address).await {
            let hook = hook_request(&okta::another_sms().to_string());
            stream.write_all(hook.as_bytes()).await.expect("not reset");
            assert_eq!(read_answer(&mut stream).await.status, 200);
            answered += 1;
        }
        answered
    };
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(client())).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.begin_stop(Stop::Announced);
    for client in clients {
        assert!(client.await.expect("no reset") > 0);
    }
    server.ended().await;
}

#[tokio::test]
async fn who_writes_everything_before_it_reads_hears_why_it_was_turned_away() {
    let server = TestServer::start(SANDBOX).await;
    let body = vec![b'x'; 10_000_000];
    for (path, credential, status) in
        [("/okta/telephony", SECRET, 413), ("/okta/telephony", "wrong", 401), ("/nowhere", SECRET, 404)]
    {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {credential}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(&body).await.expect("not reset");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("not reset");
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{path} {credential}");
    }
    // What comes without end is not waited for.
    let mut stream = TcpStream::connect(server.public).await.expect("connects");
    let started = Instant::now();
    stream.write_all(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 900000000\r\n\r\n").await.expect("written");
    while started.elapsed() < Duration::from_secs(10) && stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(server.attempts().await, [""; 0]);
}
