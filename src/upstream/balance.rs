//! Balancing: which endpoint takes a call.
//!
//! Relied on by `upstream`; configured by `upstreams.<name>.balance:`.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher as _},
    sync::atomic::{AtomicUsize, Ordering},
};

use http::{HeaderMap, HeaderName, header};
use rustc_hash::FxHasher;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::Exchange;

/// Which endpoint takes a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceConfig {
    /// One after another, by weight.
    #[default]
    RoundRobin,
    /// The one of two random ones that has less to do.
    LeastRequest,
    /// The same one for the same key.
    Hash(HashConfig),
}

/// A key whose calls stay on one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashConfig {
    /// `header:NAME`, `cookie:NAME`, `claim:NAME` or `client_ip`.
    pub on: String,
}

/// Longest sequence of a round robin; larger sums of weights are rounded to it.
const LONGEST_ROUND: u64 = 4_096;

/// What the choice goes by, of one endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The same for the same endpoint, whatever others there are.
    pub id: u64,
    /// Its share.
    pub weight: u32,
    /// Calls under way.
    pub load: usize,
    /// Whether it may be called.
    pub is_available: bool,
    /// The part of its share that it gets while it starts slowly, in percent.
    pub share: u32,
}

/// The rule of one upstream, with its state.
#[derive(Debug)]
pub enum Balance {
    /// The smooth sequence of indices, and how far it is.
    RoundRobin(Box<[u16]>, AtomicUsize),
    /// Two choices, the less loaded.
    LeastRequest,
    /// By a key of the exchange.
    Hash(HashOn),
}

/// Where the key is found.
#[derive(Debug)]
pub enum HashOn {
    /// In a header.
    Header(HeaderName),
    /// In a cookie.
    Cookie(Box<str>),
    /// In a claim of the verified token.
    Claim(Box<str>),
    /// The client's address.
    ClientIp,
}

impl HashOn {
    /// The place that a configuration names.
    ///
    /// # Errors
    /// Says what it must look like.
    pub fn new(on: &str) -> Result<Self, String> {
        Ok(match on.split_once(':') {
            None if on == "client_ip" => Self::ClientIp,
            Some(("cookie", name)) if !name.is_empty() => Self::Cookie(name.into()),
            Some(("claim", name)) if !name.is_empty() => Self::Claim(name.into()),
            Some(("header", name)) => {
                Self::Header(HeaderName::try_from(name).map_err(|_| format!("`{name}` is not the name of a header"))?)
            }
            _ => return Err(format!("`{on}` is nothing to hash: write header:NAME, cookie:NAME, claim:NAME or client_ip")),
        })
    }

    /// The key of an exchange, the same for the same value in any process; what is missing gives way to the client's address.
    pub fn of(&self, exchange: &Exchange) -> u64 {
        let value = match self {
            Self::Header(name) => exchange.headers.get(name).map(|value| Cow::Borrowed(value.as_bytes())),
            Self::Cookie(name) => cookie(&exchange.headers, name).map(Cow::Borrowed),
            Self::Claim(name) => exchange.identity.as_ref().and_then(|identity| bytes_of(identity.claims.get(&**name)?)),
            Self::ClientIp => None,
        };
        value.map_or_else(|| hash(&exchange.client_ip), |value| hash(&*value))
    }
}

impl Balance {
    /// The rule for endpoints of these weights.
    ///
    /// # Errors
    /// Says what a hash's key must look like.
    pub fn new(config: &BalanceConfig, weights: &[u32]) -> Result<Self, String> {
        Ok(match config {
            BalanceConfig::RoundRobin => Self::RoundRobin(smooth(weights), AtomicUsize::new(0)),
            BalanceConfig::LeastRequest => Self::LeastRequest,
            BalanceConfig::Hash(hash) => Self::Hash(HashOn::new(&hash.on)?),
        })
    }

    /// The key of an exchange, where the rule has one; a missing header or cookie gives way to the client's address.
    pub fn key(&self, exchange: &Exchange) -> Option<u64> {
        let Self::Hash(on) = self else { return None };
        Some(on.of(exchange))
    }

