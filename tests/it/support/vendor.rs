//! A vendor on loopback: answers by script, keeps what it was asked, fails on a call nobody scripted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One scripted answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Status, further header lines, body.
    Http(u16, Vec<(String, String)>, String),
    /// As `Http`, after a while.
    Late(Duration, u16, String),
    /// Reads the request and never answers.
    Hang,
    /// Reads the request and closes without an answer.
    Close,
    /// Reads the request and resets the connection.
    Reset,
    /// Exactly these bytes, then closed.
    Bytes(Vec<u8>),
}

impl Answer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<serde_json::Value>) -> Self {
        let body: serde_json::Value = body.into();
        Self::Http(status, vec![("content-type".into(), "application/json".into())], body.to_string())
    }
}

/// One request as it stood on the wire.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The fields of a form, in order.
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// One field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// What a call is answered, by what it is and how many came before it.
type Judge = Arc<dyn Fn(&Call, usize) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    calls: Vec<Call>,
    otherwise: Option<Judge>,
    unscripted: usize,
}

/// The server.
#[derive(Clone)]
pub struct VendorServer {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl VendorServer {
    /// Listens and answers in the order of the script.
    pub async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    /// Listens and gives everybody the same answer.
    pub async fn always(answer: Answer) -> Self {
        Self::judging(move |_, _| answer.clone()).await
    }

    /// Listens and answers each call by what it is and how many came before it.
    pub async fn judging(judge: impl Fn(&Call, usize) -> Answer + Send + Sync + 'static) -> Self {
        let vendor = Self::start([]).await;
        vendor.state.lock().expect("state").otherwise = Some(Arc::new(judge));
        vendor
    }

    /// Adds to the script.
    pub fn then(&self, answer: Answer) {
        self.state.lock().expect("state").script.push_back(answer);
    }

    /// What was asked so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().expect("state").calls.clone()
    }

    /// What was asked, with the script used up and nothing beyond it.
    #[track_caller]
    pub fn finish(&self) -> Vec<Call> {
        let state = self.state.lock().expect("state");
        assert_eq!(state.unscripted, 0, "calls beyond the script: {:?}", state.calls);
        assert!(state.script.is_empty(), "not asked for: {:?}", state.script);
        state.calls.clone()
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some(call) = read(&mut stream, &mut buffer).await {
        let answer = {
            let mut state = state.lock().expect("state");
            let before = state.calls.len();
            let judged = state.otherwise.as_ref().map(|judge| judge(&call, before));
            state.calls.push(call);
            let answer = state.script.pop_front().or(judged);
            state.unscripted += usize::from(answer.is_none());
            answer
        };
        match answer.unwrap_or_else(|| Answer::json(599, "unscripted")) {
            Answer::Http(status, headers, body) => write(&mut stream, status, &headers, &body).await,
            Answer::Late(pause, status, body) => {
                tokio::time::sleep(pause).await;
                write(&mut stream, status, &[], &body).await;
            }
            Answer::Hang => {
                // Until the other side gives up.
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            Answer::Close => return,
            Answer::Reset => {
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).expect("linger");
                return;
            }
            Answer::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
        }
    }
}

async fn write(stream: &mut TcpStream, status: u16, headers: &[(String, String)], body: &str) {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Call> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).expect("head is text");
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let length = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map_or(0, |(_, v)| v.parse().expect("length"));
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).expect("body is text");
    buffer.drain(..end + 4 + length);
    Some(Call { method, path, headers, body })
}
