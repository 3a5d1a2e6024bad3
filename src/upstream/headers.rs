//! Header rules: which headers go on to upstreams and back to clients, and how they change.
//!
//! Relied on by `upstream`; configured by `headers:`. What concerns one connection only (RFC 9110, section 7.6.1) never goes on,
//! whatever the rules say.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header rules for all calls, and further ones by subgraph and by route, applied after those of `all`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeadersConfig {
    /// For every upstream. On REST routes `propagate` has nothing to add: their headers go on anyway.
    pub all: HeaderRulesConfig,
    /// By subgraph.
    pub subgraphs: IndexMap<String, HeaderRulesConfig>,
    /// By REST route.
    pub routes: IndexMap<String, HeaderRulesConfig>,
}

/// Rules in the order in which they are applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderRulesConfig {
    /// For requests to upstreams.
    pub request: Vec<HeaderRule>,
    /// For responses to clients.
    pub response: Vec<HeaderRule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderRule {
    /// Pass headers on.
    Propagate(PropagateRule),
    /// Set a header.
    Insert(InsertRule),
    /// Take headers away.
    Remove(RemoveRule),
    /// Give a header another name.
    Rename(RenameRule),
}

/// Pass headers on: one of `named` and `matching`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PropagateRule {
    /// The header's name.
    pub named: Option<String>,
    /// A regular expression for names in lower case.
    pub matching: Option<String>,
    /// The name it goes on under; only with `named`.
    pub rename: Option<String>,
    /// The value when the header is absent; only with `named`.
    pub default: Option<String>,
    /// Which values count when several upstreams answered with the header; only in `response`.
    pub algorithm: Option<PropagateAlgorithm>,
}

/// How the values of several answers become one header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PropagateAlgorithm {
    /// The first answer's.
    First,
    /// The last answer's.
    #[default]
    Last,
    /// All of them.
    Append,
}

/// Set a header, whatever it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InsertRule {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Take headers away: one of `named` and `matching`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoveRule {
    /// The header's name.
    pub named: Option<String>,
    /// A regular expression for names in lower case.
    pub matching: Option<String>,
}

/// Give a header another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameRule {
    /// The name it has.
    pub from: String,
    /// The name it gets.
    pub to: String,
}

/// Rules ready to be applied.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    request: Vec<Rule>,
    response: Vec<Rule>,
}

#[derive(Clone, Debug)]
enum Rule {
    Propagate { named: HeaderName, rename: Option<HeaderName>, default: Option<HeaderValue>, algorithm: PropagateAlgorithm },
    PropagateLike(Regex, PropagateAlgorithm),
    Insert(HeaderName, HeaderValue),
    Remove(HeaderName),
    RemoveLike(Regex),
    Rename(HeaderName, HeaderName),
}

/// Whether a header belongs to one connection, not to the message.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Nearly every other name is told apart by its length alone.
    if !matches!(name.len(), 2 | 7 | 10 | 16..=19) {
        return false;
    }
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Removes from an answer what concerns its connection alone, and everything that its `Connection` header names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in nominated(headers) {
        headers.remove(name);
    }
    // Looked for rather than removed by name: hardly any is there, and each removal would hash its name first.
    while let Some(name) = headers.keys().find(|name| is_hop_by_hop(name)).cloned() {
        headers.remove(name);
    }
}

/// The headers that `Connection` names.
pub fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let is_name = |name: &str| !name.eq_ignore_ascii_case("close") && !name.eq_ignore_ascii_case("keep-alive");
    let mut names = Vec::new();
    for line in headers.get_all(http::header::CONNECTION) {
        // Nearly every line is one of the two words; telling that first saves every answer the general reading.
        if let Some(line) = line.to_str().ok().filter(|line| is_name(line)) {
            names.extend(line.split(',').map(str::trim).filter(|name| is_name(name)).filter_map(|name| name.parse().ok()));
        }
    }
    names
}

/// Whether a header of the client's request describes that request itself, so that no pattern may carry it into another one.
fn is_of_request(name: &HeaderName) -> bool {
    is_hop_by_hop(name)
        || matches!(
            name.as_str(),
            "host" | "content-length" | "content-type" | "content-encoding" | "accept" | "accept-encoding" | "expect" | "trailer"
        )
}

