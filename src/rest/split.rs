//! Splits: which of several upstreams takes a request: by rule, by canary, by weight; the same one for the same caller if asked.
//!
//! Relied on by `rest`; configured by `split:`, `sticky:` and `canary:` of a route.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderName;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    exchange::Exchange,
    units::{Moment, Percent, Span},
    upstream::{
        Upstream,
        balance::{HashConfig, HashOn, mix},
    },
};

/// One share of a route's traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Name of an upstream.
    pub upstream: String,
    /// Its share, relative to the sum of all weights.
    #[serde(default)]
    pub weight: u32,
    /// Requests that it takes whatever the weights: the first share whose rule fits.
    pub when: Option<WhenConfig>,
}

/// Which requests a share takes. All that is given must hold; `*` is any value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhenConfig {
    /// Headers and the value each must have.
    pub headers: IndexMap<String, String>,
    /// Claims of the verified token and the value each must have, or contain when it is a list.
    pub claims: IndexMap<String, String>,
}

/// A new version that takes more and more of the requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryConfig {
    /// Name of the upstream with the new version.
    pub upstream: String,
    /// When it begins: `2026-01-31` or `2026-01-31T12:00:00Z`.
    pub begin: Moment,
    /// The share that it begins with.
    #[serde(default = "nothing")]
    pub start: Percent,
    /// The share that it ends with.
    #[serde(default = "everything")]
    pub target: Percent,
    /// In how many equal steps.
    #[serde(default = "ten")]
    pub steps: u32,
    /// How long all steps take together.
    #[serde(default = "hour")]
    pub duration: Span,
}

const fn nothing() -> Percent {
    Percent(0)
}

const fn everything() -> Percent {
    Percent(100)
}

const fn ten() -> u32 {
    10
}

const fn hour() -> Span {
    Span::seconds(3_600)
}

/// Chooses an upstream for each request.
#[derive(Debug)]
pub struct Split {
    rules: Vec<(When, Arc<Upstream>)>,
    canary: Option<(CanaryConfig, Arc<Upstream>)>,
    shares: Vec<(Arc<Upstream>, u32)>,
    total: u64,
    turn: AtomicU64,
    sticky: Option<HashOn>,
}

/// What a request must have.
#[derive(Debug)]
struct When {
    headers: Vec<(HeaderName, Box<str>)>,
    claims: Vec<(Box<str>, Box<str>)>,
}

impl Split {
    /// All requests to one upstream.
    pub fn one(upstream: Arc<Upstream>) -> Self {
        Self { rules: Vec::new(), canary: None, total: 1, shares: vec![(upstream, 1)], turn: AtomicU64::new(0), sticky: None }
    }

    /// These shares, each with its upstream.
    ///
    /// # Errors
    /// When nobody has a share, or a rule names no header.
    pub fn new(shares: Vec<(&SplitConfig, Arc<Upstream>)>) -> Result<Self, String> {
        let mut split =
            Self { rules: Vec::new(), canary: None, total: 0, shares: Vec::new(), turn: AtomicU64::new(0), sticky: None };
        for (config, upstream) in shares {
            if let Some(when) = &config.when {
                split.rules.push((When::new(when)?, upstream.clone()));
            }
            split.total += u64::from(config.weight);
            split.shares.push((upstream, config.weight));
        }
        if split.total == 0 { Err("no upstream has a weight".into()) } else { Ok(split) }
    }

    /// The same with a canary.
    #[must_use]
    pub fn with_canary(mut self, config: &CanaryConfig, upstream: Arc<Upstream>) -> Self {
        self.canary = Some((config.clone(), upstream));
        self
    }

    /// The same, but one caller always gets the same version.
    ///
    /// # Errors
    /// Says what a key must look like.
    pub fn with_key(mut self, config: &HashConfig) -> Result<Self, String> {
        self.sticky = Some(HashOn::new(&config.on)?);
        Ok(self)
    }

    /// The upstream of a request.
    pub fn choose(&self, exchange: &Exchange) -> Option<&Arc<Upstream>> {
        if let Some((_, upstream)) = self.rules.iter().find(|(when, _)| when.fits(exchange)) {
            return Some(upstream);
        }
        let mut point = self.point(exchange);
        if let Some((canary, upstream)) = &self.canary {
            let share = canary.share(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
            if point < share {
                return Some(upstream);
            }
            point = self.point_of_the_rest(point, share);
        }
        let mut point = u64::try_from((u128::from(point) * u128::from(self.total)) >> 64).unwrap_or_default();
        self.shares.iter().find_map(|(upstream, weight)| match point.checked_sub(u64::from(*weight)) {
            Some(left) => {
                point = left;
                None
            }
            None => Some(upstream),
        })
    }

    /// Another upstream than this one: the one with the largest share.
    pub fn other(&self, than: &Arc<Upstream>) -> Option<&Arc<Upstream>> {
        let canary = self.canary.iter().map(|(_, upstream)| (upstream, 0));
        let all = self.shares.iter().map(|(upstream, weight)| (upstream, *weight)).chain(canary);
        all.filter(|(upstream, _)| upstream.name() != than.name()).max_by_key(|(_, weight)| *weight).map(|(upstream, _)| upstream)
    }

    /// A point of the whole range: of the caller's, or the next of a sequence. The multiples of the golden ratio, modulo one, are
    /// as even as a sequence can be, so every share is spread evenly over any stretch of requests.
    fn point(&self, exchange: &Exchange) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        if self.shares.len() == 1 && self.canary.is_none() {
            return 0;
        }
        match &self.sticky {
            Some(key) => key.of(exchange),
            None => self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN),
        }
    }
}

