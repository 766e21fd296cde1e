//! A provider on loopback that takes every text, at once or after a while.
//!
//! Must not parse more than it has to: it shares the machine with what is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// Connections not yet accepted. The server opens as many as it has hooks in flight.
const QUEUE: u32 = 4096;

/// The provider. Runs until the runtime ends.
pub struct Stub {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Stub {
    /// Listens, and answers each request after `delay`.
    pub async fn start(delay: Duration) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let listener = socket.listen(QUEUE).expect("listens");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, delay, Arc::clone(&count)));
            }
        });
        Self { address, asked }
    }

    /// How many texts it has taken.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, delay: Duration, asked: Arc<AtomicUsize>) {
    let mut buffer = Vec::with_capacity(2048);
    loop {
        while !is_whole(&buffer) {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        buffer.clear();
        let count = asked.fetch_add(1, Ordering::Relaxed);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let body = format!(
            r#"{{"umid":"f68ac2f8-9da3-48d8-b8ec-{count:012x}","destination":"+15005550006","encoding":"GSM7","status":{{"code":"QUEUED","description":"SMS is accepted and queued for processing"}}}}"#
        );
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Whether the buffer holds a whole message with a length. One at a time: neither end sends ahead.
pub fn is_whole(buffer: &[u8]) -> bool {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&buffer[..end]);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    buffer.len() >= end + 4 + length.unwrap_or(0)
}
