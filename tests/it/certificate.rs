//! The certificate of our own TLS: what is wrong with it, when it ends, and how another takes its place.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use okta_telephony_hook::config::{self, Sources};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::console::page;
use crate::support::eventually;
use crate::support::okta::SECRET;
use crate::support::process::Place;
use crate::support::server::{TestServer, exchange};
use crate::support::tls::{LIVEZ, NAME, Pki, SANDBOX, hook, serve};

#[tokio::test]
async fn a_renewal_under_load_fails_nobody_and_is_seen() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    let certificates = Arc::clone(server.certificates.as_ref().expect("TLS"));
    let mut kept = pki.client().connect(server.public).await.expect("handshake");
    let (client, address) = (pki.client(), server.public);
    let load = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..100 {
            let (shown, answer) = client.exchange(address, LIVEZ).await.expect("no connection fails");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            seen.push(shown);
        }
        seen
    });
    let mut newest = pki.renew();
    assert!(certificates.reload().await);
    while !load.is_finished() {
        newest = pki.renew();
        assert!(certificates.reload().await);
        tokio::task::yield_now().await;
    }
    let mut seen = load.await.expect("no panic");
    seen.dedup();
    assert!(seen.len() > 1, "the same certificate all the time");
    let (shown, _) = pki.client().exchange(server.public, LIVEZ).await.expect("connects");
    assert_eq!(shown, newest);
    // Whoever was there before stays.
    kept.write_all(LIVEZ).await.expect("written");
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(server.metric(r#"okta_hook_certificate_reloads_total{result="taken"}"#).await > 1.0);
}

#[tokio::test]
async fn new_files_are_taken_up_without_being_asked_and_bad_ones_are_not() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    let shown = async || pki.client().exchange(server.public, LIVEZ).await.expect("connects").0;
    let refusals = async || server.metric(r#"okta_hook_certificate_reloads_total{result="refused"}"#).await;

    let second = pki.renew();
    eventually("the new one is taken up", async || shown().await == second).await;
    assert_eq!(refusals().await, 0.0);

    pki.write("crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    eventually("the bad one is told of", async || refusals().await >= 1.0).await;
    assert_eq!(shown().await, second);

    let third = pki.renew();
    eventually("a good one is taken up after a bad one", async || shown().await == third).await;
    assert_eq!(server.metric(r#"okta_hook_certificate_reloads_total{result="taken"}"#).await, 2.0);
}

#[tokio::test]
async fn a_volume_of_kubernetes_is_followed() {
    let pki = Pki::new();
    // The files are links into a directory that is itself a link, and that one is swapped.
    let volume = |name: &str| {
        let directory = pki.directory.path().join(name);
        std::fs::create_dir(&directory).expect("directory");
        let certificate = pki.renew();
        for extension in ["crt", "key"] {
            let file = PathBuf::from("tls").with_extension(extension);
            std::fs::copy(pki.path(extension), directory.join(file)).expect("copied");
        }
        let link = pki.directory.path().join("..data_tmp");
        symlink(name, &link).expect("link");
        std::fs::rename(&link, pki.directory.path().join("..data")).expect("swapped");
        certificate
    };
    let first = volume("..2026_1");
    let settings = pki.settings().replace("/tls.", "/..data/tls.");
    let server = TestServer::start(&format!("{SANDBOX}\n[server]\n{settings}")).await;
    let shown = async || pki.client().exchange(server.public, LIVEZ).await.expect("connects").0;
    assert_eq!(shown().await, first);
    let second = volume("..2026_2");
    std::fs::remove_dir_all(pki.directory.path().join("..2026_1")).expect("removed");
    eventually("the new one is taken up", async || shown().await == second).await;
}

#[tokio::test]
async fn a_bad_pair_is_refused_when_asked_for_and_the_old_one_stays() {
    let pki = Pki::new();
    let first = pki.renew();
    let server = serve(&pki).await;
    let certificates = server.certificates.as_ref().expect("TLS");
    let (other, key) = pki.issue(SignedDuration::from_hours(24 * 90));
    pki.write("crt", &other.pem());
    assert!(!certificates.reload().await, "the key is of another certificate");
    pki.write("crt", "");
    assert!(!certificates.reload().await, "no certificate");
    std::fs::remove_file(pki.path("crt")).expect("removed");
    assert!(!certificates.reload().await, "no file");
    let (shown, _) = pki.client().exchange(server.public, LIVEZ).await.expect("connects");
    assert_eq!(shown, first);
    assert!(server.metric(r#"okta_hook_certificate_reloads_total{result="refused"}"#).await >= 3.0);
    pki.write("key", &key.serialize_pem());
    pki.write("crt", &other.pem());
    assert!(certificates.reload().await);
    let (shown, _) = pki.client().exchange(server.public, LIVEZ).await.expect("connects");
    assert_eq!(&shown, other.der());
}

#[tokio::test]
async fn readiness_and_metrics_tell_when_the_certificate_expires() {
    let pki = Pki::new();
    let server = serve(&pki).await;
    let readyz: Value = serde_json::from_slice(&server.admin_page("/readyz").await.body).expect("JSON");
    let expires: jiff::Timestamp = readyz["certificate"]["expires"].as_str().expect("a text").parse().expect("a time");
    assert!(expires > jiff::Timestamp::now());
    let metric = server.metric("okta_hook_certificate_expires_timestamp_seconds{}").await;
    assert_eq!(metric, expires.as_second() as f64);

    let good = format!("<th scope=\"row\">certificate</th><td>good until {expires:.3} (");
    assert!(page(&server).await.contains(&good));

    pki.renew_until(SignedDuration::from_hours(-48));
    assert!(server.certificates.as_ref().expect("TLS").reload().await);
    let shown = page(&server).await;
    assert!(shown.contains("not ready: the certificate has expired") && shown.contains("(expired)"), "{shown}");
    let expired = server.admin_page("/readyz").await;
    assert_eq!(expired.status, 503);
    let told = String::from_utf8_lossy(&expired.body);
    assert!(
        told.contains(r#""ready":false"#) && told.contains(r#""obstacles":["the certificate has expired"]"#),
        "{told}"
    );
    pki.renew();
    assert!(server.certificates.as_ref().expect("TLS").reload().await);
    assert_eq!(server.admin_page("/readyz").await.status, 200);

    let plain = TestServer::start(SANDBOX).await;
    assert!(!String::from_utf8_lossy(&plain.admin_page("/readyz").await.body).contains("certificate"));
    let page = String::from_utf8(plain.admin_page("/metrics").await.body).expect("text");
    assert!(!page.contains("\nokta_hook_certificate_expires"), "a zero would look like long ago: {page}");
}

const ALONE: &str = "server.tls.cert_file: holds one certificate, not signed by itself: Okta needs those of the authorities between too";

/// What checking `server.tls` says: faults, then warnings.
fn findings(toml: &str) -> String {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("file");
    std::fs::write(file.path(), format!("{SANDBOX}\n{toml}")).expect("written");
    let variables = vec![("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET".to_owned(), SECRET.to_owned())];
    let sources = Sources { files: vec![file.path().to_owned()], variables, ..Sources::default() };
    let found = config::load(&sources).map_or_else(|invalid| invalid.0, |loaded| loaded.findings);
    found.faults.iter().chain(&found.warnings).map(|f| format!("{f}\n")).filter(|f| f.starts_with("server.")).collect()
}

#[test]
fn faults_of_certificates_are_told_under_their_key() {
    let pki = Pki::new();
    let server = |lines: &str| findings(&format!("[server]\n{lines}"));
    assert_eq!(server("tls = {}"), "server.tls.cert_file: is required\nserver.tls.key_file: is required\n");
    assert_eq!(
        server("tls = { cert_file = '/nowhere', key_file = '/nowhere' }"),
        "server.tls.cert_file: cannot be read: entity not found\nserver.tls.key_file: cannot be read: entity not found\n"
    );
    assert_eq!(
        server("tls = { key_file = '/nowhere' }"),
        "server.tls.cert_file: is required\nserver.tls.key_file: cannot be read: entity not found\n"
    );
    let neither = format!("tls = {{ cert_file = '{}', key_file = '/dev/null' }}", pki.path("key").display());
    assert_eq!(
        server(&neither),
        "server.tls.cert_file: holds no PEM certificate\n\
         server.tls.key_file: holds no PEM private key, or one with a passphrase\n"
    );
    assert_eq!(
        server(&format!("tls = {{ cert_file = '{}' }}", pki.path("crt").display())),
        "server.tls.key_file: is required\n"
    );
    assert!(server("tls = { cert = 'x' }").starts_with("server.tls.cert: is no known key"));
    let (other, key) = pki.issue(SignedDuration::from_hours(24 * 90));
    let good = std::fs::read_to_string(pki.path("crt")).expect("text");
    for (extension, text, told) in [
        ("crt", "", "server.tls.cert_file: holds no PEM certificate"),
        ("crt", "-----BEGIN CERTIFICATE-----\n!!", "server.tls.cert_file: is no PEM"),
        (
            "crt",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "server.tls.cert_file: holds a certificate that cannot be read",
        ),
        ("crt", &other.pem(), "server.tls.key_file: does not match the first certificate of server.tls.cert_file"),
        ("crt", &good, ""),
        ("key", &good, "server.tls.key_file: holds no PEM private key, or one with a passphrase"),
        (
            "key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "server.tls.key_file: holds a private key that cannot be used for TLS",
        ),
        (
            "key",
            &key.serialize_pem(),
            "server.tls.key_file: does not match the first certificate of server.tls.cert_file",
        ),
    ] {
        pki.write(extension, text);
        let found = server(&pki.settings());
        assert_eq!(found.lines().next().unwrap_or_default().trim_end_matches(ALONE), told, "{found}");
    }
}

#[test]
fn what_is_doubtful_about_a_certificate_is_told() {
    let pki = Pki::new();
    let url = |host: &str| format!("[server]\npublic_url = 'https://{host}'\n{}", pki.settings());
    let told = |toml: &str, words: &str| assert!(findings(toml).contains(words), "{words}: {}", findings(toml));
    assert_eq!(findings(&url(NAME)).trim(), ALONE);
    told(&url("else.example.com"), "server.tls.cert_file: is not for else.example.com, the host of server.public_url");
    pki.renew_until(SignedDuration::from_hours(24 * 10));
    told(&url(NAME), "in less than 14 days");
    pki.renew_until(SignedDuration::from_hours(-48));
    told(&url(NAME), "server.tls.cert_file: has expired, on ");
    // A self-signed one stands alone by right: there is nobody between.
    let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("certificate");
    pki.write("crt", &own.cert.pem());
    pki.write("key", &own.signing_key.serialize_pem());
    assert_eq!(findings(&url(NAME)), "", "good to the year 4096");
}

#[tokio::test]
async fn sighup_has_the_binary_read_its_certificate_again() {
    let pki = Pki::new();
    let place = Place::new()
        .file("local.toml", &format!("{SANDBOX}\n[server]\n{}", pki.settings()))
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET);
    let server = place.serve(&["serve", "--config", "local.toml"]).await;
    let (_, answer) = pki.client().exchange(server.public, &hook()).await.expect("answer");
    assert!(answer.contains("SUCCESSFUL"), "{answer}");
    let second = pki.renew();
    server.signal("HUP");
    let shown = async || pki.client().exchange(server.public, LIVEZ).await.expect("connects").0;
    eventually("the new one is taken up", async || shown().await == second).await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("certificate reloaded"), "{}", ended.stderr);
}

#[tokio::test]
async fn sighup_without_a_certificate_ends_nothing() {
    let place = Place::new().file("local.toml", SANDBOX).set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET);
    let server = place.serve(&["serve", "--config", "local.toml"]).await;
    server.signal("HUP");
    let answer = exchange(server.public, LIVEZ).await;
    assert_eq!(answer.status, 200);
    assert_eq!(server.stop().await.code, Some(0));
}
