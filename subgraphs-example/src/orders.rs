//! The REST upstream: orders, and endpoints that are slow, fail, or echo exactly what arrived.
//!
//! Relies on `data` and axum; `Example` starts it and hands out its order book.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::data;

/// The most orders on one page.
const MAX_LIMIT: usize = 100;
/// The longest that `/slow` waits, in milliseconds.
const MAX_SLOW: u64 = 60_000;

pub(crate) fn router(book: OrderBook) -> Router {
    Router::new()
        .route("/orders", get(list).post(create))
        .route("/orders/{id}", get(one))
        .route("/slow", any(slow))
        .route("/status/{code}", any(status))
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/health", get(|| async { "ok" }))
        .with_state(book)
}

/// The orders of one instance: those of `data` at first, then what clients create.
#[derive(Clone)]
pub struct OrderBook(Arc<RwLock<Vec<data::Order>>>);

impl OrderBook {
    pub(crate) fn new() -> Self {
        Self(Arc::new(RwLock::new(data::orders())))
    }

    /// All orders as they are now, by id.
    pub fn all(&self) -> Vec<data::Order> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was created.
    pub fn restore(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = data::orders();
    }
}

#[derive(Deserialize)]
struct Paging {
    page: Option<usize>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Page {
    orders: Vec<data::Order>,
    page: usize,
    limit: usize,
    total: usize,
}

async fn list(State(book): State<OrderBook>, Query(paging): Query<Paging>) -> Json<Page> {
    let page = paging.page.unwrap_or(1).max(1);
    let limit = paging.limit.unwrap_or(10).clamp(1, MAX_LIMIT);
    let all = book.0.read().unwrap_or_else(PoisonError::into_inner);
    let orders = all.iter().skip((page - 1).saturating_mul(limit)).take(limit).cloned().collect();
    Json(Page { orders, page, limit, total: all.len() })
}

async fn one(State(book): State<OrderBook>, Path(id): Path<String>) -> Result<Json<data::Order>, StatusCode> {
    let all = book.0.read().unwrap_or_else(PoisonError::into_inner);
    let found = all.iter().find(|order| order.id.to_string() == id).cloned();
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

#[derive(Deserialize)]
struct NewOrder {
    user_id: String,
    upc: String,
    quantity: u32,
}

async fn create(State(book): State<OrderBook>, Json(new): Json<NewOrder>) -> impl IntoResponse {
    let mut all = book.0.write().unwrap_or_else(PoisonError::into_inner);
    let id = all.len() as u32 + 1;
    let Some(order) = data::order(id, &new.user_id, &new.upc, new.quantity) else {
        let error = Json(json!({ "error": "no such user or product" }));
        return (StatusCode::UNPROCESSABLE_ENTITY, error).into_response();
    };
    all.push(order.clone());
    (StatusCode::CREATED, [(header::LOCATION, format!("/orders/{id}"))], Json(order)).into_response()
}

#[derive(Deserialize)]
struct Slow {
    ms: Option<u64>,
}

async fn slow(Query(slow): Query<Slow>) -> Json<serde_json::Value> {
    let milliseconds = slow.ms.unwrap_or(1000).min(MAX_SLOW);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Json(json!({ "slept_ms": milliseconds }))
}

/// Answers with the status in the path; a code that HTTP lacks is a 400.
async fn status(Path(code): Path<u16>) -> impl IntoResponse {
    let status = StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
    let status = status.unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(json!({ "status": status.as_u16() })))
}

/// What arrived. Header names are in lower case, values byte for byte with each byte as one character.
#[derive(Serialize)]
struct Echo {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: String,
}

async fn echo(method: Method, target: Uri, version: Version, headers: HeaderMap, body: Bytes) -> Json<Echo> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().iter().copied().map(char::from).collect()))
        .collect();
    let version = if version == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" };
    Json(Echo { method: method.to_string(), target: target.to_string(), version, headers, body: STANDARD.encode(&body) })
}