impl Split {
    /// A point for those whom the canary leaves, who are only those above its share. Callers that are known by a key get another
    /// point of their own, which stays while the share grows; a sequence is stretched, and so stays even.
    fn point_of_the_rest(&self, point: u64, share: u64) -> u64 {
        match &self.sticky {
            Some(_) => mix(point),
            None => {
                let (point, rest) = (u128::from(point - share), u128::from(u64::MAX - share) + 1);
                u64::try_from((point << 64) / rest).unwrap_or(u64::MAX)
            }
        }
    }
}

impl CanaryConfig {
    /// The points that it takes, at this time since 1970. Grows only, so a caller who has met the new version stays with it.
    fn share(&self, now: Duration) -> u64 {
        let Some(elapsed) = now.checked_sub(Duration::from_secs(self.begin.0)) else { return 0 };
        let step = self.duration.0.div_f64(f64::from(self.steps.max(1)));
        let steps = elapsed.as_secs_f64() / step.as_secs_f64().max(f64::MIN_POSITIVE);
        let done = steps.floor().min(f64::from(self.steps.max(1))) / f64::from(self.steps.max(1));
        let share = self.start.factor() + (self.target.factor() - self.start.factor()).max(0.0) * done;
        // A cast that saturates, which makes all of 1.0.
        (share * u64::MAX as f64) as u64
    }
}

impl When {
    fn new(config: &WhenConfig) -> Result<Self, String> {
        let headers = config.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?;
            Ok::<_, String>((name, Box::from(value.as_str())))
        });
        let claims = config.claims.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        Ok(Self { headers: headers.collect::<Result<_, _>>()?, claims: claims.collect() })
    }

    fn fits(&self, exchange: &Exchange) -> bool {
        let has_header = |(name, wanted): &(HeaderName, Box<str>)| {
            exchange.headers.get_all(name).iter().any(|value| &**wanted == "*" || value.as_bytes() == wanted.as_bytes())
        };
        let claims = exchange.identity.as_ref().map(|identity| &identity.claims);
        let has_claim = |(name, wanted): &(Box<str>, Box<str>)| {
            let claim = claims.and_then(|claims| claims.get(&**name));
            claim.is_some_and(|claim| is_or_contains(claim, wanted))
        };
        self.headers.iter().all(has_header) && self.claims.iter().all(has_claim)
    }
}