    /// The endpoint for a call: one of those available, `avoid` only if there is no other. When none is, all are: a wrong
    /// verdict on every endpoint must not become an outage of our making.
    pub fn choose(&self, candidates: &[Candidate], key: Option<u64>, avoid: Option<usize>) -> Option<usize> {
        let usable = |index: usize, candidate: &Candidate| candidate.is_available && Some(index) != avoid && candidate.weight > 0;
        let mut chosen: Vec<usize> =
            candidates.iter().enumerate().filter(|(index, it)| usable(*index, it)).map(|(index, _)| index).collect();
        if chosen.is_empty() {
            chosen = candidates.iter().enumerate().filter(|(_, it)| it.weight > 0).map(|(index, _)| index).collect();
        }
        let weight = |index: usize| candidates.get(index).map_or(1, |it| it.weight.saturating_mul(it.share));
        match self {
            Self::RoundRobin(round, next) => {
                // A retry takes nobody's turn: it would make every next call begin with the endpoint that has just failed.
                let turn = |step: usize| {
                    if avoid.is_some() { next.load(Ordering::Relaxed) + step } else { next.fetch_add(1, Ordering::Relaxed) }
                };
                let at = |step: usize| round.get(turn(step) % round.len()).copied().map(usize::from);
                let is_up = |index: &usize| {
                    let share = candidates.get(*index).map_or(100, |it| it.share);
                    share >= 100 || super::random() % 100 < share.into()
                };
                (0..round.len())
                    .find_map(|step| at(step).filter(|index| chosen.contains(index) && is_up(index)))
                    .or_else(|| chosen.first().copied())
            }
            Self::LeastRequest => {
                let burden = |index: usize| {
                    let load = candidates.get(index).map_or(0, |it| it.load);
                    load as f64 / f64::from(weight(index))
                };
                let one = by_weight(&chosen, weight)?;
                // Never the same one twice: with two endpoints the choice would be no choice half of the time.
                chosen.retain(|index| *index != one);
                let other = by_weight(&chosen, weight).unwrap_or(one);
                Some(if burden(other) < burden(one) { other } else { one })
            }
            Self::Hash(_) => {
                let score = |index: usize| {
                    // Rendezvous hashing: an endpoint that goes away moves its own keys and no others.
                    let id = candidates.get(index).map_or(0, |it| it.id);
                    let uniform = (hash(&(key, id)) >> 11) as f64 / (1_u64 << 53) as f64;
                    -uniform.max(f64::MIN_POSITIVE).ln() / f64::from(weight(index))
                };
                chosen.into_iter().min_by(|one, other| score(*one).total_cmp(&score(*other)))
            }
        }
    }
}

/// One at random, with a chance in proportion to its weight.
fn by_weight(indices: &[usize], weight: impl Fn(usize) -> u32) -> Option<usize> {
    let total: u64 = indices.iter().map(|index| u64::from(weight(*index))).sum();
    let mut point = super::random() % total.max(1);
    indices.iter().copied().find(|index| match point.checked_sub(weight(*index).into()) {
        Some(left) => {
            point = left;
            false
        }
        None => true,
    })
}

/// A claim as a key: numbers as well, since many an issuer counts its users.
fn bytes_of(claim: &Value) -> Option<Cow<'_, [u8]>> {
    match claim {
        Value::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(claim.to_string().into_bytes())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    mix(hasher.finish())
}

/// The finish of SplitMix64: bits that are even in all places, and another number's are others.
pub fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes())
}

/// Each index as often as its weight says, spread as evenly as can be: the smooth weighted round robin, one round of it.
///
/// Input: weights. Output: indices, as many as the sum of the weights over their common divisor. Cost: that sum times the
/// number of endpoints, once. Example: weights 5, 1, 1 give 0 0 1 0 2 0 0.
fn smooth(weights: &[u32]) -> Box<[u16]> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let divisor = weights.iter().copied().map(u64::from).fold(0, gcd).max(1).max(total.div_ceil(LONGEST_ROUND));
    let shares: Vec<i64> = weights
        .iter()
        .map(|weight| if *weight == 0 { 0 } else { i64::try_from((u64::from(*weight) / divisor).max(1)).unwrap_or(1) })
        .collect();
    let sum: i64 = shares.iter().sum();
    let mut current = vec![0; shares.len()];
    let mut round = Vec::new();
    for _ in 0..sum {
        for (value, share) in current.iter_mut().zip(&shares) {
            *value += share;
        }
        let best = (0..shares.len()).max_by_key(|index| (current.get(*index).copied(), std::cmp::Reverse(*index)));
        let Some(best) = best else { break };
        if let Some(value) = current.get_mut(best) {
            *value -= sum;
        }
        round.extend(u16::try_from(best));
    }
    round.into()
}

