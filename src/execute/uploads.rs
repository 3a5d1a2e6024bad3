//! Uploads: files that came with a request, passed on to the one subgraph that takes them, as they arrive.
//!
//! `graphql::file_uploads` makes them from the client's form, `fetch` sends them. Nothing of a file is kept.
//! Spec: <https://github.com/jaydenseric/graphql-multipart-request-spec>

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, header};
use http_body::Frame;
use http_body_util::StreamBody;
use multer::{Field, Multipart};
use supergraph::plan::Fetch;

use crate::{
    body::{Body, BoxError},
    error::{Error, ErrorKind},
};

/// What stands in the variables where a file belongs. A subgraph gets null there.
pub const PLACE: &str = "\0upload";

/// The files of one request.
pub struct Uploads {
    /// By name of the form's field, where the file belongs: `variables.file`, `variables.files.0`.
    pub places: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// The rest of the form, until a fetch takes it.
    pub form: Mutex<Option<Multipart<'static>>>,
}

impl std::fmt::Debug for Uploads {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Uploads").field("places", &self.places).finish_non_exhaustive()
    }
}

/// A form on its way to a subgraph.
struct Form {
    multipart: Multipart<'static>,
    boundary: String,
    stage: Stage,
    /// Files that have not come yet.
    expected: Vec<Box<str>>,
}

enum Stage {
    /// What stands before the files.
    Head(Bytes),
    /// Before a file, or the end.
    Between,
    /// In a file.
    In(Box<Field<'static>>),
    /// After everything.
    Done,
}

impl Uploads {
    /// Whether a fetch has files among its variables.
    pub fn belong_to(&self, fetch: &Fetch) -> bool {
        let is_of = |place: &str| fetch.variables.iter().any(|name| variable_of(place) == Some(&**name));
        self.places.values().flatten().any(|place| is_of(place))
    }

    /// The request of a fetch, in JSON so far, as a form with the files.
    ///
    /// # Errors
    /// Another fetch has taken them.
    pub fn wrap(&self, json: &[u8], headers: &mut HeaderMap) -> Result<Body, Error> {
        let taken = || Error::new(ErrorKind::BadRequest, "files can go to one subgraph only");
        let multipart = self.form.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(taken)?;
        let boundary = boundary();
        let media = format!("multipart/form-data; boundary={boundary}");
        headers.insert(header::CONTENT_TYPE, media.parse().map_err(|_| Error::bug("a boundary is no header value"))?);
        // Servers that guard against forged forms want to see that this is none.
        headers.insert(HeaderName::from_static("apollo-require-preflight"), http::HeaderValue::from_static("true"));
        let head = Bytes::from(self.head(json, &boundary));
        let expected = self.places.keys().cloned().collect();
        let form = Form { multipart, boundary, stage: Stage::Head(head), expected };
        Ok(Body::stream(StreamBody::new(Box::pin(stream::try_unfold(form, Form::next)))))
    }

    /// The fields `operations` and `map`.
    fn head(&self, json: &[u8], boundary: &str) -> Vec<u8> {
        let field = |name: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes();
        let mut head = field("operations");
        // A place is a string of its own, so that its text with quotes stands nowhere else.
        let place = serde_json::to_vec(PLACE).unwrap_or_default();
        let mut rest = json;
        while let Some(at) = memchr::memmem::find(rest, &place) {
            let (before, after) = rest.split_at(at);
            head.extend_from_slice(before);
            head.extend_from_slice(b"null");
            rest = after.get(place.len()..).unwrap_or_default();
        }
        head.extend_from_slice(rest);
        head.extend_from_slice(b"\r\n");
        head.extend(field("map"));
        // Text as keys and values cannot fail to be written.
        let _ = serde_json::to_writer(&mut head, &self.places);
        head
    }
}

/// The variable that a place is in.
pub fn variable_of(place: &str) -> Option<&str> {
    place.strip_prefix("variables.")?.split('.').next()
}

impl Form {
    /// The next piece.
    async fn next(mut self) -> Result<Option<(Frame<Bytes>, Self)>, BoxError> {
        let piece = loop {
            match std::mem::replace(&mut self.stage, Stage::Between) {
                Stage::Head(head) => break head,
                Stage::Between => match self.multipart.next_field().await.map_err(unwrapped)? {
                    Some(field) => match self.enter(field) {
                        Some(head) => break head,
                        None => continue,
                    },
                    None if !self.expected.is_empty() => {
                        return Err(Error::new(ErrorKind::BadRequest, "The form lacks a file that its map names.").into());
                    }
                    None => {
                        self.stage = Stage::Done;
                        break format!("\r\n--{}--\r\n", self.boundary).into();
                    }
                },
                Stage::In(mut field) => {
                    if let Some(chunk) = field.chunk().await.map_err(unwrapped)? {
                        self.stage = Stage::In(field);
                        break chunk;
                    }
                }
                Stage::Done => return Ok(None),
            }
        };
        Ok(Some((Frame::data(piece), self)))
    }

    /// What stands before a file; nothing for a field that the map does not name, which is left out.
    fn enter(&mut self, field: Field<'static>) -> Option<Bytes> {
        let at = self.expected.iter().position(|name| Some(&**name) == field.name())?;
        self.expected.swap_remove(at);
        let mut head = format!("\r\n--{}\r\n", self.boundary).into_bytes();
        for name in [header::CONTENT_DISPOSITION, header::CONTENT_TYPE] {
            if let Some(value) = field.headers().get(&name) {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
        }
        head.extend_from_slice(b"\r\n");
        self.stage = Stage::In(Box::new(field));
        Some(head.into())
    }
}

/// A text that stands in no file.
fn boundary() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("supergate-{:016x}{:016x}", number(), number())
}

/// What the client's body broke with.
fn unwrapped(error: multer::Error) -> BoxError {
    match error {
        multer::Error::StreamReadFailed(inner) => inner,
        other => Error::new(ErrorKind::BadRequest, format!("The form cannot be read: {other}.")).into(),
    }
}
