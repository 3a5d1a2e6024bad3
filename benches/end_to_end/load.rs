//! The load: connections that send their next request when the last one is answered.
//!
//! Written on bare sockets so that the generator costs little beside what it measures. Answers need a `Content-Length` or chunks.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
};

/// Requests to send.
#[derive(Clone)]
pub struct Load {
    /// What is printed.
    pub name: String,
    /// Who is asked.
    pub address: SocketAddr,
    /// Whole requests, sent in turn.
    pub bodies: Vec<Vec<u8>>,
    /// How many.
    pub requests: usize,
    /// Over how many connections.
    pub connections: usize,
}

/// How they were answered.
pub struct Report {
    /// What is printed.
    pub name: String,
    /// CPU time that the router used.
    pub cpu: Option<Duration>,
    /// The router's peak memory so far, in bytes.
    pub peak_memory: u64,
    took: Duration,
    latencies: Vec<Duration>,
}

impl Load {
    /// The same under another name.
    pub fn named(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// A fifth of it, to fill caches and pools.
    pub fn warm_up(&self) -> Self {
        Self { requests: self.requests / 5, ..self.clone() }
    }

    /// All of it, beginning with requests that the warm-up did not send (where there are so many).
    pub fn after_warm_up(mut self) -> Self {
        let sent = (self.requests / 5) % self.bodies.len();
        self.bodies.rotate_left(sent);
        self
    }

    /// Sends everything.
    pub async fn run(self) -> io::Result<Report> {
        let (next, load) = (Arc::new(AtomicUsize::new(0)), Arc::new(self));
        let started = Instant::now();
        let mut connections = JoinSet::new();
        for _ in 0..load.connections {
            connections.spawn(connection(load.clone(), next.clone()));
        }
        let mut latencies = Vec::with_capacity(load.requests);
        while let Some(done) = connections.join_next().await {
            latencies.extend(done??);
        }
        let took = started.elapsed();
        latencies.sort_unstable();
        Ok(Report { name: load.name.clone(), cpu: None, peak_memory: 0, took, latencies })
    }
}

async fn connection(load: Arc<Load>, next: Arc<AtomicUsize>) -> io::Result<Vec<Duration>> {
    let mut stream = BufReader::with_capacity(1 << 17, TcpStream::connect(load.address).await?);
    stream.get_ref().set_nodelay(true)?;
    let mut latencies = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.requests {
            return Ok(latencies);
        }
        let request = load.bodies.get(number % load.bodies.len()).ok_or_else(|| io::Error::other("no requests"))?;
        let started = Instant::now();
        stream.write_all(request).await?;
        answer(&mut stream).await?;
        latencies.push(started.elapsed());
    }
}

/// Reads one answer and throws it away; anything but a 200 without errors ends the benchmark.
async fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(format!("answered {line:?}")));
    }
    let (mut length, mut is_chunked) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let header = line.trim_end().to_ascii_lowercase();
        match header.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().map_err(io::Error::other)?,
            Some(("transfer-encoding", _)) => is_chunked = true,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    while is_chunked {
        line.clear();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await?;
        body.extend(chunk.iter().take(size));
        is_chunked = size > 0;
    }
    if body.starts_with(b"{\"errors\"") || body.windows(10).rev().take(400).any(|window| window == b"\"errors\":[") {
        return Err(io::Error::other(String::from_utf8_lossy(body.get(..400).unwrap_or(&body)).into_owned()));
    }
    Ok(())
}

impl Report {
    /// Number of answers.
    pub fn answers(&self) -> usize {
        self.latencies.len()
    }

    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        self.answers() as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the answers did not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let rank = (share * self.latencies.len() as f64) as usize;
        self.latencies.get(rank).or(self.latencies.last()).copied().unwrap_or_default()
    }
}
