//! Request ids: one per exchange, the client's own when it is harmless; in the log, at the upstream and in the answer.
//!
//! Relied on by `pipeline`.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName};

use crate::telemetry::hexadecimal::digits_of_128;

/// Where an id is sent and looked for.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client.
const LONGEST: usize = 128;

/// The client's id when it is short and plain, a new one otherwise.
pub fn of(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(HEADER).map(|value| value.as_bytes());
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    match given {
        Some(id) if (1..=LONGEST).contains(&id.len()) && id.iter().all(is_plain) => match std::str::from_utf8(id) {
            Ok(id) => id.into(),
            Err(_) => fresh(),
        },
        _ => fresh(),
    }
}

/// A random UUID. Unique rather than secret: a counter from two starts that are random for each process, each value mixed.
fn fresh() -> Arc<str> {
    static STARTS: LazyLock<[u64; 2]> = LazyLock::new(|| [(); 2].map(|()| RandomState::new().hash_one(0)));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = STARTS.map(|start| mixed(start.wrapping_add(count)));
    // Version 4 and the variant of RFC 9562.
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let digits = digits_of_128(u128::from(high) << 64 | u128::from(low));
    let mut text = [b'-'; 36];
    for (place, part) in [(0..8, 0..8), (9..13, 8..12), (14..18, 12..16), (19..23, 16..20), (24..36, 20..32)] {
        if let (Some(place), Some(part)) = (text.get_mut(place), digits.get(part)) {
            place.copy_from_slice(part);
        }
    }
    std::str::from_utf8(&text).unwrap_or_default().into()
}

/// A number whose every bit depends on every bit of `number`; different for different numbers, since each step can be undone.
fn mixed(number: u64) -> u64 {
    // Odd factors: the fraction of the golden ratio and that of the square root of two.
    let number = (number ^ number >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 29).wrapping_mul(0x6a09_e667_f3bc_c909);
    number ^ number >> 32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    fn id(given: &str) -> Arc<str> {
        of(&HeaderMap::from_iter([(HEADER, given.parse().unwrap())]))
    }

    #[test]
    fn plain_ids_are_kept_and_others_replaced() {
        assert_eq!(&*id("abc-123"), "abc-123");
        for bad in ["", "a b", "\"x\"", &"x".repeat(129), "{}"] {
            assert_ne!(&*id(bad), bad);
        }
    }

    #[test]
    fn new_ids_are_uuids_and_differ() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
            assert!(id.split('-').map(str::len).eq([8, 4, 4, 4, 12]), "{id}");
        }
    }
}