fn gcd(one: u64, other: u64) -> u64 {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn up(weights: &[u32]) -> Vec<Candidate> {
        weights
            .iter()
            .zip(0..)
            .map(|(weight, id)| Candidate { id, weight: *weight, load: 0, is_available: true, share: 100 })
            .collect()
    }

    #[test]
    fn the_round_is_smooth_and_exact() {
        assert_eq!(*smooth(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*smooth(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(*smooth(&[90, 10]), [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(*smooth(&[2, 0]), [0]);
        assert!(smooth(&[u32::MAX, 1]).len() <= LONGEST_ROUND as usize + 2);
    }

    #[test]
    fn round_robin_skips_what_is_down_and_never_starves() {
        let balance = Balance::new(&BalanceConfig::RoundRobin, &[1, 1, 1]).unwrap();
        let mut candidates = up(&[1, 1, 1]);
        candidates[1].is_available = false;
        let chosen: Vec<_> = (0..6).map(|_| balance.choose(&candidates, None, None).unwrap()).collect();
        assert!(!chosen.contains(&1) && chosen.contains(&0) && chosen.contains(&2), "{chosen:?}");
        assert_eq!(balance.choose(&candidates, None, Some(0)), Some(2));
        let two = up(&[1, 1]);
        let balance = Balance::new(&BalanceConfig::RoundRobin, &[1, 1]).unwrap();
        let with_retries = [None, Some(0), None, None, Some(0), None].map(|avoid| balance.choose(&two, None, avoid).unwrap());
        assert_eq!(with_retries, [0, 1, 1, 0, 1, 1], "calls go on turn by turn, whoever is tried again in between");
        for candidate in &mut candidates {
            candidate.is_available = false;
        }
        assert!(balance.choose(&candidates, None, None).is_some());
        assert_eq!(balance.choose(&[], None, None), None);
    }

    #[test]
    fn least_request_prefers_the_idle_one() {
        let balance = Balance::LeastRequest;
        let counts = |candidates: &[Candidate]| {
            let mut counts = vec![0_usize; candidates.len()];
            (0..3_000).for_each(|_| counts[balance.choose(candidates, None, None).unwrap()] += 1);
            counts
        };
        let mut candidates = up(&[1, 1]);
        candidates[0].load = 100;
        assert_eq!(counts(&candidates), [0, 3_000], "two choices of two are all");
        let mut candidates = up(&[1, 1, 1]);
        assert!(counts(&candidates).iter().all(|count| (850..1_150).contains(count)));
        candidates[0].load = 100;
        let busy = counts(&candidates);
        assert!(busy[0] == 0 && busy[1].abs_diff(busy[2]) < 300, "{busy:?}");
        let weighted = counts(&up(&[1, 3]));
        assert!(weighted[0].abs_diff(750) < 150, "as long as all are idle the weights decide: {weighted:?}");
    }

    #[test]
    fn who_starts_slowly_gets_less() {
        for balance in [Balance::new(&BalanceConfig::RoundRobin, &[1, 1]).unwrap(), Balance::LeastRequest] {
            let mut candidates = up(&[1, 1]);
            candidates[0].share = 25;
            let fresh = (0..4_000).filter(|_| balance.choose(&candidates, None, None) == Some(0)).count();
            assert!((600..1_100).contains(&fresh), "{fresh} of 4000, where it should be about 800: {balance:?}");
            candidates[1].is_available = false;
            assert_eq!(balance.choose(&candidates, None, None), Some(0), "who is alone takes all");
        }
    }

    #[test]
    fn hashing_moves_only_the_keys_of_the_endpoint_that_left() {
        let balance = Balance::Hash(HashOn::ClientIp);
        let mut candidates = up(&[1, 1, 1, 1]);
        let place = |candidates: &[Candidate]| -> Vec<_> {
            (0..4_000_u64).map(|key| balance.choose(candidates, Some(hash(&key)), None).unwrap()).collect()
        };
        let before = place(&candidates);
        for endpoint in 0..4 {
            let share = before.iter().filter(|chosen| **chosen == endpoint).count();
            assert!((850..1_150).contains(&share), "{share}");
        }
        candidates[2].is_available = false;
        let after = place(&candidates);
        assert!(before.iter().zip(&after).all(|(before, after)| *before == 2 || before == after));
    }
}
