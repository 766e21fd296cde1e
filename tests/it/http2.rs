//! What HTTP/2 says of a request that was written: whether the vendor looked at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::matrix::{taken, two};
use crate::support::eventually;
use crate::support::okta::{self, Understood, understand};
use crate::support::server::TestServer;
use crate::support::vendor::VendorServer;

/// What becomes of one stream.
type Treat = fn(h2::server::SendResponse<bytes::Bytes>);

/// A vendor that does this with every connection. Gives its address and its authority's PEM.
async fn vendor<F>(serve: impl Fn(TlsStream<TcpStream>) -> F + Copy + Send + 'static) -> (String, String)
where
    F: Future<Output = ()> + Send,
{
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certificate");
    let chain = vec![certified.cert.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("key");
    let mut config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("config");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://localhost:{}", listener.local_addr().expect("address").port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    (url, certified.cert.pem())
}

/// A vendor that treats every stream as told.
async fn treating(treat: Treat) -> (String, String) {
    vendor(move |stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if request.method() == "POST" {
                treat(respond);
            } else {
                let _ = respond.send_response(http::Response::new(()), true);
            }
        }
    })
    .await
}

/// A vendor that takes one request at a time, and answers none. Counts those whose body it sees.
async fn busy(seen: &'static AtomicUsize) -> (String, String) {
    vendor(move |stream| async move {
        let mut builder = h2::server::Builder::new();
        let Ok(mut connection) = builder.max_concurrent_streams(1).handshake::<_, bytes::Bytes>(stream).await else {
            return;
        };
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if request.method() == "POST" {
                tokio::spawn(async move {
                    let mut body = request.into_body();
                    while let Some(Ok(data)) = body.data().await {
                        seen.fetch_add(data.len().min(1), Ordering::Relaxed);
                    }
                    // The stream is taken for as long as this is here.
                    let _ = (respond, std::future::pending::<()>().await);
                });
            } else {
                let _ = respond.send_response(http::Response::new(()), true);
            }
        }
    })
    .await
}

/// A vendor that goes away over the first POST, for this reason, and says whether it has looked at it.
async fn going_away(reason: h2::Reason, looked: bool) -> (String, String) {
    vendor(move |stream| async move { drop(go_away(stream, reason, looked).await) }).await
}

/// Frame by frame, as no server of the h2 crate denies what it has accepted.
async fn go_away(mut stream: TlsStream<TcpStream>, reason: h2::Reason, looked: bool) -> std::io::Result<()> {
    const PREFACE: usize = 24;
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    stream.read_exact(&mut [0; PREFACE]).await?;
    // Settings that change nothing.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await?;
        let ends_the_stream = head[4] & 1 == 1;
        match head[3] {
            // A GET has no body: 200, and nothing else.
            HEADERS if ends_the_stream => {
                stream.write_all(&[0, 0, 1, HEADERS, 5, head[5], head[6], head[7], head[8], 0x88]).await?
            }
            DATA if ends_the_stream => {
                let last = if looked { [head[5], head[6], head[7], head[8]] } else { [0; 4] };
                let frame = [&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0][..], &last, &u32::from(reason).to_be_bytes()].concat();
                stream.write_all(&frame).await?;
                return stream.shutdown().await;
            }
            _ => {}
        }
    }
}

/// Calls by way of `a`, which is such a vendor: what Okta is told.
async fn call(url: &str, pem: &str) -> (String, String) {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), pem).expect("written");
    let b = VendorServer::start([taken()]).await;
    let toml = format!("{}\n[outbound]\nca_file = '{}'\n", two(url, &b.url), file.path().display());
    let server = TestServer::start(&toml).await;
    let answer = server.hook(&okta::voice("+15005550010", "482913")).await;
    let body = String::from_utf8(answer.body.clone()).expect("text");
    match understand(&answer.body) {
        Understood::Command(status, ..) => (status, body),
        Understood::Error(_) => panic!("{body}"),
    }
}

#[tokio::test]
async fn row_10_a_stream_that_http2_vouches_was_not_looked_at_goes_on_even_for_calls() {
    let cases: [(Treat, &str, &str); 2] = [
        (|mut respond| respond.send_reset(h2::Reason::REFUSED_STREAM), "SUCCESSFUL", "a unavailable: h2_unprocessed"),
        (|mut respond| respond.send_reset(h2::Reason::INTERNAL_ERROR), "PENDING", "a unconfirmed: connection_lost"),
    ];
    for (treat, expected, told) in cases {
        let (url, pem) = treating(treat).await;
        let (status, body) = call(&url, &pem).await;
        assert!(status == expected && body.contains(told), "{body}");
    }
}

#[tokio::test]
async fn who_goes_away_without_a_look_has_done_nothing_whatever_its_reason() {
    for reason in [h2::Reason::NO_ERROR, h2::Reason::ENHANCE_YOUR_CALM, h2::Reason::INTERNAL_ERROR] {
        for (looked, expected, told) in [
            (false, "SUCCESSFUL", "a unavailable: h2_unprocessed"),
            (true, "PENDING", "a unconfirmed: connection_lost"),
        ] {
            let (url, pem) = going_away(reason, looked).await;
            let (status, body) = call(&url, &pem).await;
            assert!(status == expected && body.contains(told), "{reason:?} {looked}: {body}");
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_stream_has_sent_nothing_and_goes_on_even_for_calls() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let (url, pem) = busy(&SEEN).await;
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), pem).expect("written");
    let b = VendorServer::start([taken(), taken(), taken()]).await;
    let toml = format!("{}\n[outbound]\nca_file = '{}'\n", two(&url, &b.url), file.path().display());
    let server = TestServer::start(&toml).await;
    let first = okta::voice("+15005550010", "482913");
    let first = server.hook(&first);
    let rest = async {
        eventually("the first call has the stream", async || SEEN.load(Ordering::Relaxed) == 1).await;
        let hooks = [11, 12, 13].map(|n| okta::voice(&format!("+150055500{n}"), "482913"));
        futures_util::future::join_all(hooks.iter().map(|hook| server.hook(hook))).await
    };
    let (first, rest) = tokio::join!(first, rest);
    let told = String::from_utf8_lossy(&first.body).into_owned();
    assert!(told.contains("PENDING") && told.contains("a unconfirmed: timeout"), "{told}");
    // hyper takes the body of one beforehand.
    let told: Vec<_> = rest.iter().map(|answer| String::from_utf8_lossy(&answer.body)).collect();
    let gone_on = told.iter().filter(|t| t.contains("SUCCESSFUL") && t.contains("a unavailable: timeout")).count();
    assert!(gone_on >= 2, "{told:#?}");
    server.stop().await;
    assert_eq!((SEEN.load(Ordering::Relaxed), b.calls().len()), (1, gone_on), "nothing is written late");
}
