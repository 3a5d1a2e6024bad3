//! The same requests to Supergate and to a real Envoy, with the same upstreams: what its users rely on, and where we differ.
//!
//! Supergate always runs, against what the tables say. Envoy runs too when `ENVOY` names its program, or `envoy` is in the path;
//! otherwise a line says that it did not. Each difference is in a table with the title under which `docs/envoy.md` gives its
//! reason.

mod process;
mod resilience;
mod routing;

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use self::process::Envoy;
use crate::support::{Router, Scripted, answer};

/// What a request comes to: a status and which upstream answered, or whatever else a table is about.
type Outcome = &'static str;

/// A line of a table: what is done, what Supergate makes of it, and what Envoy does where that differs, with the title of the
/// reason.
type Line<T> = (T, Outcome, Option<(Outcome, &'static str)>);

/// One of the two.
enum Gateway {
    Supergate(Box<Router>),
    Envoy(Box<Envoy>),
}

impl Gateway {
    fn name(&self) -> &'static str {
        match self {
            Self::Supergate(_) => "supergate",
            Self::Envoy(_) => "envoy",
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Supergate(router) => router.address(),
            Self::Envoy(envoy) => envoy.address(),
        }
    }

    /// What it should come to here.
    fn wanted<T>(&self, line: &Line<T>) -> Outcome {
        match (self, &line.2) {
            (Self::Envoy(_), Some((outcome, title))) => {
                note(title);
                outcome
            }
            _ => line.1,
        }
    }

    /// Sends a request head, completed with what ends it, and gives status and body.
    async fn ask(&self, head: &str) -> (u16, String) {
        let (status, _, body) = self.answer(head).await;
        (status, body)
    }

    /// The same with the head of the answer.
    async fn answer(&self, head: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let head = head.replace('\n', "\r\n");
        stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, head.to_owned(), body.to_owned())
    }
}

/// Every title that a table gives must be one of the document.
fn note(title: &str) {
    let document = include_str!("../../docs/envoy.md");
    assert!(document.contains(&format!("\n## {title}\n")), "docs/envoy.md gives no reason for `{title}`");
}

/// Both gateways, or the one that is there.
async fn both(router: &str, envoy: &process::Config<'_>) -> Vec<Gateway> {
    let mut gateways = vec![Gateway::Supergate(Box::new(Router::start(router).await))];
    match Envoy::start(envoy).await {
        Some(envoy) => gateways.push(Gateway::Envoy(Box::new(envoy))),
        None => tell_once(),
    }
    gateways
}

/// Says that only one side is run; not by `eprintln!`, which tests that pass keep to themselves.
fn tell_once() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if !IS_TOLD.swap(true, Ordering::Relaxed) {
        let _ = writeln!(std::io::stderr(), "Envoy is not here (ENVOY, or envoy in the path): only Supergate's side is run");
    }
}

/// Upstreams that answer with their names.
async fn named<const N: usize>(names: [&'static str; N]) -> Vec<(&'static str, Scripted)> {
    let mut all = Vec::new();
    for name in names {
        all.push((name, Scripted::start(move |_| answer(200, "", name)).await));
    }
    all
}

/// `upstreams:` of these.
fn upstreams(all: &[(&'static str, Scripted)]) -> String {
    let lines = all.iter().map(|(name, upstream)| format!("  {name}: {{ endpoints: [{{ url: \"{}\" }}] }}\n", upstream.url()));
    format!("upstreams:\n{}", lines.collect::<String>())
}
