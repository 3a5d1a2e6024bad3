//! The time of day at an instant, for spans and log lines.
//!
//! Requests measure durations with instants anyway, so the system's clock is read once a second only, not for every timestamp.
//! Relied on by `telemetry::traces` and `pipeline::access_log`.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long one reading of the system's clock serves.
const SERVES: Duration = Duration::from_secs(1);

static ANCHOR: OnceLock<Anchor> = OnceLock::new();

/// What the system's clock said at some instant.
#[derive(Debug)]
struct Anchor {
    /// The instant from which others are counted.
    base: Instant,
    /// When the clock was read last, in nanoseconds since `base`.
    read: AtomicU64,
    /// The time of day at `base` by that reading, in nanoseconds since 1970.
    day: AtomicU64,
}

/// The time since 1970 at an instant of the last seconds.
pub fn since_epoch(at: Instant) -> Duration {
    ANCHOR.get_or_init(|| Anchor::new(at)).since_epoch(at, system)
}

/// Now, by both clocks.
fn system() -> (Instant, Duration) {
    (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl Anchor {
    fn new(base: Instant) -> Self {
        Self { base, read: AtomicU64::new(0), day: AtomicU64::new(0) }
    }

    /// Two threads may read the clock at once; either reading serves.
    fn since_epoch(&self, at: Instant, clock: impl FnOnce() -> (Instant, Duration)) -> Duration {
        let since = nanos(at.saturating_duration_since(self.base));
        let day = self.day.load(Ordering::Relaxed);
        if day > 0 && since.saturating_sub(self.read.load(Ordering::Relaxed)) < nanos(SERVES) {
            return Duration::from_nanos(day.saturating_add(since));
        }
        let (now, day) = clock();
        let read = nanos(now.saturating_duration_since(self.base));
        let day = nanos(day).saturating_sub(read);
        self.day.store(day, Ordering::Relaxed);
        self.read.store(read, Ordering::Relaxed);
        Duration::from_nanos(day.saturating_add(since))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_time_of_day() {
        let (now, day) = system();
        assert!(day.abs_diff(since_epoch(now)) < Duration::from_millis(500));
    }

    #[test]
    fn the_clock_is_read_again_once_its_reading_is_old() {
        let base = Instant::now();
        let anchor = Anchor::new(base);
        let about = |after: u64, clock: u64| {
            let at = base + Duration::from_millis(after);
            anchor.since_epoch(at, || (at, Duration::from_secs(clock))).as_millis()
        };
        assert_eq!(about(0, 1_000), 1_000_000);
        assert_eq!(about(900, 2_000), 1_000_900, "the first reading serves");
        assert_eq!(about(1_900, 2_000), 2_000_000, "an old reading does not");
        assert_eq!(about(2_000, 3_000), 2_000_100);
    }
}
