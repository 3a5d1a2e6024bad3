//! WebSockets that come over HTTP/2, where a stream is asked for with an extended CONNECT; upstreams are asked as HTTP/1.1 does it.
//!
//! A leaf, part of `exchange`. Routes and policies see the GET that it would be in HTTP/1.1.
//! Spec: <https://www.rfc-editor.org/rfc/rfc8441>, <https://www.rfc-editor.org/rfc/rfc6455#section-4>

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, Request, Version, header, request::Parts};
use hyper::ext::Protocol;

/// What is hashed behind a key.
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that is ours to make, since HTTP/2 has none.
#[derive(Debug)]
pub struct Handshake {
    /// What the upstream has to say.
    accept: String,
}

impl Handshake {
    /// Whether a request asks for a stream for a WebSocket.
    pub fn is_asked<B>(request: &Request<B>) -> bool {
        request.version() == Version::HTTP_2
            && *request.method() == Method::CONNECT
            && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket")
    }

    /// Makes of such a request what HTTP/1.1 would have.
    pub fn translate(head: &mut Parts) -> Box<Self> {
        let mut nonce = [0; 16];
        // Without chance it is still a key: it proves that the upstream speaks WebSocket, and nothing else.
        let _ = rand::fill(&mut nonce);
        let key = STANDARD.encode(nonce);
        head.method = Method::GET;
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(value) = HeaderValue::from_str(&key) {
            head.headers.insert(header::SEC_WEBSOCKET_KEY, value);
        }
        Box::new(Self { accept: accept(&key) })
    }

    /// Whether the headers of an upstream's 101 say what they must.
    pub fn is_accepted(&self, headers: &HeaderMap) -> bool {
        let is_websocket = headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
        is_websocket && accept.is_some_and(|accept| accept.as_bytes().trim_ascii() == self.accept.as_bytes())
    }
}

/// What a server says to a key.
fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), SALT].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_specification() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
