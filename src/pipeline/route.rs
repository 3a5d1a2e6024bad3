//! Routes: which of them a request takes, by host, path, method, headers and query.

mod accept;
mod config;
mod patterns;

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, HeaderValue, Method, header};
use regex::Regex;
use rustc_hash::FxHashMap;

pub use self::config::{MatchConfig, RewriteConfig};
use self::{accept::MediaType, patterns::Patterns};
use super::Route;
use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
    percent::unescape_form,
};

/// All routes of a configuration, indexed so that finding one costs the same whatever their number.
///
/// The order: the most specific host first (its name, then the longest `*.suffix`, then `*`); then the path, segment by segment,
/// a literal one before a `{name}`, an exact path before a regular expression, that before a prefix, a long prefix before a short
/// one; then the route with more conditions on method, headers, `accept` and query; then the one that comes first in the file. A route
/// whose conditions do not hold gives way to the next.
#[derive(Debug, Default)]
pub struct Routes {
    hosts: FxHashMap<Box<str>, Table>,
    suffixes: FxHashMap<Box<str>, Table>,
    any: Table,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    route: Route,
    methods: Vec<Method>,
    headers: Vec<(HeaderName, Wanted)>,
    query: Vec<(Box<str>, Wanted)>,
    accept: Option<MediaType>,
    /// The media types of all routes of this host and path.
    rivals: Arc<[MediaType]>,
}

/// What a value must be.
#[derive(Debug)]
enum Wanted {
    Equal(Box<str>),
    Like(Regex),
    Present,
    Absent,
    Not(Box<Wanted>),
}

/// The paths of one host: a tree of segments, and regular expressions beside it.
#[derive(Debug, Default)]
struct Table {
    nodes: Vec<Node>,
    patterns: Patterns,
}

#[derive(Debug, Default)]
struct Node {
    literals: FxHashMap<Box<str>, usize>,
    named: Option<usize>,
    exact: Vec<usize>,
    prefix: Vec<usize>,
}

/// A match and whether it is only a prefix of the path.
struct Found {
    entry: usize,
    is_prefix: bool,
}

impl Routes {
    /// Indexes routes, in the order of the file.
    ///
    /// # Errors
    /// Says which part of which route does not parse.
    pub fn new(routes: Vec<(MatchConfig, Route)>) -> Result<Self, String> {
        let mut index = Self::default();
        let mut versions: FxHashMap<(String, String), Vec<MediaType>> = FxHashMap::default();
        for (config, _) in &routes {
            if let Some(version) = config.accept.as_deref().and_then(|accept| MediaType::new(accept).ok()) {
                versions.entry((config.host.clone(), config.path.clone())).or_default().push(version);
            }
        }
        for (config, mut route) in routes {
            let rivals = versions.get(&(config.host.clone(), config.path.clone()));
            route.varies_by_accept = rivals.is_some();
            let name = route.name.clone();
            index.add(&config, route).map_err(|error| format!("route `{name}`: {error}"))?;
            if let (Some(entry), Some(rivals)) = (index.entries.last_mut(), rivals) {
                entry.rivals = rivals.as_slice().into();
            }
        }
        let weights: Vec<usize> = index.entries.iter().map(Entry::conditions).collect();
        for table in index.hosts.values_mut().chain(index.suffixes.values_mut()).chain([&mut index.any]) {
            table.finish(&weights)?;
        }
        Ok(index)
    }

