//! Rate limits: how many requests in how long, per key.
//!
//! Every rule is asked in order and the first that refuses decides; what earlier rules counted stays counted. A key's part that a
//! request lacks (no token, no such header) is replaced by the client's address, so that leaving it out gains nothing. Counters
//! live in a registry of the process: a reload that does not change a rule keeps its counts.
//! Relied on by `pipeline`; configured by `ratelimit:`. Spec: <https://www.rfc-editor.org/rfc/rfc6585#section-4>,
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>

pub mod config;
mod counters;

use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, RETRY_AFTER},
};
use moka::sync::Cache;

pub use config::RateLimitConfig;
use config::{RateLimitAlgorithm, RateLimitKey, RateLimitRuleConfig};
use counters::{Counter, Quota, Verdict};

use crate::{
    error::{Error, ErrorKind},
    exchange::Exchange,
    telemetry::metrics::Metrics,
    units::Rate,
};

/// Most keys that one rule counts at a time; the least used are forgotten first.
const MOST_KEYS: u64 = 100_000;
/// What the quota of all requests together is called.
pub const GLOBAL: &str = "global";
/// The longest value of one part of a key; the rest does not tell keys apart.
const LONGEST_PART: usize = 256;
const NANOS: u64 = 1_000_000_000;
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The counters of the process, by scope and rule.
#[derive(Debug, Default)]
pub struct Counters {
    rules: Mutex<Vec<Known>>,
}

/// A rule in its scope, as long as some route has it.
type Known = (Box<str>, RateLimitRuleConfig, Weak<Rule>);

/// The rate limits of one or more routes.
#[derive(Debug)]
pub struct RateLimit {
    rules: Vec<Arc<Rule>>,
    /// `RateLimit-Policy`, unless headers are off.
    policy: Option<HeaderValue>,
    metrics: Arc<Metrics>,
}

/// One rule with the counters of its keys.
#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    /// The name as a structured-field string.
    quoted: String,
    key: Vec<RateLimitKey>,
    quota: Quota,
    counters: Cache<Box<str>, Arc<Counter>>,
    started: Instant,
}

impl Counters {
    /// The rule with the counters that it has in this scope (`default`, or a route's name).
    fn get(&self, scope: &str, config: &RateLimitRuleConfig) -> Result<Arc<Rule>, String> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|(_, _, rule)| rule.strong_count() > 0);
        let same = rules.iter().find(|(own, rule, _)| **own == *scope && rule == config);
        if let Some(rule) = same.and_then(|(_, _, rule)| rule.upgrade()) {
            return Ok(rule);
        }
        let rule = Arc::new(Rule::new(config)?);
        rules.push((scope.into(), config.clone(), Arc::downgrade(&rule)));
        Ok(rule)
    }
}

impl RateLimit {
    /// The limits of a configuration. `scope` is `default` or the name of the route whose own block this is.
    ///
    /// # Errors
    /// A rule cannot be counted in memory.
    pub fn new(config: &RateLimitConfig, scope: &str, counters: &Counters, metrics: Arc<Metrics>) -> Result<Self, String> {
        let global = config.global.as_ref().map(|global| RateLimitRuleConfig {
            name: GLOBAL.into(),
            key: Vec::new(),
            algorithm: RateLimitAlgorithm::TokenBucket,
            rate: Rate { count: global.capacity.max(1), per: global.interval },
            burst: None,
            cost: config::RateLimitCost::One,
        });
        let all = global.iter().chain(&config.rules);
        let rules = all.clone().map(|rule| counters.get(scope, rule)).collect::<Result<Vec<_>, _>>()?;
        let policies = all.zip(&rules).map(|(config, rule)| {
            let per = config.rate.per.0.as_secs_f64().ceil() as u64;
            format!("{};q={};w={per}", rule.quoted, config.rate.count)
        });
        let policy = policies.collect::<Vec<_>>().join(", ");
        let policy = config.headers.then(|| HeaderValue::try_from(policy).ok()).flatten();
        Ok(Self { rules, policy, metrics })
    }

    /// Counts the request against every rule.
    ///
    /// # Errors
    /// `RateLimited` with `Retry-After` when a rule has nothing left.
    pub fn take(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let mut least: Option<(&Rule, Verdict)> = None;
        for rule in &self.rules {
            let verdict = rule.take(exchange);
            if !verdict.is_allowed {
                return Err(self.refuse(exchange, rule, verdict));
            }
            if least.is_none_or(|(_, least)| verdict.remaining < least.remaining) {
                least = Some((rule, verdict));
            }
        }
        if let Some((rule, verdict)) = least {
            self.state(exchange, rule, verdict);
            if let Some(identity) = &exchange.identity {
                self.metrics.rate_limit_remaining(&identity.subject, &exchange.route, verdict.remaining);
            }
        }
        Ok(())
    }

