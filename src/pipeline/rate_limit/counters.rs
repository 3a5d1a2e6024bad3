//! How requests are counted: one counter per key, each exact under concurrency, with the time handed in.
//!
//! Relied on by `rate_limit`. Times are nanoseconds since the limiter was made.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::config::RateLimitAlgorithm;
use crate::units::Rate;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests per period.
    count: u64,
    /// The period in nanoseconds.
    period: u64,
    /// Requests that may come at once.
    burst: u64,
    algorithm: RateLimitAlgorithm,
}

/// What is left after a request was counted, or how long to wait when it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request may pass.
    pub is_allowed: bool,
    /// Requests that may still come now.
    pub remaining: u64,
    /// Nanoseconds until the next request may come (refused), or until the whole quota is there again (allowed).
    pub wait: u64,
}

/// The count of one key.
#[derive(Debug)]
pub enum Counter {
    /// The time at which the bucket is full again (the generic cell rate algorithm's theoretical arrival time).
    Bucket(AtomicU64),
    /// Start and count of the current window.
    Window(Mutex<(u64, u64)>),
    /// The times of the requests that passed in the last period; never more than the quota.
    Log(Mutex<VecDeque<u64>>),
}

impl Quota {
    /// The quota of a rule; `None` for an algorithm that needs more than a counter.
    pub fn new(rate: Rate, burst: Option<u32>, algorithm: RateLimitAlgorithm) -> Option<Self> {
        use RateLimitAlgorithm::{Concurrency, FixedWindow, LeakyBucket, SlidingWindow, TokenBucket};
        let period = u64::try_from(rate.per.0.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let count = u64::from(rate.count.max(1));
        match algorithm {
            TokenBucket => Some(Self { count, period, burst: burst.map_or(count, u64::from).max(1), algorithm }),
            SlidingWindow | FixedWindow => Some(Self { count, period, burst: count, algorithm }),
            LeakyBucket | Concurrency => None,
        }
    }

    /// A counter that has seen nothing.
    pub fn counter(&self) -> Counter {
        match self.algorithm {
            RateLimitAlgorithm::FixedWindow => Counter::Window(Mutex::default()),
            RateLimitAlgorithm::SlidingWindow => Counter::Log(Mutex::default()),
            _ => Counter::Bucket(AtomicU64::new(0)),
        }
    }

    /// Nanoseconds after which an idle counter is as good as new.
    pub fn memory(&self) -> u64 {
        self.period.max(self.interval().saturating_mul(self.burst))
    }

    /// Nanoseconds that one token takes to come back, rounded up so that never more than the rate is admitted.
    fn interval(&self) -> u64 {
        self.period.div_ceil(self.count)
    }
}

impl Counter {
    /// Counts a request at `now`, if it may pass.
    pub fn take(&self, quota: &Quota, now: u64) -> Verdict {
        match self {
            Self::Bucket(full_at) => take_token(full_at, quota, now),
            Self::Window(window) => take_in_window(&mut held(window), quota, now),
            Self::Log(passed) => take_in_log(&mut held(passed), quota, now),
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_token(full_at: &AtomicU64, quota: &Quota, now: u64) -> Verdict {
    let interval = quota.interval();
    let capacity = interval.saturating_mul(quota.burst);
    let taken = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
        let next = full_at.max(now) + interval;
        (next - now <= capacity).then_some(next)
    });
    match taken {
        Ok(before) => {
            let wait = before.max(now) + interval - now;
            Verdict { is_allowed: true, remaining: (capacity - wait) / interval, wait }
        }
        Err(full_at) => {
            Verdict { is_allowed: false, remaining: 0, wait: (full_at.max(now) + interval - now).saturating_sub(capacity) }
        }
    }
}

fn take_in_window((start, count): &mut (u64, u64), quota: &Quota, now: u64) -> Verdict {
    let current = now - now % quota.period;
    if *start != current {
        (*start, *count) = (current, 0);
    }
    let is_allowed = *count < quota.count;
    *count += u64::from(is_allowed);
    Verdict { is_allowed, remaining: quota.count - *count, wait: current + quota.period - now }
}

fn take_in_log(passed: &mut VecDeque<u64>, quota: &Quota, now: u64) -> Verdict {
    while passed.front().is_some_and(|time| time + quota.period <= now) {
        passed.pop_front();
    }
    let count = passed.len() as u64;
    match passed.front() {
        Some(oldest) if count >= quota.count => Verdict { is_allowed: false, remaining: 0, wait: oldest + quota.period - now },
        _ => {
            passed.push_back(now);
            Verdict { is_allowed: true, remaining: quota.count - count - 1, wait: quota.period }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(rate: &str, burst: Option<u32>, algorithm: RateLimitAlgorithm) -> Quota {
        Quota::new(rate.parse().unwrap(), burst, algorithm).unwrap()
    }

    #[test]
    fn a_bucket_of_20_at_10_per_second_takes_20_of_25_and_names_the_wait() {
        let quota = quota("10/1s", Some(20), RateLimitAlgorithm::TokenBucket);
        let counter = quota.counter();
        let verdicts: Vec<_> = (0..25).map(|_| counter.take(&quota, 0)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| verdict.is_allowed).count(), 20);
        assert_eq!((verdicts[0].remaining, verdicts[19].remaining), (19, 0));
        assert!(verdicts[20..].iter().all(|verdict| verdict.wait == SECOND / 10), "{verdicts:?}");
        assert!(counter.take(&quota, SECOND / 10).is_allowed);
        assert!(!counter.take(&quota, SECOND / 10).is_allowed);
    }

    #[test]
    fn a_fixed_window_admits_twice_its_quota_around_a_boundary() {
        let quota = quota("100/1m", None, RateLimitAlgorithm::FixedWindow);
        let counter = quota.counter();
        let admitted = |now| (0..150).filter(|_| counter.take(&quota, now).is_allowed).count();
        assert_eq!((admitted(60 * SECOND - SECOND / 10), admitted(60 * SECOND)), (100, 100));
    }

    #[test]
    fn concurrent_requests_never_pass_together_beyond_the_quota() {
        for algorithm in [RateLimitAlgorithm::TokenBucket, RateLimitAlgorithm::SlidingWindow, RateLimitAlgorithm::FixedWindow] {
            let quota = quota("100/1h", None, algorithm);
            let counter = quota.counter();
            let take = || (0..1_000).filter(|_| counter.take(&quota, 5).is_allowed).count();
            let admitted: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(admitted, 100, "{algorithm:?}");
        }
    }

    proptest! {
        /// The bucket admits exactly what a bucket with a fractional fill, refilled at every step, admits.
        #[test]
        fn a_bucket_follows_the_rational_model(steps in prop::collection::vec(0u64..400_000_000, 1..300)) {
            let quota = quota("10/1s", Some(7), RateLimitAlgorithm::TokenBucket);
            let counter = quota.counter();
            // The fill in units of a nanosecond's refill, so that the model is exact.
            let (interval, mut now) = (SECOND / 10, 0);
            let mut fill = 7 * interval;
            for step in steps {
                now += step;
                fill = (fill + step).min(7 * interval);
                let verdict = counter.take(&quota, now);
                prop_assert_eq!(verdict.is_allowed, fill >= interval);
                if verdict.is_allowed {
                    fill -= interval;
                    prop_assert_eq!(verdict.remaining, fill / interval);
                } else {
                    prop_assert_eq!(verdict.wait, interval - fill);
                }
            }
        }

        #[test]
        fn no_period_anywhere_sees_more_than_a_sliding_quota(steps in prop::collection::vec(0u64..3, 1..400)) {
            let quota = quota("10/20s", None, RateLimitAlgorithm::SlidingWindow);
            let counter = quota.counter();
            let (mut now, mut passed) = (0, Vec::new());
            for step in steps {
                now += step * SECOND;
                if counter.take(&quota, now).is_allowed {
                    passed.push(now);
                }
                let recent = passed.iter().filter(|time| **time + 20 * SECOND > now).count();
                prop_assert!(recent <= 10, "{} in the 20 s before {}", recent, now);
            }
        }
    }
}
