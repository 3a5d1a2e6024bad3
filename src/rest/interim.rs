//! Interim answers of upstreams: what one says before its answer goes on to the client, and a client that waits for
//! `100 Continue` before it sends its body waits for the upstream's word.
//!
//! Relied on by `rest`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1>

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::{
    body::{Body, BoxError},
    exchange::{Exchange, Gate},
    upstream::headers::strip_hop_by_hop,
};

/// How long an upstream may take to ask for the body; one that does not know the word gets it then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Listens for what the upstream says before its answer to `request`, where the client can be told.
pub fn listen(exchange: &Exchange, request: &mut Request<Body>) {
    let Some(voice) = exchange.voice.clone().filter(|voice| !voice.is_mute()) else { return };
    let gate = hold_back(exchange, request);
    hyper::ext::on_informational(request, move |answer| match &gate {
        // The client is told as soon as its body is wanted.
        Some(gate) if answer.status() == StatusCode::CONTINUE => gate.open(),
        _ => voice.say(answer.status(), &passed_on(answer.headers())),
    });
}

/// Lets the body of a request wait for the upstream's word; nothing when its client does not, or there is no body that could.
fn hold_back(exchange: &Exchange, request: &mut Request<Body>) -> Option<Arc<Gate>> {
    if request.body().is_end_stream() || request.body().bytes().is_some() || !exchange.headers.contains_key(header::EXPECT) {
        return None;
    }
    let gate = Arc::<Gate>::default();
    let body = std::mem::replace(request.body_mut(), Body::empty());
    *request.body_mut() = Body::stream(HeldBack { body, gate: gate.clone(), patience: None, is_open: false });
    request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    request.extensions_mut().insert(gate.clone());
    Some(gate)
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    headers
}

struct HeldBack {
    body: Body,
    gate: Arc<Gate>,
    patience: Option<Pin<Box<Sleep>>>,
    is_open: bool,
}

impl http_body::Body for HeldBack {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.is_open {
            let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            let is_late = patience.as_mut().poll(context).is_ready();
            self.is_open = is_late || self.gate.poll_open(context).is_ready();
            if !self.is_open {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