impl Rules {
    /// The rules of these lists, one after another.
    ///
    /// # Errors
    /// Says which name, value or expression does not parse.
    pub fn new(lists: &[&HeaderRulesConfig]) -> Result<Self, String> {
        let compile = |rules: Vec<&HeaderRule>| rules.into_iter().map(Rule::new).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            request: compile(lists.iter().flat_map(|list| &list.request).collect())?,
            response: compile(lists.iter().flat_map(|list| &list.response).collect())?,
        })
    }

    /// Applies the rules for requests: `client` are the headers that the client sent, `request` those that go on.
    pub fn apply_to_request(&self, client: &HeaderMap, request: &mut HeaderMap) {
        if self.request.is_empty() {
            return;
        }
        let nominated = nominated(client);
        for rule in &self.request {
            match rule {
                Rule::Propagate { named, rename, default, .. } if !nominated.contains(named) => {
                    propagate(client, request, (named, rename.as_ref().unwrap_or(named)), default.as_ref());
                }
                Rule::Propagate { .. } => {}
                Rule::PropagateLike(pattern, _) => {
                    let fits =
                        |name: &&HeaderName| pattern.is_match(name.as_str()) && !is_of_request(name) && !nominated.contains(name);
                    for name in client.keys().filter(fits) {
                        propagate(client, request, (name, name), None);
                    }
                }
                Rule::Rename(from, to) if !request.contains_key(from) && !is_of_request(from) && !nominated.contains(from) => {
                    propagate(client, request, (from, to), None);
                }
                rule => rule.apply(request),
            }
        }
    }

    /// Applies the rules for responses to one answer's headers, which go to the client as they are otherwise.
    pub fn apply_to_response(&self, response: &mut HeaderMap) {
        for rule in &self.response {
            match rule {
                Rule::Propagate { named, rename: Some(to), .. } => {
                    let values: Vec<_> = response.get_all(named).iter().cloned().collect();
                    replace(response, to, values);
                }
                Rule::Propagate { named, default: Some(value), .. } if !response.contains_key(named) => {
                    response.insert(named.clone(), value.clone());
                }
                rule => rule.apply(response),
            }
        }
    }

    /// Applies the rules for responses to one of several answers whose headers do not go to the client otherwise.
    pub fn collect_response(&self, answer: &HeaderMap, response: &mut HeaderMap) {
        for rule in &self.response {
            match rule {
                Rule::Propagate { named, rename, default, algorithm } => {
                    let to = rename.as_ref().unwrap_or(named);
                    if let (false, Some(value)) = (answer.contains_key(named) || response.contains_key(to), default) {
                        response.insert(to.clone(), value.clone());
                    }
                    algorithm.collect(answer, response, (named, to));
                }
                Rule::PropagateLike(pattern, algorithm) => {
                    let fits = |name: &&HeaderName| pattern.is_match(name.as_str()) && !is_of_request(name);
                    for name in answer.keys().filter(fits) {
                        algorithm.collect(answer, response, (name, name));
                    }
                }
                Rule::Rename(from, to) if !response.contains_key(from) => {
                    PropagateAlgorithm::default().collect(answer, response, (from, to));
                }
                rule => rule.apply(response),
            }
        }
    }
}

impl Rule {
    fn new(config: &HeaderRule) -> Result<Self, String> {
        Ok(match config {
            HeaderRule::Propagate(rule) => {
                let algorithm = rule.algorithm.unwrap_or_default();
                match (&rule.named, &rule.matching) {
                    (Some(named), None) => Self::Propagate {
                        named: name(named)?,
                        rename: rule.rename.as_deref().map(name).transpose()?,
                        default: rule.default.as_deref().map(value).transpose()?,
                        algorithm,
                    },
                    (None, Some(matching)) => Self::PropagateLike(pattern(matching)?, algorithm),
                    _ => return Err("`propagate` needs one of `named` and `matching`".into()),
                }
            }
            HeaderRule::Insert(rule) => Self::Insert(name(&rule.name)?, value(&rule.value)?),
            HeaderRule::Remove(rule) => match (&rule.named, &rule.matching) {
                (Some(named), None) => Self::Remove(name(named)?),
                (None, Some(matching)) => Self::RemoveLike(pattern(matching)?),
                _ => return Err("`remove` needs one of `named` and `matching`".into()),
            },
            HeaderRule::Rename(rule) => Self::Rename(name(&rule.from)?, name(&rule.to)?),
        })
    }

    /// What the rule does to one set of headers by itself.
    fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Insert(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            Self::Remove(name) => {
                headers.remove(name);
            }
            Self::RemoveLike(pattern) => {
                let doomed: Vec<_> = headers.keys().filter(|name| pattern.is_match(name.as_str())).cloned().collect();
                for name in doomed {
                    headers.remove(name);
                }
            }
            Self::Rename(from, to) => {
                let values: Vec<_> = headers.get_all(from).iter().cloned().collect();
                headers.remove(from);
                replace(headers, to, values);
            }
            Self::Propagate { .. } | Self::PropagateLike(..) => {}
        }
    }
}

impl PropagateAlgorithm {
    fn collect(self, answer: &HeaderMap, response: &mut HeaderMap, (from, to): (&HeaderName, &HeaderName)) {
        if is_hop_by_hop(from) || !answer.contains_key(from) || (self == Self::First && response.contains_key(to)) {
            return;
        }
        let values: Vec<_> = answer.get_all(from).iter().cloned().collect();
        match self {
            Self::First | Self::Last => replace(response, to, values),
            Self::Append => values.into_iter().for_each(|value| {
                response.append(to.clone(), value);
            }),
        }
    }
}