fn is_or_contains(claim: &Value, wanted: &str) -> bool {
    let is_it = |claim: &Value| match claim {
        Value::String(text) => text == wanted,
        Value::Bool(is_so) => wanted == if *is_so { "true" } else { "false" },
        Value::Number(number) => *wanted == number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    match claim {
        Value::Null => false,
        _ if wanted == "*" => true,
        Value::Array(items) => items.iter().any(is_it),
        single => is_it(single),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;
    use crate::{exchange::Peer, telemetry::metrics::Metrics, upstream::UpstreamConfig};

    fn upstream(name: &str) -> Arc<Upstream> {
        Arc::new(Upstream::new(name.into(), &UpstreamConfig::default(), Metrics::new()).unwrap())
    }

    fn exchange(user: &str) -> Exchange {
        let (head, ()) = http::Request::get("/").header("x-user", user).body(()).unwrap().into_parts();
        Exchange::new(Peer { address: "192.0.2.9:1".parse().unwrap(), is_tls: false }, head, Duration::ZERO)
    }

    fn weights(first: u32, second: u32) -> Split {
        let config = |name: &str, weight| SplitConfig { upstream: name.into(), weight, when: None };
        let (one, two) = (config("v1", first), config("v2", second));
        Split::new(vec![(&one, upstream("v1")), (&two, upstream("v2"))]).unwrap()
    }

    fn is_second(split: &Split, exchange: &Exchange) -> bool {
        &**split.choose(exchange).unwrap().name() == "v2"
    }

    const BY_USER: fn() -> HashConfig = || HashConfig { on: "header:X-User".into() };

    #[test]
    fn shares_are_exact_and_evenly_spread() {
        let (split, anybody) = (weights(90, 10), exchange("a"));
        let picks: Vec<bool> = (0..10_000).map(|_| is_second(&split, &anybody)).collect();
        let count = picks.iter().filter(|is_second| **is_second).count();
        assert!((990..=1_010).contains(&count), "{count}");
        for stretch in picks.chunks(100) {
            let count = stretch.iter().filter(|is_second| **is_second).count();
            assert!((8..=12).contains(&count), "{count} of 100");
        }
        assert!(Split::new(Vec::new()).is_err());
    }

    #[test]
    fn a_caller_stays_with_its_version_while_the_share_grows() {
        let users: Vec<Exchange> = (0..2_000).map(|user| exchange(&user.to_string())).collect();
        let at = |percent| -> Vec<bool> {
            let split = weights(100 - percent, percent).with_key(&BY_USER()).unwrap();
            users.iter().map(|user| is_second(&split, user)).collect()
        };
        let mut before = at(0);
        for percent in [10, 25, 50, 90, 100] {
            let now = at(percent);
            assert_eq!(now, at(percent), "the same each time");
            assert!(before.iter().zip(&now).all(|(before, now)| !before || *now), "nobody goes back at {percent}");
            let count = now.iter().filter(|is_second| **is_second).count();
            let wanted = users.len() * percent as usize / 100;
            assert!(count.abs_diff(wanted) < 80, "{count} instead of {wanted}");
            before = now;
        }
    }

    #[test]
    fn those_whom_a_canary_leaves_keep_their_shares() {
        let yaml = "{ upstream: v3, begin: 2026-01-01T00:00:00Z, start: 50%, target: 50%, duration: 1h }";
        let canary: CanaryConfig = serde_saphyr::from_str(yaml).unwrap();
        for is_sticky in [false, true] {
            let mut split = weights(50, 50).with_canary(&canary, upstream("v3"));
            if is_sticky {
                split = split.with_key(&BY_USER()).unwrap();
            }
            let mut counts = std::collections::BTreeMap::new();
            for user in 0..4_000 {
                let name = split.choose(&exchange(&user.to_string())).unwrap().name().to_string();
                *counts.entry(name).or_insert(0_u32) += 1;
            }
            for (name, wanted) in [("v1", 1_000), ("v2", 1_000), ("v3", 2_000)] {
                assert!(counts.get(name).copied().unwrap_or_default().abs_diff(wanted) < 150, "{name} of {counts:?}");
            }
        }
    }

    #[test]
    fn a_canary_grows_by_a_tenth_every_six_minutes() {
        let yaml = "{ upstream: v2, begin: 2026-01-01T00:00:00Z, start: 0%, target: 100%, steps: 10, duration: 1h }";
        let canary: CanaryConfig = serde_saphyr::from_str(yaml).unwrap();
        let begin = Duration::from_secs(canary.begin.0);
        let share = |seconds: i64| {
            let now = Duration::from_secs(begin.as_secs().saturating_add_signed(seconds));
            (canary.share(now) as f64 / u64::MAX as f64 * 1_000.0).round()
        };
        for (seconds, wanted) in
            [(-1, 0.0), (0, 0.0), (359, 0.0), (361, 100.0), (721, 200.0), (3_239, 800.0), (3_601, 1_000.0), (99_999, 1_000.0)]
        {
            assert_eq!(share(seconds), wanted, "after {seconds} s");
        }
        let split = Split::one(upstream("v1")).with_canary(&canary, upstream("v2")).with_key(&BY_USER()).unwrap();
        assert!(is_second(&split, &exchange("x")) == (canary.begin.0 + 3_600 < now()), "the clock decides");
    }

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn rules_on_headers_and_claims_come_before_weights() {
        let config: Vec<SplitConfig> = serde_saphyr::from_str(
            "[{ upstream: v1, weight: 1 }, { upstream: v2, when: { headers: { X-User: tester }, claims: { groups: beta } } }]",
        )
        .unwrap();
        let split = Split::new(config.iter().map(|share| (share, upstream(&share.upstream))).collect()).unwrap();
        let mut tester = exchange("tester");
        assert!(!is_second(&split, &tester), "the claim is missing");
        let claims = serde_json::json!({ "groups": ["alpha", "beta"] });
        let identity = crate::exchange::Identity { claims: claims.as_object().unwrap().clone(), ..Default::default() };
        tester.identity = Some(Arc::new(identity));
        assert!(is_second(&split, &tester));
        tester.headers.insert("x-user", http::HeaderValue::from_static("other"));
        assert!(!is_second(&split, &tester));
        for (claim, wanted, fits) in [
            (serde_json::json!(true), "true", true),
            (serde_json::json!(7), "7", true),
            (Value::Null, "*", false),
            (serde_json::json!("a"), "*", true),
        ] {
            assert_eq!(is_or_contains(&claim, wanted), fits, "{claim}");
        }
    }
}
