//! Our server in this process, on ports the system chose, and a client that plays Okta.

use std::net::SocketAddr;
use std::sync::Arc;

use okta_telephony_hook::app::{App, Stop};
use okta_telephony_hook::config::{self, Loaded, Sources};
use okta_telephony_hook::http::tls::Certificates;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::okta::SECRET;

/// A running server.
pub struct TestServer {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub certificates: Option<Arc<Certificates>>,
    stop: Option<oneshot::Sender<Stop>>,
    run: JoinHandle<()>,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Reads a configuration from a TOML text, with listeners on free ports and the test credential.
pub fn load(toml: &str) -> Loaded {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("file");
    std::fs::write(file.path(), toml).expect("written");
    let mut variables = vec![
        ("OKTA_HOOK__SERVER__LISTEN".into(), "127.0.0.1:0".into()),
        ("OKTA_HOOK__ADMIN__LISTEN".into(), "127.0.0.1:0".into()),
        ("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET".into(), SECRET.into()),
    ];
    if !toml.contains("guard") {
        // Tests of other things send to one number as often as they like.
        variables.push(("OKTA_HOOK__ORGS__MAIN__GUARD__MODE".into(), "off".into()));
    }
    let sources = Sources { files: vec![file.path().to_owned()], variables, ..Sources::default() };
    match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(invalid) => panic!("{:#?}", invalid.0.faults),
    }
}

impl TestServer {
    /// Starts a server with this configuration.
    pub async fn start(toml: &str) -> Self {
        Self::run(load(toml)).await
    }

    /// Starts a server with a loaded configuration.
    pub async fn run(loaded: Loaded) -> Self {
        let app = App::start(loaded.config).await.expect("starts");
        let (public, admin) = app.addresses().expect("addresses");
        let certificates = app.certificates();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(app.run(async { stopped.await.unwrap_or(Stop::Immediate) }));
        Self { public, admin, certificates, stop: Some(stop), run }
    }

    /// Calls the hook of the org `main` with the right credential.
    pub async fn hook(&self, body: &Value) -> Answer {
        self.post("/okta/telephony", &[("authorization", SECRET)], body.to_string().as_bytes()).await
    }

    /// Posts to the public listener.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("connection: close\r\n\r\n");
        exchange(self.public, &[head.as_bytes(), body].concat()).await
    }

    /// A page of the admin listener.
    pub async fn admin_page(&self, path: &str) -> Answer {
        exchange(self.admin, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes())
            .await
    }

    /// The value of one line of `/metrics`; zero when there is no such line.
    pub async fn metric(&self, line: &str) -> f64 {
        let page = String::from_utf8(self.admin_page("/metrics").await.body).expect("text");
        page.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok()).unwrap_or_default()
    }

    /// The lines of `/metrics` that tell of attempts that were made.
    pub async fn attempts(&self) -> Vec<String> {
        let page = String::from_utf8(self.admin_page("/metrics").await.body).expect("text");
        let made = |l: &&str| l.starts_with("okta_hook_attempts_total{") && !l.ends_with(" 0");
        page.lines().filter(made).map(str::to_owned).collect()
    }

    /// Asks for a stop without waiting for it.
    pub fn begin_stop(&mut self, how: Stop) {
        let _ = self.stop.take().expect("stopped once").send(how);
    }

    /// Waits until the server has ended.
    pub async fn ended(self) {
        self.run.await.expect("no panic");
    }

    /// Stops and waits.
    pub async fn stop(mut self) {
        self.begin_stop(Stop::Immediate);
        self.ended().await;
    }
}

/// Sends bytes, reads until the other side closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    // A server that answers before the body is read may close while we still write.
    let _ = stream.write_all(bytes).await;
    read_answer(&mut stream).await
}

/// Reads one answer up to its length, or to the end of the stream.
pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read_buf(&mut buffer).await.unwrap_or(0);
        assert!(read > 0, "closed without an answer: {:?}", String::from_utf8_lossy(&buffer));
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let status = head.get(9..12).and_then(|s| s.parse().ok()).expect("status");
    while buffer.len() < end + 4 + length.unwrap_or(usize::MAX - end - 4) {
        if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            break;
        }
    }
    Answer { status, head, body: buffer[end + 4..].to_vec() }
}
