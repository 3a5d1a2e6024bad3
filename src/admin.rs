//! Admin: liveness, readiness and metrics, each on its own listener.
//!
//! Relied on by `app`; configured by `health_check:` and `admin:`.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::get};
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::telemetry::metrics::Metrics;

/// The listener for liveness and readiness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Whether it listens.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// The path of its answers, with `/live` and `/ready` below it.
    pub path: String,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 8088)), path: "/health".into() }
    }
}

/// The listener for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Its address.
    pub listen: SocketAddr,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9000)) }
    }
}

/// What the readiness probe asks: whether traffic may come, and why (not).
pub trait Readiness: Send + Sync + 'static {
    /// Whether requests can be answered.
    fn is_ready(&self) -> bool;
    /// What is served, and what is wrong with its sources; for people and machines.
    fn report(&self) -> Value;
}

/// `/health/live` and `/health/ready` below `path`.
pub fn health(path: &str, readiness: Arc<dyn Readiness>) -> Router {
    let base = path.trim_end_matches('/');
    let ready = move || {
        let readiness = readiness.clone();
        async move {
            let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, Json(readiness.report()))
        }
    };
    Router::new()
        .route(&format!("{base}/live"), get(async || Json(json!({ "status": "UP" }))))
        .route(&format!("{base}/ready"), get(ready.clone()))
        .route(if base.is_empty() { "/" } else { base }, get(ready))
}

/// The metrics at `path`, in the OpenMetrics text format.
pub fn metrics(path: &str, metrics: Arc<Metrics>) -> Router {
    const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Router::new().route(path, get(async move || ([(header::CONTENT_TYPE, TEXT)], metrics.encode())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{
        future::IntoFuture,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    struct Switch(AtomicBool);

    impl Readiness for Switch {
        fn is_ready(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
        fn report(&self) -> Value {
            json!({ "ready": self.is_ready() })
        }
    }

    async fn start(router: Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        address
    }

    #[tokio::test]
    async fn readiness_follows_its_source_and_liveness_does_not() {
        let switch = Arc::new(Switch(AtomicBool::new(false)));
        let address = start(health("/health", switch.clone())).await;
        let status = async |path| reqwest::get(format!("http://{address}{path}")).await.unwrap().status().as_u16();
        assert_eq!((status("/health/ready").await, status("/health").await, status("/health/live").await), (503, 503, 200));
        switch.0.store(true, Ordering::SeqCst);
        assert_eq!((status("/health/ready").await, status("/health").await, status("/health/live").await), (200, 200, 200));
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let address = start(metrics("/metrics", Metrics::new())).await;
        let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
        assert!(answer.text().await.unwrap().ends_with("# EOF\n"));
    }
}
