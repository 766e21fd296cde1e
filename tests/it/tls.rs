//! Our own TLS: who gets in, by which version and protocol, and how long a handshake may take.

use std::time::Duration;

use okta_telephony_hook::app::Stop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{HandshakeKind, ProtocolVersion};

use crate::support::eventually;
use crate::support::server::TestServer;
use crate::support::tls::{LIVEZ, NAME, PATIENCE, Pki, SANDBOX, handshake, hook, serve, serve_with};

async fn handshakes(server: &TestServer, result: &str) -> f64 {
    server.metric(&format!(r#"okta_hook_tls_handshakes_total{{result="{result}"}}"#)).await
}

#[tokio::test]
async fn a_hook_is_answered_over_tls_1_2_and_1_3() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    for (offered, spoken) in [
        (&[&TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&TLS13], ProtocolVersion::TLSv1_3),
        (&[&TLS12, &TLS13], ProtocolVersion::TLSv1_3),
    ] {
        let client = pki.client().versions(offered);
        let mut stream = client.connect(server.public).await.expect("handshake");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
        stream.write_all(&hook()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("ends with close_notify");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("SUCCESSFUL"), "{answer}");
    }
    assert_eq!(handshakes(&server, "completed").await, 3.0);
    assert_eq!(
        server.metric(r#"okta_hook_attempts_total{provider="sandbox",channel="sms",kind="accepted"}"#).await,
        3.0
    );
}

#[tokio::test]
async fn http_1_1_is_the_one_protocol() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    for (offered, chosen) in [(&[][..], None), (&["h2", "http/1.1"], Some(&b"http/1.1"[..]))] {
        let stream = pki.client().alpn(offered).connect(server.public).await.expect("handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
    }
    let refused = pki.client().alpn(&["h2"]).connect(server.public).await.expect_err("no protocol in common");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    assert_eq!(handshakes(&server, "failed").await, 1.0);
}

#[tokio::test]
async fn a_session_is_resumed_also_after_a_renewal() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let config = pki.client().versions(versions).config();
        for (nth, expected) in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed].iter().enumerate()
        {
            let mut stream = handshake(&config, server.public).await.expect("handshake");
            // Tickets of TLS 1.3 come with the first bytes read.
            stream.write_all(LIVEZ).await.expect("written");
            stream.read_to_end(&mut Vec::new()).await.expect("answer");
            assert_eq!(stream.get_ref().1.handshake_kind().as_ref(), Some(expected), "{nth}");
            pki.renew();
            assert!(server.certificates.as_ref().expect("TLS").reload().await);
        }
    }
}

/// A `ClientHello` of an old version: no extension that would offer a newer one.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let suites: &[u8] = &[0xc0, 0x13, 0xc0, 0x09, 0xc0, 0x2b, 0xc0, 0x2f, 0x00, 0x2f];
    let extensions: &[u8] = &[0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    let mut hello = version.to_vec();
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend([0, u8::try_from(suites.len()).expect("short")]);
    hello.extend(suites);
    hello.extend([1, 0]);
    hello.extend([0, u8::try_from(extensions.len()).expect("short")]);
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).expect("short");
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat()
}

#[tokio::test]
async fn older_versions_are_refused() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        stream.write_all(&client_hello(version)).await.expect("written");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed").expect("read");
        // A record of type alert (21): a fatal (2) handshake_failure (40) or protocol_version (70).
        assert!(matches!(answer[..], [21, _, _, 0, 2, 2, 40 | 70]), "{version:?} {answer:?}");
    }
    assert_eq!(handshakes(&server, "failed").await, 3.0);
}

#[tokio::test]
async fn whoever_speaks_http_to_the_tls_port_is_cut_off_and_sends_nothing() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    for bytes in [hook(), LIVEZ.to_vec(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), vec![0xff; 2000]] {
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        stream.write_all(&bytes).await.expect("written");
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert_eq!(handshakes(&server, "failed").await, 4.0);
    assert_eq!(server.metric("okta_hook_duration_seconds_count").await, 0.0);
}

#[tokio::test]
async fn a_slow_handshake_is_cut_and_a_quiet_one_after_it_too() {
    let pki = Pki::new();
    let server = serve_with(&pki, "handshake_timeout = '300ms'\nheader_timeout = '400ms'").await;
    for bytes in [vec![], client_hello([3, 3])[..20].to_vec()] {
        let mut stream = TcpStream::connect(server.public).await.expect("connects");
        stream.write_all(&bytes).await.expect("written");
        let started = Instant::now();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("closed");
        assert!(started.elapsed() > Duration::from_millis(200), "{:?}", started.elapsed());
    }
    assert_eq!(handshakes(&server, "timeout").await, 2.0);
    let mut stream = pki.client().connect(server.public).await.expect("handshake");
    let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("closed");
    eventually("no place is taken", async || server.metric("okta_hook_connections").await == 0.0).await;
}

#[tokio::test]
async fn the_budget_of_a_hook_does_not_count_the_handshake() {
    let pki = Pki::new();
    let server = TestServer::start(&format!(
        "{}\n[server]\n{}",
        SANDBOX.replace("[orgs.main]", "[orgs.main]\nbudget = '700ms'"),
        pki.settings()
    ))
    .await;
    let mut stream = pki.client().connect(server.public).await.expect("handshake");
    tokio::time::sleep(Duration::from_millis(900)).await;
    stream.write_all(&hook()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.contains("SUCCESSFUL"), "{answer}");
}

#[tokio::test]
async fn a_handshake_that_the_end_meets_goes_on_and_its_request_is_answered() {
    let pki = Pki::new();
    let mut server = serve(&pki).await;
    let stream = TcpStream::connect(server.public).await.expect("connects");
    while server.metric("okta_hook_connections ").await < 1.0 {
        tokio::task::yield_now().await;
    }
    server.begin_stop(Stop::Immediate);
    // Longer than one without a handshake is given for its first byte.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let name = ServerName::try_from(NAME).expect("name");
    let mut stream = TlsConnector::from(pki.client().config()).connect(name, stream).await.expect("a handshake");
    stream.write_all(LIVEZ).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.ended().await;
}
