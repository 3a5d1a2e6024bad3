//! Deprecation: tells clients that a route is on its way out, and until when it works.
//!
//! Relied on by `pipeline`; configured by `deprecation:` of a route.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9745>, <https://www.rfc-editor.org/rfc/rfc8594>

use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Moment;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// What is said of a route that is on its way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeprecationConfig {
    /// Since when it is deprecated, or will be.
    pub since: Moment,
    /// When it stops working.
    pub sunset: Option<Moment>,
    /// Where to read what to do instead.
    pub link: Option<String>,
}

/// The headers of a deprecated route.
#[derive(Debug)]
pub struct Deprecation(Vec<(HeaderName, HeaderValue)>);

impl Deprecation {
    /// What the configuration says, as headers.
    ///
    /// # Errors
    /// The link cannot stand in a header.
    pub fn new(config: &DeprecationConfig) -> Result<Self, String> {
        let wrong = |_| "the deprecation's link cannot stand in a header".to_owned();
        let mut headers = vec![(DEPRECATION, HeaderValue::try_from(format!("@{}", config.since.0)).map_err(wrong)?)];
        if let Some(sunset) = config.sunset {
            headers.push((SUNSET, HeaderValue::try_from(sunset.http_date()).map_err(wrong)?));
        }
        if let Some(link) = &config.link {
            if link.contains(['<', '>', '"', ' ']) {
                return Err(format!("`{link}` is not a link"));
            }
            let rel = if config.sunset.is_some() { "deprecation sunset" } else { "deprecation" };
            headers.push((header::LINK, HeaderValue::try_from(format!("<{link}>; rel=\"{rel}\"")).map_err(wrong)?));
        }
        Ok(Self(headers))
    }

    /// Adds them to a response. What the upstream says itself stays.
    pub fn mark(&self, response: &mut HeaderMap) {
        for (name, value) in &self.0 {
            if name == header::LINK {
                response.append(name, value.clone());
            } else {
                response.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_their_specifications_want_them() {
        let yaml = "{ since: 2023-06-30T23:59:59Z, sunset: 2024-06-30T23:59:59Z, link: 'https://developer.example/v2' }";
        let config: DeprecationConfig = serde_saphyr::from_str(yaml).unwrap();
        let mut headers = HeaderMap::new();
        Deprecation::new(&config).unwrap().mark(&mut headers);
        assert_eq!(headers["deprecation"], "@1688169599");
        assert_eq!(headers["sunset"], "Sun, 30 Jun 2024 23:59:59 GMT");
        assert_eq!(headers["link"], "<https://developer.example/v2>; rel=\"deprecation sunset\"");
        let mut own = HeaderMap::from_iter([(DEPRECATION, HeaderValue::from_static("@1"))]);
        Deprecation::new(&config).unwrap().mark(&mut own);
        assert_eq!(own["deprecation"], "@1");
    }
}
