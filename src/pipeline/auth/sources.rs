//! Where a request carries its token: a header, a cookie or a query parameter.
//!
//! Relied on by `jwt`. Spec: <https://www.rfc-editor.org/rfc/rfc6750#section-2>

use http::{HeaderName, Uri, header::COOKIE, uri::PathAndQuery};

use super::{Refusal, config::TokenSource};
use crate::exchange::Exchange;

/// One place to look.
#[derive(Debug)]
pub enum Source {
    /// A header with a scheme before the token.
    Header(HeaderName, String),
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
}

impl Source {
    /// The place that a configuration names.
    ///
    /// # Errors
    /// The header's name is none.
    pub fn new(config: &TokenSource) -> Result<Self, String> {
        Ok(match config {
            TokenSource::Header { header, prefix } => {
                let name = header.parse().map_err(|_| format!("`{header}` is not the name of a header"))?;
                Self::Header(name, prefix.clone())
            }
            TokenSource::Cookie { cookie } => Self::Cookie(cookie.clone()),
            TokenSource::Query { query } => Self::Query(query.clone()),
        })
    }

    /// The token here, if there is one. A token in the query is taken out of it, so that no upstream and no log sees it.
    ///
    /// Credentials of another scheme are no token (RFC 6750, section 3.1).
    ///
    /// # Errors
    /// The header is there more than once, or without a token behind its scheme.
    pub fn take(&self, exchange: &mut Exchange) -> Result<Option<String>, Refusal> {
        match self {
            Self::Header(name, scheme) => in_header(exchange, name, scheme),
            Self::Cookie(name) => Ok(in_cookie(exchange, name)),
            Self::Query(name) => Ok(in_query(exchange, name)),
        }
    }
}

fn in_header(exchange: &Exchange, name: &HeaderName, scheme: &str) -> Result<Option<String>, Refusal> {
    let mut values = exchange.headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Invalid("The credentials are given more than once"));
    }
    let text = value.to_str().map_err(|_| Refusal::Invalid("The credentials are malformed"))?.trim();
    if scheme.is_empty() {
        return Ok(Some(text.to_owned()));
    }
    let (given, token) = text.split_once(' ').unwrap_or((text, ""));
    match token.trim() {
        _ if !given.eq_ignore_ascii_case(scheme) => Ok(None),
        "" => Err(Refusal::Invalid("The credentials are malformed")),
        token => Ok(Some(token.to_owned())),
    }
}

fn in_cookie(exchange: &Exchange, name: &str) -> Option<String> {
    let lines = exchange.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}

fn in_query(exchange: &mut Exchange, name: &str) -> Option<String> {
    let query = exchange.uri.query()?;
    let is_token = |part: &&str| part.split_once('=').is_some_and(|(key, _)| key == name);
    let token = query.split('&').find(is_token)?.split_once('=')?.1.to_owned();
    let rest: Vec<&str> = query.split('&').filter(|part| !is_token(part)).collect();
    exchange.uri = with_query(&exchange.uri, &rest.join("&"))?;
    Some(token)
}

/// The same target with another query; everything else stays byte for byte.
fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let path = uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::Peer;

    fn exchange(uri: &str, headers: &[(&str, &str)]) -> Exchange {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), is_tls: false };
        Exchange::new(peer, request.body(()).unwrap().into_parts().0, Duration::from_secs(1))
    }

    #[test]
    fn the_scheme_is_compared_without_case_and_must_be_there() {
        let source = Source::Header(http::header::AUTHORIZATION, "Bearer".to_owned());
        for (value, expected) in [("Bearer abc", Some("abc")), ("bEARER  abc ", Some("abc")), ("Basic abc", None), ("abc", None)]
        {
            let found = source.take(&mut exchange("/", &[("authorization", value)]));
            assert_eq!(found.unwrap().as_deref(), expected, "{value}");
        }
        assert!(source.take(&mut exchange("/", &[("authorization", "Bearer ")])).is_err());
        assert_eq!(source.take(&mut exchange("/", &[])), Ok(None));
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert!(source.take(&mut exchange("/", &twice)).is_err());
    }

    #[test]
    fn a_token_in_the_query_is_taken_out_and_the_rest_stays_as_it_was() {
        let source = Source::Query("token".to_owned());
        for (before, after) in
            [("/a%2Fb?x=%20&token=abc&y=1+2", "/a%2Fb?x=%20&y=1+2"), ("/?token=abc", "/"), ("/?token=abc&token=def", "/")]
        {
            let mut exchange = exchange(before, &[]);
            assert_eq!(source.take(&mut exchange), Ok(Some("abc".to_owned())));
            assert_eq!(exchange.uri.to_string(), after);
        }
        assert_eq!(source.take(&mut exchange("/?tokens=abc", &[])), Ok(None));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut exchange = exchange("/", &[("cookie", "a=1; token=abc; tokens=x")]);
        assert_eq!(Source::Cookie("token".to_owned()).take(&mut exchange), Ok(Some("abc".to_owned())));
    }
}
