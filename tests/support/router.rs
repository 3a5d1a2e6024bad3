//! The router as a process, started from a `router.yaml` in a folder of its own, on ports of its own.
//!
//! Relies on the built binary and on its contract: `--config`, `--listen`, `${env.NAME}` in values, readiness on its listener.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use subgraphs_example::{Example, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// How long the router may take to become ready; a debug build on a busy machine needs some seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running router. It is killed when this is dropped.
pub struct Router {
    process: Child,
    listen: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
    folder: PathBuf,
    /// A client with a pool of its own and no timeout.
    pub client: reqwest::Client,
}

/// What of a request `Router` fills in when the test's configuration does not say it.
const LISTENERS: &[(&str, &str)] = &[
    ("health_check:", "health_check: { listen: \"${env.HEALTH}\" }\n"),
    ("admin:", "admin: { listen: \"${env.ADMIN}\" }\n"),
    ("telemetry:", "telemetry: { exporters: { metrics: { prometheus: { listen: \"${env.METRICS}\" } } } }\n"),
];

impl Router {
    /// Starts a router with this `router.yaml` and waits until it is ready. Listeners it does not configure get free ports, in
    /// `${env.HEALTH}`, `${env.ADMIN}` and `${env.METRICS}`.
    pub async fn start(config: &str) -> Self {
        let mut router = Self::spawn(config);
        let started = Instant::now();
        while !router.is_ready().await {
            let ended = router.process.try_wait().unwrap();
            assert!(ended.is_none(), "the router ended with {ended:?}:\n{}", router.log());
            assert!(started.elapsed() < READY_WITHIN, "the router did not become ready:\n{}", router.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        router
    }

    /// Starts a router and does not wait.
    pub fn spawn(config: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("router-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();

        let mut config = config.to_owned();
        for (key, block) in LISTENERS {
            if !config.lines().any(|line| line.starts_with(key)) {
                config.push_str(block);
            }
        }
        std::fs::write(folder.join("router.yaml"), config).unwrap();
        let [listen, health, metrics, admin] = free_ports();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_supergate"))
            .args(["serve", "--config", "router.yaml", "--listen", &listen.to_string()])
            .envs([("HEALTH", health), ("METRICS", metrics), ("ADMIN", admin)].map(|(name, address)| (name, address.to_string())))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { process, listen, health, metrics, folder, client: reqwest::Client::new() }
    }

    /// Starts a router in front of the example: its four subgraphs, its orders as the route `orders` under `/api/v1`, and
    /// `more` of `router.yaml`.
    pub async fn start_with(example: &Example, more: &str) -> Self {
        Self::start(&format!("{}{more}", example_config(example))).await
    }

    /// The same, without waiting until it is ready.
    pub fn spawn_with(example: &Example, more: &str) -> Self {
        Self::spawn(&format!("{}{more}", example_config(example)))
    }

    /// The `router.yaml` it runs with.
    pub fn config(&self) -> String {
        std::fs::read_to_string(self.folder.join("router.yaml")).unwrap()
    }

    /// Replaces its `router.yaml`, as an editor does: a new file takes the old one's name.
    pub fn rewrite_config(&self, config: &str) {
        std::fs::write(self.folder.join("router.yaml.new"), config).unwrap();
        std::fs::rename(self.folder.join("router.yaml.new"), self.folder.join("router.yaml")).unwrap();
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// A URL of the router.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// A `POST` of an operation, to be completed with headers and sent.
    pub fn operation(&self, query: &str, variables: Value) -> reqwest::RequestBuilder {
        self.client.post(self.url("/graphql")).json(&json!({ "query": query, "variables": variables }))
    }

    /// The answer to an operation without variables, whatever its status.
    pub async fn graphql(&self, query: &str) -> Value {
        self.operation(query, json!({})).send().await.unwrap().json().await.unwrap()
    }

    /// The status of a `POST` whose body comes in chunks, without an announced length.
    pub async fn chunked(&self, path: &str, body: &str) -> u16 {
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n", self.listen);
        let chunks: String =
            body.as_bytes().chunks(100).map(|it| format!("{:x}\r\n{}\r\n", it.len(), String::from_utf8_lossy(it))).collect();
        let answer = self.raw(&format!("{head}transfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunks}0\r\n\r\n")).await;
        answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_else(|_| panic!("no status in {answer:?}"))
    }

    /// Sends bytes on a connection of their own and reads until the router closes it.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.listen).await.unwrap();
        // The router may refuse and close before everything is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The same for at most so long; and whether the router closed the connection meanwhile.
    pub async fn raw_within(&self, request: &str, time: Duration) -> (String, bool) {
        let mut stream = tokio::net::TcpStream::connect(self.listen).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let is_closed = tokio::time::timeout(time, stream.read_to_end(&mut answer)).await.is_ok();
        (String::from_utf8_lossy(&answer).into_owned(), is_closed)
    }

    /// A REST call to the route `orders`, to be completed and sent.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    /// Whether the router says that it is ready.
    pub async fn is_ready(&self) -> bool {
        self.readiness().await.is_some_and(|(status, _)| status == 200)
    }

    /// Status and body of `/health/ready`; nothing while nobody listens.
    pub async fn readiness(&self) -> Option<(u16, String)> {
        let response = self.client.get(format!("http://{}/health/ready", self.health)).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// The lines of `/metrics` that are no comments.
    pub async fn metrics(&self) -> Vec<String> {
        let text = self.client.get(format!("http://{}/metrics", self.metrics)).send().await.unwrap().text().await.unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    /// The sum of a metric over all members that have these labels (`route="orders"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let lines = self.metrics().await;
        let is_wanted = |line: &&String| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            (rest.starts_with('{') || rest.starts_with(' ')) && labels.iter().all(|label| rest.contains(label))
        };
        lines.iter().filter(is_wanted).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Everything the router has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Bytes of memory in use now, and the most there have been.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().split(' ').next().unwrap().parse::<u64>().unwrap()
        };
        (kilobytes("VmRSS:") << 10, kilobytes("VmHWM:") << 10)
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id().unwrap())).unwrap().count()
    }

    /// How many bytes of memory it has.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let id = self.process.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(Duration::from_secs(30), self.process.wait()).await.expect("the router does not end").unwrap()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Left behind after a failure, for whoever looks for its reason. Failing to clean up fails nothing.
            let _ = std::fs::remove_dir_all(&self.folder);
        } else {
            eprintln!("--- log of the router\n{}", self.log());
        }
    }
}

/// The start of a `router.yaml` for the example.
fn example_config(example: &Example) -> String {
    let mut config = "subgraphs:\n".to_owned();
    for subgraph in Upstream::SUBGRAPHS {
        config.push_str(&format!("  {}: {{ url: \"{}\" }}\n", subgraph.name(), example.url(subgraph)));
    }
    config.push_str("routes:\n  - { name: orders, match: { path: /api/v1 }, upstream: orders, strip_prefix: /api/v1 }\n");
    config.push_str(&format!("upstreams:\n  orders: {{ endpoints: [{{ url: \"{}\" }}] }}\n", example.url(Upstream::Orders)));
    config
}

/// Ports that nobody has, all different: below those that the system gives to connections, which could take one back before it is
/// used, and each process of tests begins at a place of its own.
pub fn free_ports<const N: usize>() -> [SocketAddr; N] {
    const RANGE: std::ops::Range<u32> = 20_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(977);
    let port = || RANGE.start + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (RANGE.end - RANGE.start);
    let free = |port: u32| TcpListener::bind(("127.0.0.1", port as u16)).and_then(|listener| listener.local_addr()).ok();
    [(); N].map(|()| std::iter::repeat_with(port).find_map(free).unwrap())
}
