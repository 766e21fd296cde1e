//! `healthcheck`: is the local server ready?
//!
//! Must not need anything but the address of the admin listener: a probe runs every few seconds in every container.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, Sources};

/// Docker's default for a probe is 30 s; a server that needs longer than this for `/readyz` is not ready.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(sources: &Sources) -> ExitCode {
    let (_, admin) = config::load_listeners(sources);
    match ready(reachable(admin.listen)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => super::fail("not ready"),
        Err(e) => super::fail(format_args!("no answer from {}: {e}", admin.listen)),
    }
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

fn ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(&status == b"HTTP/1.1 200")
}
