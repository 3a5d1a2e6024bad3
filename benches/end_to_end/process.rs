//! The routers under test: processes of their own, alone on a core, whose CPU time and memory `/proc` tells.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Clock ticks per second in `/proc/PID/stat`; Linux reports 100 to user space on every architecture.
const TICKS: u64 = 100;
/// The core that routers run on.
const CORE: &str = "0";

/// A router that ends when this is dropped.
pub struct Router {
    /// Where it answers.
    pub address: SocketAddr,
    children: Vec<u32>,
    child: Child,
}

/// A port that is free now.
pub fn free_port() -> u16 {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map_or(0, |address| address.port())
}

/// Keeps this process, and so the load and the subgraphs, on one core.
pub fn pin_self(core: usize) {
    let pid = std::process::id().to_string();
    // Without taskset the benchmark still runs, only less steadily.
    let _ = Command::new("taskset").args(["-cp", &core.to_string(), &pid]).stdout(Stdio::null()).status();
}

/// Writes the supergraph that `supergate compose` makes of a configuration, for rivals.
pub fn compose(config: &Path, folder: &Path) -> io::Result<PathBuf> {
    let made = Command::new(env!("CARGO_BIN_EXE_supergate")).arg("compose").arg("--config").arg(config).output()?;
    let path = folder.join("supergraph.graphql");
    fs::write(&path, made.stdout)?;
    Ok(path)
}

impl Router {
    /// Our own, or this binary of it, with the configuration that `yaml` makes for a port.
    pub fn supergate(binary: Option<&Path>, config: &Path, yaml: impl FnOnce(u16) -> String) -> io::Result<Self> {
        let port = free_port();
        fs::write(config, yaml(port))?;
        let binary = binary.unwrap_or(Path::new(env!("CARGO_BIN_EXE_supergate")));
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).arg(binary).args(["serve", "--config"]).arg(config);
        Self::start(command, port)
    }

    /// Another one, by a shell command.
    pub fn command(template: &str, supergraph: &Path) -> io::Result<Self> {
        let port = free_port();
        let line = template.replace("{port}", &port.to_string()).replace("{supergraph}", &supergraph.display().to_string());
        let mut command = Command::new("taskset");
        command.args(["-c", CORE, "sh", "-c", &format!("exec env {line}")]);
        Self::start(command, port)
    }

    /// nginx as a plain proxy, where it is installed.
    pub fn nginx(folder: &Path, upstream: SocketAddr) -> io::Result<Option<Self>> {
        let port = free_port();
        let config = folder.join("nginx.conf");
        let pid = folder.join("nginx.pid");
        let text = format!(
            "daemon off; worker_processes 1; pid {}; error_log /dev/null;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000;\n\
             upstream up {{ server {upstream}; keepalive 64; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
            pid.display()
        );
        fs::write(&config, text)?;
        let mut command = Command::new("taskset");
        command.args(["-c", CORE, "nginx", "-c"]).arg(&config);
        match Command::new("nginx").arg("-v").stderr(Stdio::null()).status() {
            Ok(_) => Self::start(command, port).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn start(mut command: Command, port: u16) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { address: (Ipv4Addr::LOCALHOST, port).into(), children: vec![child.id()], child })
    }

    /// Waits until it answers GraphQL.
    pub async fn ready(&self) -> io::Result<()> {
        let patience = Instant::now() + Duration::from_secs(30);
        let client = reqwest::Client::new();
        let url = format!("http://{}/graphql", self.address);
        while Instant::now() < patience {
            let request = client.post(&url).header("content-type", "application/json").body(r#"{"query":"{__typename}"}"#);
            if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(io::Error::other("the router did not get ready within 30 s"))
    }

    /// Waits until it accepts connections.
    pub async fn listens(&self) -> io::Result<()> {
        let patience = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            if Instant::now() > patience {
                return Err(io::Error::other("the router did not listen within 30 s"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// CPU time used so far, its children's included.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut ticks = 0;
        for pid in self.tree() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
            ticks += fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
        Ok(Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// The most memory it held so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let peak = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.tree().into_iter().filter_map(peak).sum::<u64>() * 1_024
    }

    /// The process and its children (nginx's worker).
    fn tree(&self) -> Vec<u32> {
        let mut pids = self.children.clone();
        for pid in &self.children {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        pids
    }
}

impl Drop for Router {
    #[allow(clippy::disallowed_methods, reason = "a drop cannot wait without blocking")]
    fn drop(&mut self) {
        // SIGTERM first, so that nginx's master takes its worker with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let patience = Instant::now() + Duration::from_secs(3);
        while Instant::now() < patience {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
    }
}
