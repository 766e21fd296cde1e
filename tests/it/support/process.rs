//! Our binary as its user starts it: arguments, environment, working directory; what it prints is kept.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::server::exchange;

/// How the binary ended and what it printed.
#[derive(Debug)]
pub struct Printed {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A directory to run the binary in, with nothing in it but what a test puts there.
pub struct Place {
    pub directory: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("directory"), variables: Vec::new() }
    }

    /// Sets an environment variable.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("written");
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_okta-telephony-hook"));
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command.envs(self.variables.iter().cloned()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Printed {
        let output = self.command(arguments).output().await.expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Printed { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Starts the server with its standard error going elsewhere, and does not wait.
    pub fn start(&self, arguments: &[&str], stderr: impl Into<Stdio>) -> Child {
        let stdout = std::fs::File::create(self.directory.path().join("stdout")).expect("file");
        self.command(arguments).stdout(stdout).stderr(stderr).spawn().expect("starts")
    }

    /// What a started server has said on standard output so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stdout")).expect("text")
    }

    /// Starts the server and waits until it listens. Ports are free ones unless set.
    pub async fn serve(self, arguments: &[&str]) -> Running {
        let place = self.set("OKTA_HOOK__SERVER__LISTEN", "127.0.0.1:0").set("OKTA_HOOK__ADMIN__LISTEN", "127.0.0.1:0");
        let mut child = place.start(arguments, Stdio::piped());
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut logged = Vec::new();
        let (public, admin) = loop {
            let line = lines.next_line().await.expect("stderr").unwrap_or_else(|| panic!("ended: {logged:?}"));
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            logged.push(line);
            if json["message"] == "listening" {
                let address = |key: &str| json[key].as_str().and_then(|a| a.parse().ok()).expect("address");
                break (address("public"), address("admin"));
            }
        };
        let rest = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                logged.push(line);
            }
            logged.join("\n")
        });
        Running { child, public, admin, stderr: rest, place }
    }
}

/// A running server.
pub struct Running {
    child: Child,
    pub public: std::net::SocketAddr,
    pub admin: std::net::SocketAddr,
    stderr: tokio::task::JoinHandle<String>,
    pub place: Place,
}

impl Running {
    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("running")
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let done =
            std::process::Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().expect("kill");
        assert!(done.success());
    }

    /// What stands on standard output so far.
    pub fn stdout(&self) -> String {
        self.place.stdout()
    }

    /// The value of one line of `/metrics`; zero when there is no such line.
    pub async fn metric(&self, line: &str) -> f64 {
        let page = exchange(self.admin, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let page = String::from_utf8(page.body).expect("text");
        page.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
    }

    /// Waits for the end; gives all that was printed.
    pub async fn ended(mut self) -> Printed {
        let status = self.child.wait().await.expect("ends");
        Printed { code: status.code(), stdout: self.stdout(), stderr: self.stderr.await.expect("stderr") }
    }

    /// Stops as a person would, and waits.
    pub async fn stop(self) -> Printed {
        self.signal("INT");
        self.ended().await
    }
}