    fn refuse(&self, exchange: &mut Exchange, rule: &Rule, verdict: Verdict) -> Error {
        let consumer = exchange.identity.as_ref().map_or("", |identity| &*identity.subject);
        self.metrics.rate_limit_hit(consumer, &rule.name, &exchange.route);
        self.state(exchange, rule, verdict);
        let wait = verdict.wait.div_ceil(NANOS).max(1);
        Error::new(ErrorKind::RateLimited, format!("Too many requests: try again in {wait} s."))
            .with_header(RETRY_AFTER, wait.into())
            .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    /// Tells the client what is left.
    fn state(&self, exchange: &mut Exchange, rule: &Rule, verdict: Verdict) {
        let Some(policy) = &self.policy else { return };
        let state = format!("{};r={};t={}", rule.quoted, verdict.remaining, verdict.wait.div_ceil(NANOS));
        if let Ok(state) = HeaderValue::try_from(state) {
            exchange.response_headers.insert(RATE_LIMIT, state);
            exchange.response_headers.insert(RATE_LIMIT_POLICY, policy.clone());
        }
    }
}

impl Rule {
    fn new(config: &RateLimitRuleConfig) -> Result<Self, String> {
        let quota = Quota::new(config.rate, config.burst, config.algorithm);
        let quota = quota.ok_or_else(|| format!("the rate limit `{}`: this algorithm is not supported", config.name))?;
        let idle = Duration::from_nanos(quota.memory()).max(Duration::from_secs(1));
        let escaped = config.name.replace('\\', "\\\\").replace('"', "\\\"");
        Ok(Self {
            name: config.name.as_str().into(),
            quoted: format!("\"{escaped}\""),
            key: config.key.clone(),
            quota,
            counters: Cache::builder().max_capacity(MOST_KEYS).time_to_idle(idle).build(),
            started: Instant::now(),
        })
    }

    fn take(&self, exchange: &Exchange) -> Verdict {
        let key = self.key_of(exchange);
        let counter = match self.counters.get(key.as_str()) {
            Some(counter) => counter,
            None => self.counters.get_with(key.into(), || Arc::new(self.quota.counter())),
        };
        let now = exchange.started.saturating_duration_since(self.started).as_nanos();
        counter.take(&self.quota, u64::try_from(now).unwrap_or(u64::MAX / 4))
    }

    /// The key of a request: its parts, each with its length before it so that no two keys read alike.
    fn key_of(&self, exchange: &Exchange) -> String {
        let mut key = String::new();
        for part in &self.key {
            let start = key.len();
            if !write_part(&mut key, part, exchange) {
                key.truncate(start);
                key.push('@');
                write_address(&mut key, exchange.client_ip);
            }
            let length = key.len() - start;
            let _ = write!(key, "/{length};");
        }
        key
    }
}

/// Appends one part of a key; `false` when the request lacks it.
fn write_part(key: &mut String, part: &RateLimitKey, exchange: &Exchange) -> bool {
    match part {
        RateLimitKey::ClientIp => write_address(key, exchange.client_ip),
        RateLimitKey::Route => key.push_str(&exchange.route),
        RateLimitKey::Header(name) => {
            let Some(value) = exchange.headers.get(name) else { return false };
            key.push_str(cut(&String::from_utf8_lossy(value.as_bytes())));
        }
        RateLimitKey::Claim(name) => match exchange.identity.as_ref().and_then(|identity| identity.claims.get(name)) {
            None | Some(serde_json::Value::Null) => return false,
            Some(serde_json::Value::String(text)) => key.push_str(cut(text)),
            Some(other) => key.push_str(cut(&other.to_string())),
        },
    }
    true
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST_PART)).unwrap_or(text)
}