    /// Every route, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.entries.iter().map(|entry| &entry.route)
    }

    fn add(&mut self, config: &MatchConfig, route: Route) -> Result<(), String> {
        let id = self.entries.len();
        self.entries.push(Entry::new(config, route)?);
        let host = config.host.trim_end_matches('.').to_ascii_lowercase();
        let table = match host.strip_prefix("*.") {
            Some(suffix) => self.suffixes.entry(suffix.into()).or_default(),
            None if host == "*" => &mut self.any,
            None => self.hosts.entry(host.into()).or_default(),
        };
        table.add(&config.path, id)
    }

    /// The route of a request for this host (without port) and normalised path.
    ///
    /// # Errors
    /// 404, 405 with `Allow`, or 421.
    pub fn find<'r>(&'r self, exchange: &Exchange, host: &str, path: &str) -> Result<&'r Route, Error> {
        let mut search = Search { entries: &self.entries, exchange, method: method(exchange), refused: Vec::new() };
        let mut is_host_known = !self.any.nodes.is_empty();
        if !self.hosts.is_empty() || !self.suffixes.is_empty() {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            let suffixes = host.match_indices('.').filter_map(|(dot, _)| self.suffixes.get(host.get(dot + 1..)?));
            for table in self.hosts.get(host.as_str()).into_iter().chain(suffixes) {
                is_host_known = true;
                if let Some(entry) = table.find(path, &mut search) {
                    return Ok(&entry.route);
                }
            }
        }
        if let Some(entry) = self.any.find(path, &mut search) {
            return Ok(&entry.route);
        }
        Err(match search.refused.as_slice() {
            [] if !is_host_known && !self.entries.is_empty() => Error::new(ErrorKind::Misdirected, ""),
            [] => Error::new(ErrorKind::NotFound, ""),
            refused => not_allowed(refused),
        })
    }
}

/// The method to match: for a preflight the one that it asks for.
fn method(exchange: &Exchange) -> Cow<'_, Method> {
    let asked = exchange.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    match asked.filter(|_| exchange.method == Method::OPTIONS).map(|asked| Method::from_bytes(asked.as_bytes())) {
        Some(Ok(asked)) => Cow::Owned(asked),
        _ => Cow::Borrowed(&exchange.method),
    }
}

fn not_allowed(refused: &[&Entry]) -> Error {
    let mut names: Vec<&str> = refused.iter().flat_map(|entry| &entry.methods).map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    let allow = HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""));
    Error::new(ErrorKind::MethodNotAllowed, "").with_header(header::ALLOW, allow)
}

/// One request's way through the tables.
struct Search<'r, 'e> {
    entries: &'r [Entry],
    exchange: &'e Exchange,
    method: Cow<'e, Method>,
    refused: Vec<&'r Entry>,
}

impl Search<'_, '_> {
    /// The first of these whose conditions hold; notes those that only the method keeps away.
    fn accept(&mut self, ids: &[usize]) -> Option<usize> {
        ids.iter().copied().find(|id| {
            let Some(entry) = self.entries.get(*id) else { return false };
            if !entry.fits(self.exchange) {
                return false;
            }
            let is_allowed = entry.allows(&self.method);
            if !is_allowed {
                self.refused.push(entry);
            }
            is_allowed
        })
    }
}

impl Entry {
    fn new(config: &MatchConfig, route: Route) -> Result<Self, String> {
        let methods = config.methods.iter().map(|method| {
            Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(|_| format!("`{method}` is not a method"))
        });
        let headers = config.headers.iter().map(|(name, value)| {
            let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not the name of a header"))?;
            Ok::<_, String>((header, Wanted::new(value)?))
        });
        let query = config.query.iter().map(|(name, value)| Ok::<_, String>((Box::from(name.as_str()), Wanted::new(value)?)));
        Ok(Self {
            methods: methods.collect::<Result<_, _>>()?,
            headers: headers.collect::<Result<_, _>>()?,
            query: query.collect::<Result<_, _>>()?,
            accept: config.accept.as_deref().map(MediaType::new).transpose()?,
            rivals: Arc::default(),
            route,
        })
    }

    fn conditions(&self) -> usize {
        usize::from(!self.methods.is_empty()) + self.headers.len() + self.query.len() + usize::from(self.accept.is_some())
    }

    fn allows(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }

    fn fits(&self, exchange: &Exchange) -> bool {
        self.headers.iter().all(|(name, wanted)| {
            wanted.is_met(exchange.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())))
        }) && self.query.iter().all(|(name, wanted)| {
            let pairs = exchange.uri.query().unwrap_or_default().split('&').filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (unescape_form(key) == **name).then(|| unescape_form(value))
            });
            wanted.is_met(pairs)
        }) && self.accept.as_ref().is_none_or(|accept| accept.is_wanted(&exchange.headers, &self.rivals))
    }
}

