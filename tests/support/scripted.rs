//! An upstream that follows a script and records exactly what it gets, byte for byte.
//!
//! Relies on tokio's sockets alone: no HTTP library stands between the test and the bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Request line and fields, up to and including the empty line.
    pub head: String,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

/// What the upstream does next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Closes the connection with a reset.
    Reset,
    /// Closes the connection in order.
    Close,
}

/// A running scripted upstream.
pub struct Scripted {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Recorded>>>,
    connections: Arc<Connections>,
    accepting: JoinHandle<()>,
}

/// How many connections there have been, how many are open, and how many clients left while they were kept waiting.
#[derive(Default)]
struct Connections {
    accepted: AtomicUsize,
    open: AtomicUsize,
    left: AtomicUsize,
}

/// A complete answer: status, extra fields (each ending in CRLF), body in JSON.
pub fn answer(status: u16, fields: &str, body: &str) -> Vec<Step> {
    let head =
        format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{fields}\r\n", body.len());
    vec![Step::Send(format!("{head}{body}").into_bytes())]
}

impl Recorded {
    /// Method and target.
    pub fn line(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (words.next().unwrap(), words.next().unwrap())
    }

    /// The values of a field, in order.
    pub fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.trim()).collect()
    }
}

impl Scripted {
    /// Starts an upstream that answers each request with the steps that `script` gives for it.
    pub async fn start(script: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// The same on this address, where another one may have been.
    pub async fn start_on(address: SocketAddr, script: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::<Connections>::default();
        let accepting = tokio::spawn(accept(listener, Arc::new(script), (recorded.clone(), connections.clone())));
        Self { address, recorded, connections, accepting }
    }

    /// An address where there is none.
    pub fn absent(address: SocketAddr) -> Self {
        let (recorded, connections) = (Arc::default(), Arc::default());
        Self { address, recorded, connections, accepting: tokio::spawn(async {}) }
    }

    /// `http://` and its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Recorded> {
        self.recorded.lock().unwrap().clone()
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.connections.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.connections.open.load(Ordering::Relaxed)
    }

    /// How many clients left during a `Step::Wait`.
    pub fn left(&self) -> usize {
        self.connections.left.load(Ordering::Relaxed)
    }

    /// Takes what was recorded and starts anew.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.recorded.lock().unwrap())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Script = dyn Fn(&Recorded) -> Vec<Step> + Send + Sync;

type Notes = (Arc<Mutex<Vec<Recorded>>>, Arc<Connections>);

async fn accept(listener: TcpListener, script: Arc<Script>, notes: Notes) {
    let mut conversations = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (script, notes) = (script.clone(), notes.clone());
        conversations.spawn(async move {
            notes.1.accepted.fetch_add(1, Ordering::Relaxed);
            notes.1.open.fetch_add(1, Ordering::Relaxed);
            converse(stream, script, &notes).await;
            notes.1.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Serves one connection until the client leaves or the script ends it.
async fn converse(mut stream: TcpStream, script: Arc<Script>, (recorded, connections): &Notes) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let steps = script(&request);
        recorded.lock().unwrap().push(request);
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait(time) => {
                    let is_left = async { while stream.peek(&mut [0]).await.is_ok_and(|count| count > 0) && pause().await {} };
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = is_left => {
                            connections.left.fetch_add(1, Ordering::Relaxed);
                            return;
                        }
                    }
                }
                Step::Reset => {
                    // With unread time zero the kernel answers with RST instead of FIN.
                    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    return;
                }
                Step::Close => return,
            }
        }
    }
}

/// Bytes that came early are not the end: looked at again a little later.
async fn pause() -> bool {
    tokio::time::sleep(Duration::from_millis(5)).await;
    true
}

/// The next request of the connection; nothing when the client has closed it.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Recorded> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let mut request = Recorded { head, body: Vec::new() };
    if let Some(length) = request.field("content-length").first() {
        let length: usize = length.parse().unwrap();
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        request.body = buffer.drain(..length).collect();
    } else if request.field("transfer-encoding") == ["chunked"] {
        request.body = chunks(stream, buffer).await?;
    }
    Some(request)
}

async fn chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            more(stream, buffer).await?;
        };
        let size = std::str::from_utf8(&buffer[..line]).ok()?.split(';').next()?.trim().to_owned();
        let size = usize::from_str_radix(&size, 16).ok()?;
        while buffer.len() < line + 2 + size + 2 {
            more(stream, buffer).await?;
        }
        body.extend_from_slice(&buffer[line + 2..line + 2 + size]);
        buffer.drain(..line + 2 + size + 2);
        if size == 0 {
            return Some(body);
        }
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