/// An IPv4 address, or the /64 of an IPv6 one: a single subscriber has that many addresses.
fn write_address(key: &mut String, address: IpAddr) {
    let _ = match address {
        IpAddr::V4(address) => write!(key, "{address}"),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            write!(key, "{a:x}:{b:x}:{c:x}:{d:x}")
        }
    };
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exchange::{Identity, Peer};

    fn exchange(address: &str, at: Instant) -> Exchange {
        let (head, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        let peer = Peer { address: format!("{address}:1").parse().unwrap(), is_tls: false };
        let mut exchange = Exchange::new(peer, head, Duration::from_secs(1));
        exchange.started = at;
        exchange
    }

    fn limits(config: serde_json::Value) -> (RateLimit, RateLimitConfig, Counters) {
        let config: RateLimitConfig = serde_json::from_value(config).unwrap();
        let counters = Counters::default();
        (RateLimit::new(&config, "default", &counters, Metrics::new()).unwrap(), config, counters)
    }

    #[test]
    fn each_key_has_its_own_count_and_refusals_say_when_to_come_back() {
        let (limits, ..) = limits(json!({ "rules": [{ "name": "per-ip", "key": ["client_ip"], "rate": "2/1m" }] }));
        let now = Instant::now() + Duration::from_secs(1);
        let take = |address: &str, at| {
            let mut exchange = exchange(address, at);
            (limits.take(&mut exchange), exchange.response_headers)
        };
        let (_, headers) = take("192.0.2.1", now);
        assert_eq!(headers[RATE_LIMIT], "\"per-ip\";r=1;t=30");
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"per-ip\";q=2;w=60");
        assert!(take("192.0.2.1", now).0.is_ok());
        let (refused, headers) = take("192.0.2.1", now);
        let refused = refused.unwrap_err();
        assert_eq!((refused.kind, &refused.headers[0]), (ErrorKind::RateLimited, &(RETRY_AFTER, HeaderValue::from_static("30"))));
        assert_eq!(headers[RATE_LIMIT], "\"per-ip\";r=0;t=30");
        assert!(take("192.0.2.2", now).0.is_ok(), "another client is not affected");
        assert!(take("192.0.2.1", now + Duration::from_secs(30)).0.is_ok());
        assert!(take("[2001:db8:1:2::1]", now).0.is_ok());
        assert!(take("[2001:db8:1:2::2]", now).0.is_ok());
        assert!(take("[2001:db8:1:2::3]", now).0.is_err(), "a /64 is one client");
    }

    #[test]
    fn leaving_a_part_of_the_key_out_gains_nothing() {
        let (limits, ..) = limits(json!({ "rules": [{ "name": "per-user", "key": ["claim:sub"], "rate": "1/1h" }] }));
        let now = Instant::now();
        let mut anonymous = exchange("192.0.2.1", now);
        assert!(limits.take(&mut anonymous).is_ok());
        assert!(limits.take(&mut anonymous).is_err());
        let mut named = exchange("192.0.2.1", now);
        let claims = json!({ "sub": "ann" }).as_object().unwrap().clone();
        named.identity = Some(Arc::new(Identity { subject: "ann".into(), claims, ..Identity::default() }));
        assert!(limits.take(&mut named).is_ok());
    }

    #[test]
    fn the_first_rule_that_refuses_decides_and_the_least_is_told() {
        let (limits, ..) = limits(json!({
            "global": { "capacity": 3, "interval": "1m" },
            "rules": [{ "name": "per-ip", "key": ["client_ip"], "rate": "100/1m", "algorithm": "sliding_window" }],
        }));
        let now = Instant::now();
        let mut first = exchange("192.0.2.1", now);
        limits.take(&mut first).unwrap();
        assert_eq!(first.response_headers[RATE_LIMIT], "\"global\";r=2;t=20");
        assert_eq!(first.response_headers[RATE_LIMIT_POLICY], "\"global\";q=3;w=60, \"per-ip\";q=100;w=60");
        for _ in 0..2 {
            limits.take(&mut exchange("192.0.2.2", now)).unwrap();
        }
        assert!(limits.take(&mut exchange("192.0.2.3", now)).is_err());
    }

    #[test]
    fn a_reload_keeps_the_counts_of_rules_that_did_not_change() {
        let (before, config, counters) = limits(json!({ "rules": [{ "name": "all", "key": [], "rate": "1/1h" }] }));
        let now = Instant::now();
        before.take(&mut exchange("192.0.2.1", now)).unwrap();
        let after = RateLimit::new(&config, "default", &counters, Metrics::new()).unwrap();
        drop(before);
        assert!(after.take(&mut exchange("192.0.2.1", now)).is_err());
        let other_route = RateLimit::new(&config, "orders", &counters, Metrics::new()).unwrap();
        assert!(other_route.take(&mut exchange("192.0.2.1", now)).is_ok());
    }

    #[test]
    fn an_algorithm_that_needs_more_than_a_counter_is_refused() {
        let config = json!({ "rules": [{ "name": "x", "key": [], "rate": "1/1h", "algorithm": "leaky_bucket" }] });
        let config: RateLimitConfig = serde_json::from_value(config).unwrap();
        assert!(RateLimit::new(&config, "default", &Counters::default(), Metrics::new()).is_err());
    }
}
