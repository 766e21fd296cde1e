//! An authorization server on loopback: metadata and keys, and every way to be of no use.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::jwt::Signer;

const KEYS: &str = "/oauth2/default/v1/keys";
const METADATA: &str = "/oauth2/default/.well-known/oauth-authorization-server";

/// How long `Mode::Late` takes.
const LATE: Duration = Duration::from_millis(40);

/// How it is doing.
#[derive(Debug, Clone)]
pub enum Mode {
    /// Answers.
    Up,
    /// Answers, but takes 40 ms over each request.
    Late,
    /// Closes every connection.
    Down,
    /// Takes every request and never answers.
    Slow,
    /// Answers everything with this status and body.
    Garbage(u16, String),
}

#[derive(Debug)]
struct State {
    mode: Mode,
    keys: Vec<Value>,
    jwks_uri: String,
    asked: Vec<String>,
}

/// The server. Its issuer has a path, as Okta's have.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What its tokens say in `iss`.
    pub name: String,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    /// Listens, and publishes these keys when it is asked.
    pub async fn start(mode: Mode, signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let origin = format!("http://{}", listener.local_addr().expect("address"));
        let name = format!("{origin}/oauth2/default");
        let jwks_uri = format!("{origin}{KEYS}");
        let state = State { mode, keys: Vec::new(), jwks_uri, asked: Vec::new() };
        let issuer = Self { name, state: Arc::new(Mutex::new(state)) };
        issuer.publish(signers);
        let server = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        issuer
    }

    /// Changes how it is doing.
    pub fn set(&self, mode: Mode) {
        self.state.lock().expect("state").mode = mode;
    }

    /// Publishes these keys and no others.
    pub fn publish(&self, signers: &[&Signer]) {
        self.state.lock().expect("state").keys = signers.iter().map(|signer| signer.jwk()).collect();
    }

    /// Says in its metadata that its keys are there.
    pub fn point_at(&self, jwks_uri: &str) {
        self.state.lock().expect("state").jwks_uri = jwks_uri.to_owned();
    }

    /// How often its keys were asked for.
    pub fn key_fetches(&self) -> usize {
        self.asked().iter().filter(|path| *path == KEYS).count()
    }

    /// Every path that was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().expect("state").asked.clone()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
                if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
                continue;
            };
            let head = String::from_utf8(buffer.drain(..end + 4).collect()).expect("head is text");
            assert!(!head.to_ascii_lowercase().contains("authorization:"), "nothing is owed to an issuer: {head}");
            let path = head.split(' ').nth(1).expect("path").to_owned();
            match self.answer(path) {
                Reaction::Answer(status, body) => {
                    let is_late = matches!(self.state.lock().expect("state").mode, Mode::Late);
                    if is_late {
                        tokio::time::sleep(LATE).await;
                    }
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                         cache-control: max-age=3600, must-revalidate\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                // Until the other side gives up.
                Reaction::Silence => drop(stream.read(&mut [0; 1]).await),
                Reaction::End => return,
            }
        }
    }

    fn answer(&self, path: String) -> Reaction {
        let mut state = self.state.lock().expect("state");
        let reaction = match &state.mode {
            Mode::Down => Reaction::End,
            Mode::Slow => Reaction::Silence,
            Mode::Garbage(status, body) => Reaction::Answer(*status, body.clone()),
            Mode::Up | Mode::Late => match path.as_str() {
                METADATA => {
                    Reaction::Answer(200, json!({ "issuer": self.name, "jwks_uri": state.jwks_uri }).to_string())
                }
                KEYS => Reaction::Answer(200, json!({ "keys": state.keys }).to_string()),
                _ => Reaction::Answer(404, "{}".to_owned()),
            },
        };
        state.asked.push(path);
        reaction
    }
}

/// What it does about a request.
enum Reaction {
    Answer(u16, String),
    Silence,
    End,
}
