//! File uploads: requests that come as forms, with files in the place of variables.
//!
//! Relied on by `graphql::http`; configured by `file_uploads:`. What comes before the files is read here, the files stay where
//! they are until a subgraph takes them. Spec: <https://github.com/jaydenseric/graphql-multipart-request-spec>

use std::{collections::BTreeMap, sync::Mutex};

use apollo_compiler::response::JsonValue;
use http::{HeaderMap, header};
use http_body_util::BodyDataStream;
use multer::{Constraints, Multipart, SizeLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{http::Request, plans::Ready};
use crate::{
    body::Body,
    error::{Error, ErrorKind},
    execute::uploads::{PLACE, Uploads, variable_of},
};

/// `file_uploads`: files in the place of variables. Their size counts for `limits.http_max_request_bytes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FileUploadsConfig {
    /// Whether forms are taken.
    pub enabled: bool,
    /// Most files of one request.
    pub max_files: usize,
}

impl Default for FileUploadsConfig {
    fn default() -> Self {
        Self { enabled: false, max_files: 10 }
    }
}

/// Size of the fields before the files.
const MAX_FIELD_BYTES: u64 = 1 << 20;

/// Whether a request with these headers is a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// Reads a form up to its files.
///
/// # Errors
/// It is not one, or has too many files.
pub async fn read(headers: &HeaderMap, body: Body, config: &FileUploadsConfig) -> Result<Request, Error> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(media).map_err(|_| malformed("it has no boundary"))?;
    let sizes = SizeLimit::new().for_field("operations", MAX_FIELD_BYTES).for_field("map", MAX_FIELD_BYTES);
    let constraints = Constraints::new().size_limit(sizes);
    let mut form = Multipart::with_constraints(BodyDataStream::new(body), boundary, constraints);
    let operations = text_of(&mut form, "operations").await?;
    let mut request: Request = serde_json::from_str(&operations).map_err(|error| malformed(&format!("operations: {error}")))?;
    let map = text_of(&mut form, "map").await?;
    let places: BTreeMap<Box<str>, Vec<Box<str>>> =
        serde_json::from_str(&map).map_err(|error| malformed(&format!("map: {error}")))?;
    if places.len() > config.max_files {
        return Err(malformed(&format!("it has {} files, at most {} are accepted", places.len(), config.max_files)));
    }
    for place in places.values().flatten() {
        mark(&mut request, place).ok_or_else(|| malformed(&format!("`{place}` is no null among the variables")))?;
    }
    request.uploads = (!places.is_empty()).then(|| Box::new(Uploads { places, form: Mutex::new(Some(form)) }));
    Ok(request)
}

/// Refuses a plan that would send the files to several subgraphs: they are not kept, so they can be sent once.
///
/// # Errors
/// It would.
pub fn check(uploads: &Uploads, plan: &Ready) -> Result<(), Error> {
    let takers = plan.plan.plan.fetches.iter().filter(|(_, fetch)| uploads.belong_to(fetch)).count();
    if takers > 1 { Err(malformed("its files would go to several subgraphs")) } else { Ok(()) }
}

/// The text of the field that must come next.
async fn text_of(form: &mut Multipart<'static>, name: &str) -> Result<String, Error> {
    let broken = |error: multer::Error| match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(inner) => malformed(&inner.to_string()),
        },
        other => malformed(&other.to_string()),
    };
    let field = form.next_field().await.map_err(broken)?.filter(|field| field.name() == Some(name));
    let field = field.ok_or_else(|| malformed(&format!("the field `{name}` must come first, then `map`, then files")))?;
    field.text().await.map_err(broken)
}

/// Marks the null at a place; nothing when there is none.
fn mark(request: &mut Request, place: &str) -> Option<()> {
    let name = variable_of(place)?;
    let mut value = request.variables.as_mut()?.get_mut(name)?;
    for step in place.split('.').skip(2) {
        value = match value {
            JsonValue::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            JsonValue::Object(fields) => fields.get_mut(step)?,
            _ => return None,
        };
    }
    value.is_null().then(|| *value = JsonValue::String(PLACE.into()))
}

fn malformed(reason: &str) -> Error {
    Error::new(ErrorKind::GraphqlBadRequest, format!("The form is no GraphQL request: {reason}."))
}
