//! What the process asks of the system, and what becomes of it when the system has nothing left to give.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::eventually;
use crate::support::process::{Place, Running};
use crate::support::server::exchange;

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A descriptor number below which the idle process needs none.
const FEW: u64 = 64;

async fn metric(server: &Running, line: &str) -> f64 {
    let page = exchange(server.admin, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let page = String::from_utf8(page.body).expect("text");
    page.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn without_descriptors_callers_wait_and_are_served_as_soon_as_there_are_some() {
    let server = Place::new().serve(&["serve", "--sandbox"]).await;
    let pid = Pid::from_raw(server.pid().try_into().expect("pid"));
    let before = Rlimit { current: Some(FEW), maximum: Some(FEW) };
    let limits = prlimit(pid, Resource::Nofile, before).expect("limited");
    assert_eq!(limits.current, limits.maximum, "taken as far as the system allows");

    // Idle callers take every descriptor there is; the kernel completes connections beyond them all the same.
    let mut idle = Vec::new();
    for _ in 0..2 * FEW {
        idle.push(TcpStream::connect(server.public).await.expect("queued"));
    }
    let mut waiting = TcpStream::connect(server.public).await.expect("queued");
    waiting.write_all(LIVEZ).await.expect("written");
    let early = timeout(Duration::from_millis(400), waiting.read(&mut [0; 1])).await;
    assert!(early.is_err(), "answered although nothing was left: {early:?}");

    drop(idle);
    let mut answer = String::new();
    timeout(Duration::from_secs(30), waiting.read_to_string(&mut answer)).await.expect("served").expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(exchange(server.public, LIVEZ).await.status, 200);
    assert!(metric(&server, "okta_hook_accept_failures_total").await >= 1.0);
    eventually("no connection is left over", async || metric(&server, "okta_hook_connections").await == 0.0).await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("connections cannot be accepted").count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn no_more_connections_are_let_in_than_there_are_descriptors_for() {
    let server =
        Place::new().set("OKTA_HOOK__SERVER__MAX_CONNECTIONS", "1000000000").serve(&["serve", "--sandbox"]).await;
    let core = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
    let core: Vec<&str> =
        core.lines().find(|l| l.starts_with("Max core file size")).expect("line").split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "no core dumps");
    let ended = server.stop().await;
    assert!(ended.stderr.contains("server.max_connections is more than"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_hooks_nor_the_end() {
    for format in ["text", "json"] {
        let (_reader, mut writer) = std::io::pipe().expect("pipe");
        // As much as a pipe holds (pipe(7)): not one byte more of the log is taken.
        std::io::Write::write_all(&mut writer, &[b'x'; 65536]).expect("written");
        let place = Place::new()
            .set("OKTA_HOOK__LOG__FORMAT", format)
            .set("OKTA_HOOK__SERVER__LISTEN", "127.0.0.1:0")
            .set("OKTA_HOOK__ADMIN__LISTEN", "127.0.0.1:0");
        let mut child = place.start(&["serve", "--sandbox"], writer);
        eventually(&format!("it starts with {format}"), async || place.stdout().contains("…0009")).await;
        let printed = place.stdout();
        let address = printed.split("http://").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
        let address = address.expect("an address");
        assert_eq!(timeout(Duration::from_secs(10), exchange(address, LIVEZ)).await.expect("answered").status, 200);
        let pid = Pid::from_raw(child.id().expect("running").try_into().expect("pid")).expect("pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
        let ended = timeout(Duration::from_secs(10), child.wait()).await.expect("ends").expect("status");
        assert_eq!(ended.code(), Some(0), "{format}");
    }
}
