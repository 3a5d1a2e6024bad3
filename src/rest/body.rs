//! Bodies: the fields of JSON in requests and answers, picked, renamed and set on their way through.
//!
//! Relied on by `rest`; configured by `request_body` and `response_body` of a route.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aggregate::shape::Shape;
use crate::{
    body::Body,
    coding,
    error::{Error, ErrorKind},
};

/// What becomes of a body in JSON; of a list, of each item. Others pass as they are. Fields are named by their keys with dots
/// between them: `customer.name`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BodyConfig {
    /// The fields that are taken; all when empty.
    pub allow: Vec<String>,
    /// Fields that are left out.
    pub deny: Vec<String>,
    /// New names of fields.
    pub mapping: IndexMap<String, String>,
    /// Fields that get a value, whether they were there or not.
    pub set: IndexMap<String, Value>,
}

/// Changes bodies.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyRewrite {
    shape: Shape,
    set: Vec<(Vec<Box<str>>, Value)>,
    /// Most bytes of a body.
    limit: usize,
    /// What is wrong when one is larger, and when one is no JSON.
    errors: (ErrorKind, ErrorKind),
}

/// Headers that say something of the bytes that were.
const ABOUT_BYTES: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
];

impl BodyRewrite {
    /// Of requests, which are the client's.
    pub fn of_requests(config: &BodyConfig, limit: usize) -> Self {
        Self::new(config, limit, (ErrorKind::BodyTooLarge, ErrorKind::BadRequest))
    }

    /// Of answers, which are the upstream's.
    pub fn of_answers(config: &BodyConfig, limit: usize) -> Self {
        Self::new(config, limit, (ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid))
    }

    fn new(config: &BodyConfig, limit: usize, errors: (ErrorKind, ErrorKind)) -> Self {
        let keys = |path: &str| path.split('.').filter(|key| !key.is_empty()).map(Into::into).collect();
        let set = config.set.iter().map(|(path, value)| (keys(path), value.clone())).collect();
        Self { shape: Shape::new(None, (&config.allow, &config.deny), &config.mapping), set, limit, errors }
    }

    /// The body that goes on instead of this one, and the headers that go with it.
    ///
    /// # Errors
    /// It is too large, broken, or not the JSON that it is said to be.
    pub async fn apply(&self, headers: &mut HeaderMap, body: Body) -> Result<Body, Error> {
        if !is_json(headers) {
            return Ok(body);
        }
        let (too_large, broken) = self.errors;
        let bytes = body.collect(self.limit, too_large, broken).await?;
        if bytes.is_empty() {
            return Ok(Body::full(bytes));
        }
        let bytes = coding::decode(headers, bytes, self.limit).map_err(|reason| reason.error(too_large, broken))?;
        let value =
            serde_json::from_slice(&bytes).map_err(|error| Error::new(broken, format!("the body is no JSON: {error}")))?;
        let mut value = self.shape.apply(value);
        match &mut value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.set(item)),
            single => self.set(single),
        }
        for name in ABOUT_BYTES {
            headers.remove(name);
        }
        let bytes = serde_json::to_vec(&value).map_err(|error| Error::bug(format!("JSON cannot be written: {error}")))?;
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        Ok(Body::full(bytes))
    }

    fn set(&self, value: &mut Value) {
        for (path, fixed) in &self.set {
            let Some((last, parents)) = path.split_last() else { continue };
            let mut place = &mut *value;
            for key in parents {
                let Value::Object(fields) = place else { break };
                place = fields.entry(key.to_string()).or_insert_with(|| Value::Object(serde_json::Map::new()));
            }
            if let Value::Object(fields) = place {
                fields.insert(last.to_string(), fixed.clone());
            }
        }
    }
}

/// `application/json`, and whatever is written like it: `application/problem+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn rewrite(yaml: &str) -> BodyRewrite {
        BodyRewrite::of_requests(&serde_saphyr::from_str(yaml).unwrap(), 64)
    }

    async fn applied(rewrite: &BodyRewrite, kind: &'static str, text: &'static str) -> Result<String, ErrorKind> {
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let body = rewrite.apply(&mut headers, Body::full(text)).await.map_err(|error| error.kind)?;
        let bytes = body.collect(1_000, ErrorKind::BodyTooLarge, ErrorKind::BadRequest).await.unwrap();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn fields_are_left_out_renamed_and_set() {
        let rewrite = rewrite("{ deny: [secret], mapping: { user: customer }, set: { meta.via: gateway, n: 2 } }");
        let got = applied(&rewrite, "application/json; charset=utf-8", r#"{"user":"ann","secret":1,"n":1}"#).await.unwrap();
        let wanted = serde_json::json!({ "customer": "ann", "n": 2, "meta": { "via": "gateway" } });
        assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), wanted);
        assert_eq!(applied(&rewrite, "application/x+json", "[{\"secret\":1}]").await.unwrap().matches("secret").count(), 0);
        assert_eq!(applied(&rewrite, "text/plain", "{\"secret\":1}").await.unwrap(), "{\"secret\":1}");
        assert_eq!(applied(&rewrite, "application/json", "").await.unwrap(), "");
        let numbers = "[0.00009221885624698875,0.12088995980580641]";
        assert_eq!(applied(&rewrite, "application/json", numbers).await.unwrap(), numbers, "no number changes");
        assert_eq!(applied(&rewrite, "application/json", "{").await, Err(ErrorKind::BadRequest));
        let large = r#"{"user":"0123456789012345678901234567890123456789012345678901234567890123456789"}"#;
        assert_eq!(applied(&rewrite, "application/json", large).await, Err(ErrorKind::BodyTooLarge));
    }
}
