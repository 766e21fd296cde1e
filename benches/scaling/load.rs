//! Okta, many times over: every connection sends its next hook when the last one is answered.
//!
//! No two hooks have event, user, number or address in common, so none is a repeat and no limit is reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};

use crate::provider::is_whole;
use crate::server::SECRET;

/// Okta's documented example.
const EXAMPLE: &str = include_str!("../../tests/data/okta/sms-mfa.json");

/// Below the 128 connections that the kernel holds for the server: one more is lost and tried again a second later.
const QUEUE: usize = 64;

/// Long enough for the server to take those.
const ACCEPTING: Duration = Duration::from_millis(10);

/// Between the first hooks of two connections: five thousand begin within half a second.
const BETWEEN: Duration = Duration::from_micros(100);

/// What is sent to one server.
pub struct Load {
    address: SocketAddr,
    orgs: usize,
    /// Hooks so far.
    pub sent: usize,
}

impl Load {
    pub fn new(address: SocketAddr, orgs: usize) -> Self {
        Self { address, orgs, sent: 0 }
    }

    /// Opens so many connections, not faster than they are accepted.
    pub async fn connect(&self, count: usize) -> Vec<TcpStream> {
        let mut connections = Vec::with_capacity(count);
        for number in 1..=count {
            if number % QUEUE == 0 {
                sleep(ACCEPTING).await;
            }
            let stream = TcpStream::connect(self.address).await.expect("connects");
            stream.set_nodelay(true).expect("a socket");
            connections.push(stream);
        }
        connections
    }

    /// Sends so many hooks over these connections, each of which must be answered with success. They begin one after
    /// another, or a provider would be met with thousands of new connections in one instant.
    pub async fn send(&mut self, connections: Vec<TcpStream>, count: usize) -> Vec<TcpStream> {
        let next = Arc::new(AtomicUsize::new(self.sent));
        self.sent += count;
        let (end, orgs) = (self.sent, self.orgs);
        let expires = (Timestamp::now() + SignedDuration::from_mins(5)).to_string();
        let work = connections.into_iter().enumerate().map(|(place, mut stream)| {
            let begin = Instant::now() + BETWEEN * place as u32;
            let (next, expires) = (Arc::clone(&next), expires.clone());
            tokio::spawn(async move {
                sleep_until(begin).await;
                let mut buffer = Vec::with_capacity(1024);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return stream;
                    }
                    exchange(&mut stream, &hook(number, orgs, &expires), &mut buffer).await;
                }
            })
        });
        let mut back = Vec::new();
        for connection in work.collect::<Vec<_>>() {
            back.push(connection.await.expect("every hook succeeds"));
        }
        back
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) {
    stream.write_all(request).await.expect("the server takes it");
    buffer.clear();
    while !is_whole(buffer) {
        let read = stream.read_buf(buffer).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
    }
    let is_success = buffer.windows(10).any(|word| word == b"SUCCESSFUL");
    assert!(is_success, "{}", String::from_utf8_lossy(buffer));
}

fn hook(number: usize, orgs: usize, expires: &str) -> Vec<u8> {
    // Neighbours in time are no neighbours in number: 7919 has no factor in common with a hundred million.
    let phone = format!("+436{:08}5555", number * 7919 % 100_000_000);
    let body = EXAMPLE
        .replace("uS5871kJThSsU8qlA1LTcg", &format!("uS5871kJThS{number:011}"))
        .replace("00uyxxSknGtK8022w0g3", &format!("00uyxxSknG{number:010}"))
        .replace("+15005550006", &phone)
        .replace("203.0.113.7", &format!("2001:db8:{:x}:{:x}::1", number >> 16, number & 0xffff))
        .replace("2026-01-05T10:05:00.000Z", expires);
    let head = format!(
        "POST /okta/{} HTTP/1.1\r\nhost: localhost\r\nauthorization: {SECRET}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        number % orgs,
        body.len()
    );
    (head + &body).into_bytes()
}
