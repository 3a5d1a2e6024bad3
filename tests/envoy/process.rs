//! Envoy as a process, with one listener and the clusters of a test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::process::{Child, Command};

use crate::support::free_ports;

/// What a test wants of Envoy, in its words.
pub struct Config<'a> {
    /// The list of `virtual_hosts`.
    pub virtual_hosts: &'a str,
    /// Each cluster's name, its endpoints, and its other settings.
    pub clusters: &'a [(&'a str, Vec<SocketAddr>, &'a str)],
}

/// A running Envoy. It is killed when this is dropped.
pub struct Envoy {
    _process: Child,
    listen: SocketAddr,
}

impl Envoy {
    /// Starts one and waits until it listens; nothing where there is no Envoy.
    pub async fn start(config: &Config<'_>) -> Option<Self> {
        let program = program()?;
        loop {
            // A port that was free a moment ago may be taken by another test meanwhile; then it ends, and gets another one.
            if let Some(envoy) = Self::try_start(&program, config).await {
                return Some(envoy);
            }
        }
    }

    async fn try_start(program: &Path, config: &Config<'_>) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("envoy-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [listen, admin] = free_ports();
        std::fs::write(folder.join("envoy.yaml"), bootstrap(config, listen, admin)).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut process = Command::new(program)
            .args(["--config-path", "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while tokio::net::TcpStream::connect(listen).await.is_err() {
            let said = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            if process.try_wait().unwrap().is_some() {
                assert!(said().contains("in use"), "Envoy ended:\n{}", said());
                return None;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "Envoy does not listen:\n{}", said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        process.try_wait().unwrap().is_none().then_some(Self { _process: process, listen })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }
}

/// Envoy's program: the one that `ENVOY` names, or the first in the path.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ENVOY").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join("envoy")).find(|file| file.is_file())
}

/// With what Envoy's own guide for the edge asks for about paths, and ports of hosts left out of account.
fn bootstrap(config: &Config<'_>, listen: SocketAddr, admin: SocketAddr) -> String {
    let clusters: String = config.clusters.iter().map(|(name, endpoints, settings)| cluster(name, endpoints, settings)).collect();
    let hosts: String = config.virtual_hosts.trim().lines().map(|line| format!("              {line}\n")).collect();
    format!(
        r#"admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {listen} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: table
          strip_any_host_port: true
          normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            name: table
            virtual_hosts:
{hosts}  clusters:
{clusters}"#,
        admin = admin.port(),
        listen = listen.port(),
    )
}

fn cluster(name: &str, endpoints: &[SocketAddr], settings: &str) -> String {
    let endpoint = |address: &SocketAddr| {
        format!(
            "{{ endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }} }}",
            address.ip(),
            address.port()
        )
    };
    let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
    format!(
        "  - {{ name: {name}, type: STATIC, connect_timeout: 1s, load_assignment: {{ cluster_name: {name}, endpoints: [{{ lb_endpoints: [{}] }}] }} {settings} }}\n",
        endpoints.join(", ")
    )
}
