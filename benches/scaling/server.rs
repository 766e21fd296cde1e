//! The server under measurement: its configuration, its process, and what `/proc` tells of it.
//!
//! Must not know how it is loaded.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// The credential of every org.
pub const SECRET: &str = "a-credential-of-some-length-for-every-org";

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(10);

/// What the configuration holds so and so many of.
pub struct Shape {
    pub orgs: usize,
    /// Of each org. The last one fits.
    pub routes: usize,
    /// `state.max_entries`.
    pub max_entries: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { orgs: 1, routes: 1, max_entries: 200_000 }
    }
}

/// A running server. Ended when dropped.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
    _configuration: TempDir,
}

/// Memory of the process.
pub struct Memory {
    pub resident_mib: f64,
    pub peak_mib: f64,
}

impl Server {
    /// Starts it and waits until it listens. Its log is written and read by nobody.
    pub async fn start(binary: &Path, shape: &Shape, provider: SocketAddr) -> Self {
        let (address, admin) = (free_address().await, free_address().await);
        let configuration = tempfile::tempdir().expect("a folder");
        let path = configuration.path().join("server.toml");
        fs::write(&path, toml(shape, address, admin, provider)).expect("written");
        let mut process = Command::new(binary)
            .arg("--config")
            .arg(&path)
            .arg("serve")
            .current_dir(configuration.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let end = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            let ended = process.try_wait().expect("a child");
            assert!(ended.is_none(), "the server ended: try its configuration with check-config");
            assert!(Instant::now() < end, "the server does not listen");
            sleep(Duration::from_millis(10)).await;
        }
        Self { address, process, _configuration: configuration }
    }

    /// CPU time of all of its threads so far.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("a process");
        let nanos = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Its memory now.
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a process");
        let mib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of memory");
            let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
            kib / 1024.0
        };
        Memory { resident_mib: mib("VmRSS:"), peak_mib: mib("VmHWM:") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a free port")
}

/// One provider; orgs that have a guard whose rules all count and none of whose limits is reached.
fn toml(shape: &Shape, address: SocketAddr, admin: SocketAddr, provider: SocketAddr) -> String {
    let mut toml = format!(
        r#"
        server = {{ listen = "{address}", max_connections = 20000, max_in_flight = 20000 }}
        admin.listen = "{admin}"
        state.max_entries = {}
        [providers.eight]
        kind = "8x8"
        api_key = "a-key-of-nobody"
        subaccount_id = "acme_otp"
        base_url = "http://{provider}"
        "#,
        shape.max_entries
    );
    for org in 0..shape.orgs {
        let _ = write!(
            toml,
            r#"
            [orgs.o{org}]
            path = "/okta/{org}"
            okta_concurrency = 100000
            auth.header.secret = "{SECRET}"
            [orgs.o{org}.guard]
            per_ip = {{ per_10_minutes = 100000000, phones_per_hour = 100000000 }}
            per_prefix = {{ numbers = 100000000, run = 100000000 }}
            per_country = {{ floor = 100000000 }}
            "#
        );
        for _ in 1..shape.routes {
            let _ =
                write!(toml, "\n[[orgs.o{org}.routes]]\nwhen = {{ country = [\"DE\", \"FR\"] }}\nsend = [\"eight\"]\n");
        }
        let _ = write!(toml, "\n[[orgs.o{org}.routes]]\nsend = [\"eight\"]\n");
    }
    toml
}