fn propagate(client: &HeaderMap, request: &mut HeaderMap, (from, to): (&HeaderName, &HeaderName), default: Option<&HeaderValue>) {
    if is_hop_by_hop(from) || (from == to && request.contains_key(to)) {
        return;
    }
    let mut values: Vec<_> = client.get_all(from).iter().cloned().collect();
    if values.is_empty() {
        values.extend(default.cloned());
    }
    replace(request, to, values);
}

/// Sets all values of a header, in their order; none leave it as it is.
fn replace(headers: &mut HeaderMap, name: &HeaderName, values: Vec<HeaderValue>) {
    if values.is_empty() {
        return;
    }
    headers.remove(name);
    for value in values {
        headers.append(name.clone(), value);
    }
}

fn name(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| format!("`{text}` is not the name of a header"))
}

fn value(text: &str) -> Result<HeaderValue, String> {
    text.parse().map_err(|_| format!("`{}` cannot be the value of a header", Cow::from(text).escape_debug()))
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("`{text}` is not a regular expression: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> Rules {
        Rules::new(&[&serde_saphyr::from_str::<HeaderRulesConfig>(yaml).unwrap()]).unwrap()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    const REQUEST: &str = r#"
request:
  - propagate: { named: Authorization }
  - propagate: { named: X-Tenant, default: none }
  - propagate: { named: X-User, rename: X-Caller }
  - propagate: { matching: "^x-trace-.*" }
  - insert: { name: X-Gateway-Version, value: "2.0" }
  - remove: { named: X-Trace-Secret }
  - rename: { from: X-Old, to: X-New }
"#;

    #[test]
    fn a_subgraph_gets_what_is_propagated_and_nothing_else() {
        let client = headers(&[
            ("authorization", "Bearer t"),
            ("x-user", "ann"),
            ("x-trace-a", "1"),
            ("x-trace-a", "2"),
            ("x-trace-secret", "3"),
            ("x-old", "o"),
            ("cookie", "c=1"),
        ]);
        let mut request = headers(&[("content-type", "application/json")]);
        rules(REQUEST).apply_to_request(&client, &mut request);
        let expected = headers(&[
            ("content-type", "application/json"),
            ("authorization", "Bearer t"),
            ("x-tenant", "none"),
            ("x-caller", "ann"),
            ("x-trace-a", "1"),
            ("x-trace-a", "2"),
            ("x-gateway-version", "2.0"),
            ("x-new", "o"),
        ]);
        assert_eq!(request, expected);
    }

    #[test]
    fn a_rest_upstream_gets_the_rest_as_well() {
        let client = headers(&[("x-old", "o"), ("x-trace-secret", "3"), ("x-gateway-version", "forged"), ("accept", "*/*")]);
        let mut request = client.clone();
        rules(REQUEST).apply_to_request(&client, &mut request);
        assert_eq!(request, headers(&[("accept", "*/*"), ("x-new", "o"), ("x-gateway-version", "2.0"), ("x-tenant", "none")]));
    }

    #[test]
    fn nothing_that_concerns_a_connection_or_the_clients_own_message_is_carried_over() {
        let client = headers(&[
            ("connection", "close, x-nominated"),
            ("x-nominated", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("host", "client.example"),
            ("content-length", "7"),
            ("x-plain", "1"),
        ]);
        let mut request = HeaderMap::new();
        rules("request: [{ propagate: { matching: '.*' } }, { propagate: { named: te } }]")
            .apply_to_request(&client, &mut request);
        assert_eq!(request, headers(&[("x-plain", "1")]));
    }

    #[test]
    fn answers_of_several_subgraphs_become_one() {
        let rules = rules(
            "response: [{ propagate: { named: cache-control, algorithm: append } }, { propagate: { named: x-first, algorithm: first } }, { propagate: { named: x-last } }]",
        );
        let mut response = HeaderMap::new();
        rules.collect_response(
            &headers(&[("cache-control", "max-age=1"), ("x-first", "1"), ("x-last", "1"), ("set-cookie", "s=1")]),
            &mut response,
        );
        rules.collect_response(&headers(&[("cache-control", "no-store"), ("x-first", "2"), ("x-last", "2")]), &mut response);
        let expected =
            headers(&[("cache-control", "max-age=1"), ("cache-control", "no-store"), ("x-first", "1"), ("x-last", "2")]);
        assert_eq!(response, expected);
    }

    #[test]
    fn what_the_connection_header_names_is_removed_with_it() {
        let mut answer =
            headers(&[("connection", "close, X-Secret"), ("x-secret", "s"), ("keep-alive", "timeout=5"), ("x-kept", "1")]);
        strip_hop_by_hop(&mut answer);
        assert_eq!(answer, headers(&[("x-kept", "1")]));
    }

    #[test]
    fn values_cannot_smuggle_lines() {
        let config: HeaderRulesConfig =
            serde_saphyr::from_str(r#"request: [{ insert: { name: X-A, value: "a\r\nX-B: b" } }]"#).unwrap();
        assert!(Rules::new(&[&config]).unwrap_err().contains("cannot be the value"));
    }
}
