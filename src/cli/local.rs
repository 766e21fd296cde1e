//! Calls the admin listener of a server on this machine.
//!
//! Must not need anything but its address: no TLS, no certificate authorities, no runtime.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::secret::Secret;

/// Docker gives a probe 30 s by default; a server that needs longer than this for a page of its own is not well.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest page that is taken.
const MAX_PAGE_BYTES: u64 = 1024 * 1024;

/// Gets a page: status and body.
pub(super) fn get(listen: SocketAddr, path: &str, token: Option<&Secret>) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&reachable(listen), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let token = token.map(|t| format!("Authorization: Bearer {}\r\n", t.expose())).unwrap_or_default();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_PAGE_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}

/// The address to call for a listener: one on every interface is reached over loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
