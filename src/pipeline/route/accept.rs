//! Accept: which of several versions, each a media type, a client wants.
//!
//! Relied on by `pipeline::route`; configured by `match.accept` of a route.
//! Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-accept>

use http::{HeaderMap, header};

/// A media type, such as `application/vnd.company.v2+json` or `application/json;version=2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// Type and subtype.
    essence: Box<str>,
    parameters: Vec<(Box<str>, Box<str>)>,
}

impl MediaType {
    /// Reads one; all in lower case, since neither case nor order means anything.
    ///
    /// # Errors
    /// It has no type and subtype, or has wildcards.
    pub fn new(text: &str) -> Result<Self, String> {
        let (media_type, _) = parse(text).ok_or_else(|| format!("`{text}` is not a media type"))?;
        if media_type.essence.contains('*') { Err(format!("`{text}` is not one media type")) } else { Ok(media_type) }
    }

    /// Whether a client wants this one at least as much as any of `rivals`. Only what it names counts: who takes anything gets
    /// the version that asks for nothing.
    pub fn is_wanted(&self, headers: &HeaderMap, rivals: &[Self]) -> bool {
        let ranges: Vec<(Self, u16)> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(parse)
            .collect();
        let own = self.quality(&ranges);
        own > 0 && rivals.iter().all(|rival| rival.quality(&ranges) <= own)
    }

    fn quality(&self, ranges: &[(Self, u16)]) -> u16 {
        let is_named =
            |range: &Self| range.essence == self.essence && self.parameters.iter().all(|it| range.parameters.contains(it));
        ranges.iter().filter(|(range, _)| is_named(range)).map(|(_, quality)| *quality).max().unwrap_or_default()
    }
}

/// A media range and its weight in thousandths.
fn parse(text: &str) -> Option<(MediaType, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let essence =
        parts.next().filter(|essence| essence.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty()))?;
    let (mut parameters, mut quality) = (Vec::new(), 1_000);
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("q") {
            let weight = value.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            quality = (weight * 1_000.0).round() as u16;
        } else {
            parameters.push((name.trim().to_ascii_lowercase().into(), value.to_ascii_lowercase().into()));
        }
    }
    Some((MediaType { essence: essence.to_ascii_lowercase().into(), parameters }, quality))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_version_is_taken_and_only_when_it_is_named() {
        let versions = ["application/vnd.company.v1+json", "application/vnd.company.v2+json", "application/json;version=3"];
        let versions = versions.map(|version| MediaType::new(version).unwrap());
        for (accept, wanted) in [
            ("application/vnd.company.v2+json", vec![1]),
            ("APPLICATION/vnd.Company.V2+json", vec![1]),
            ("application/vnd.company.v1+json;q=0.5, application/vnd.company.v2+json", vec![1]),
            ("application/vnd.company.v1+json, application/vnd.company.v2+json;q=0.9", vec![0]),
            ("application/vnd.company.v1+json, application/vnd.company.v2+json", vec![0, 1]),
            ("text/html, application/vnd.company.v2+json;q=0.1", vec![1]),
            ("application/vnd.company.v2+json;q=0", vec![]),
            ("application/json; version=3; charset=utf-8", vec![2]),
            ("application/json", vec![]),
            ("*/*", vec![]),
            ("application/*", vec![]),
            ("", vec![]),
            ("garbage;;q=x,", vec![]),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            let taken: Vec<usize> = (0..3).filter(|index| versions.get(*index).unwrap().is_wanted(&headers, &versions)).collect();
            assert_eq!(taken, wanted, "{accept}");
        }
        for bad in ["json", "*/*", "application/*", "/json", ""] {
            assert!(MediaType::new(bad).is_err(), "{bad}");
        }
    }
}