impl Wanted {
    fn new(text: &str) -> Result<Self, String> {
        if let Some(other) = text.strip_prefix('!').filter(|other| !other.is_empty()) {
            return match (other, other.strip_prefix('~')) {
                ("*", _) => Ok(Self::Absent),
                (_, Some(pattern)) => Ok(Self::Not(Box::new(Self::Like(compile(pattern)?)))),
                (_, None) => Ok(Self::Not(Box::new(Self::Equal(other.into())))),
            };
        }
        Ok(match (text, text.strip_prefix('~')) {
            ("*", _) => Self::Present,
            ("!", _) => Self::Absent,
            (_, Some(pattern)) => Self::Like(compile(pattern)?),
            _ => Self::Equal(text.into()),
        })
    }

    fn is_met<'a>(&self, mut values: impl Iterator<Item = Cow<'a, str>>) -> bool {
        match self {
            Self::Present => values.next().is_some(),
            Self::Absent => values.next().is_none(),
            Self::Not(other) => !values.any(|value| other.fits(&value)),
            one => values.any(|value| one.fits(&value)),
        }
    }

    /// Whether one value is what is wanted of one.
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => *value == **wanted,
            Self::Like(pattern) => pattern.is_match(value),
            Self::Present | Self::Absent | Self::Not(_) => false,
        }
    }
}

/// A regular expression that has to match the whole text.
fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(&patterns::whole(pattern)).map_err(|error| format!("`{pattern}` is not a regular expression: {error}"))
}

impl Table {
    fn add(&mut self, path: &str, id: usize) -> Result<(), String> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        if let Some(pattern) = path.strip_prefix('~') {
            return self.patterns.add(pattern.trim_start(), id);
        }
        let exact = path.strip_prefix('=').map(str::trim_start);
        let own = exact.unwrap_or(path.trim_end_matches('/'));
        if !own.starts_with('/') && path != "/" {
            return Err(format!("the path `{path}` does not begin with a slash"));
        }
        let mut at = 0;
        for segment in own.split('/').skip(1) {
            at = self.child(at, segment)?;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            if exact.is_some() { node.exact.push(id) } else { node.prefix.push(id) }
        }
        Ok(())
    }

    /// The node below `at` for a segment of a pattern.
    fn child(&mut self, at: usize, segment: &str) -> Result<usize, String> {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return Err("the index is broken".into()) };
        let child = match segment.strip_prefix('{').map(|name| name.strip_suffix('}')) {
            Some(Some(_)) => *node.named.get_or_insert(fresh),
            Some(None) => return Err(format!("`{segment}` has no closing brace")),
            None if segment.contains(['{', '}']) => {
                return Err(format!("`{segment}`: a name in braces stands for a whole segment"));
            }
            None => *node.literals.entry(segment.into()).or_insert(fresh),
        };
        if child == fresh {
            self.nodes.push(Node::default());
        }
        Ok(child)
    }

    /// Puts routes of one place in their order, and joins the regular expressions.
    fn finish(&mut self, weights: &[usize]) -> Result<(), String> {
        self.patterns.finish()?;
        let weight = |id: &usize| std::cmp::Reverse(weights.get(*id).copied().unwrap_or_default());
        for node in &mut self.nodes {
            node.exact.sort_by_key(weight);
            node.prefix.sort_by_key(weight);
        }
        Ok(())
    }

    fn find<'r>(&self, path: &str, search: &mut Search<'r, '_>) -> Option<&'r Entry> {
        let found = self.walk(0, path.strip_prefix('/'), search);
        let id = match found {
            Some(Found { entry, is_prefix: false }) => entry,
            found => {
                let liked = search.accept(&self.patterns.fitting(path));
                liked.or(found.map(|found| found.entry))?
            }
        };
        search.entries.get(id)
    }

    /// Descends as far as the configured paths go, so its depth is theirs; comes back for less specific ones.
    fn walk(&self, at: usize, rest: Option<&str>, search: &mut Search<'_, '_>) -> Option<Found> {
        let node = self.nodes.get(at)?;
        if let Some(rest) = rest {
            let (segment, rest) = rest.split_once('/').map_or((rest, None), |(segment, rest)| (segment, Some(rest)));
            let literal = node.literals.get(segment).copied();
            let named = node.named.filter(|_| !segment.is_empty());
            for child in literal.into_iter().chain(named) {
                if let Some(found) = self.walk(child, rest, search) {
                    return Some(found);
                }
            }
        } else if let Some(entry) = search.accept(&node.exact) {
            return Some(Found { entry, is_prefix: false });
        }
        search.accept(&node.prefix).map(|entry| Found { entry, is_prefix: true })
    }
}
