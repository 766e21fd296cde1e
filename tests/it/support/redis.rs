//! A real Redis beside the tests: on a port of its own, in a directory of its own, gone when the test is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

/// A running `redis-server`. Dropping it kills it.
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one that anybody on this machine may use.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with further arguments; `PORT` in them stands for its port. A plain port is opened unless `--port` is
    /// among them.
    pub fn with(arguments: &[&str]) -> Self {
        let mut directory = tempfile::tempdir().expect("directory");
        // Another process may take a port between our asking for it and Redis listening on it.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let mut all: Vec<String> = arguments.iter().map(|a| a.replace("PORT", &port.to_string())).collect();
            if !arguments.contains(&"--port") {
                all.extend(["--port".to_owned(), port.to_string()]);
            }
            let mut server = Self { child: None, port, arguments: all, directory };
            if server.restart() {
                return server;
            }
            directory = server.abandon();
        }
        panic!("redis-server found no port to listen on");
    }

    /// The address, with database 0 and no password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Freezes it: connections stay open, nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Kills it, with all it remembers.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, empty, on the same port; false when it ended at once.
    pub fn restart(&mut self) -> bool {
        self.kill();
        let child = Command::new(program())
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let child = self.child.insert(child);
        for _ in 0..500 {
            if child.try_wait().expect("redis-server").is_some() {
                return false;
            }
            if listens(self.port) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not listen within 5 s");
    }

    /// Sends a command as people type it and gives the first bytes of the answer.
    pub fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("written");
        let mut buffer = vec![0; 64 * 1024];
        let read = stream.read(&mut buffer).expect("an answer");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("running").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    fn abandon(mut self) -> TempDir {
        self.kill();
        std::mem::replace(&mut self.directory, tempfile::tempdir().expect("directory"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether somebody answers there. TLS is not spoken: a port that is open will do.
fn listens(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Where `redis-server` stands, installed if need be: on a fresh machine the tests need nothing but `cargo test`.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(found) = find() {
            return found;
        }
        let installed = apt(&["update"]) && apt(&["install", "-y", "--no-install-recommends", "redis-server"]);
        find().unwrap_or_else(|| {
            panic!(
                "the tests of shared state need redis-server 6 or later, and {}: install it by hand (Debian: apt-get \
                 install redis-server; macOS: brew install redis) or put it on the PATH",
                if installed { "it is not on the PATH after being installed" } else { "apt-get could not install it" }
            )
        })
    })
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(beside).map(|d| d.join("redis-server")).find(|p| p.is_file())
}

/// Runs `apt-get`, as root or through `sudo` when that asks for no password.
fn apt(arguments: &[&str]) -> bool {
    let run = |program: &str, first: &[&str]| {
        let mut command = Command::new(program);
        command.args(first).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    run("apt-get", &[]) || run("sudo", &["-n", "apt-get"])
}
