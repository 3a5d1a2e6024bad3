//! A server that can be stopped as if it had crashed and started again on the same address, and the GraphQL endpoint.
//!
//! Relies on hyper-util (HTTP/1.1 and HTTP/2 with prior knowledge on one port) and axum. Every upstream relies on it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_graphql::{ObjectType, Request, Schema, SubscriptionType};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// One listening upstream; dropping it stops it.
pub(crate) struct Server {
    address: SocketAddr,
    router: Router,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let mut server = Self { address, router, accepting: None };
        server.restart().await?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the listener and every connection. The accept loop owns the connections, so ending it ends them.
    pub(crate) fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }

    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        if self.accepting.is_some() {
            return Ok(());
        }
        let listener = bind(self.address).await?;
        self.address = listener.local_addr()?;
        self.accepting = Some(tokio::spawn(accept(listener, self.router.clone())));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds, and waits up to a second for a listener that was stopped a moment ago to let go of the port.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let mut attempts_left = 100;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts_left > 0 => attempts_left -= 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(serve_connection(stream, router.clone())); }
                // Out of file descriptors, or the client left already: neither is a reason to stop listening.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Both only concern speed and a client that has gone: there is nobody to tell.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// `POST /graphql` (JSON; a subscription as SSE or multipart, whichever is accepted) and `GET /health`.
pub(crate) fn graphql_router<Q, M, S>(schema: Schema<Q, M, S>) -> Router
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    Router::new().route("/graphql", post(execute::<Q, M, S>)).route("/health", get(|| async { "ok" })).with_state(schema)
}

async fn execute<Q, M, S>(State(schema): State<Schema<Q, M, S>>, headers: HeaderMap, body: Bytes) -> Response<Body>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        let answer = r#"{"errors":[{"message":"The request body is not a GraphQL request in JSON."}]}"#;
        return respond(StatusCode::BAD_REQUEST, "application/json", answer);
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return respond(StatusCode::OK, "text/event-stream", Body::from_stream(events(&schema, request)));
    }
    if accept.contains("multipart/mixed") {
        let parts = async_graphql::http::create_multipart_mixed_stream(schema.execute_stream(request), Duration::from_secs(5));
        let content_type = r#"multipart/mixed; boundary="graphql"; subscriptionSpec="1.0""#;
        return respond(StatusCode::OK, content_type, Body::from_stream(parts.map(Ok::<_, std::convert::Infallible>)));
    }
    match serde_json::to_vec(&schema.execute(request).await) {
        Ok(answer) => respond(StatusCode::OK, "application/json", answer),
        Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

/// Server-sent events as GraphQL over SSE's "distinct connections" mode has them: `next` per answer, then `complete`.
fn events<Q, M, S>(
    schema: &Schema<Q, M, S>,
    request: Request,
) -> impl stream::Stream<Item = serde_json::Result<String>> + Send + 'static
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let answers = schema.execute_stream(request);
    let next = answers.map(|answer| Ok(format!("event: next\ndata: {}\n\n", serde_json::to_string(&answer)?)));
    next.chain(stream::once(async { Ok("event: complete\ndata:\n\n".to_owned()) }))
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
