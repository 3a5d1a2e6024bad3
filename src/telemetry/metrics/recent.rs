//! Recent: the members of metric families that a thread counted last, with what tells them apart.
//!
//! A family finds a member by hashing all its labels under a lock, which for every request costs more than counting does. Routes,
//! statuses and services that are busy are found here by an address and a number. Relied on by `telemetry::metrics`.

use std::sync::Arc;

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

/// Members that a thread remembers of one kind, a power of two. One that is remembered in the place of another is found in its
/// family again.
const PLACES: usize = 16;

/// Members by a number that spreads them.
pub struct Recent<T>([Option<T>; PLACES]);

impl<T> Recent<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self([const { None }; PLACES])
    }

    /// The member at this place if `is_it`, otherwise the one that is found now and remembered.
    pub fn get(&mut self, place: usize, is_it: impl FnOnce(&T) -> bool, find: impl FnOnce() -> T) -> Option<&T> {
        let remembered = self.0.get_mut(place % PLACES)?;
        if !remembered.as_ref().is_some_and(is_it) {
            *remembered = Some(find());
        }
        remembered.as_ref()
    }
}

/// What is counted of exchanges with the same labels.
pub struct Exchanges {
    /// Whose metrics.
    pub of: u64,
    /// Method, as a label.
    pub method: &'static str,
    /// Name of the route.
    pub route: Arc<str>,
    /// Status of the response.
    pub status: u16,
    /// Who asked, as a label.
    pub consumer: Arc<str>,
    /// Over which listener, where there are several.
    pub listener: Option<Arc<str>>,
    /// How many there were.
    pub count: Counter,
    /// How long they took.
    pub durations: Histogram,
}

/// What is counted of answers of a service with the same status.
pub struct Answers {
    /// Whose metrics.
    pub of: u64,
    /// Name of the service.
    pub service: Arc<str>,
    /// Status of the answer.
    pub status: u16,
    /// How long they took.
    pub latencies: Histogram,
}

/// A number that spreads members of the same name and status.
pub fn place(name: &Arc<str>, status: u16) -> usize {
    // The lowest bits of an address say nothing.
    (name.as_ptr() as usize >> 4) ^ usize::from(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_remembered_until_another_takes_its_place() {
        let mut recent = Recent::new();
        let mut get = |place: usize, wanted: u32| {
            let mut is_found = false;
            let found = recent.get(
                place,
                |it: &u32| *it == wanted,
                || {
                    is_found = true;
                    wanted
                },
            );
            (found.copied(), is_found)
        };
        assert_eq!(get(1, 7), (Some(7), true));
        assert_eq!(get(1, 7), (Some(7), false));
        assert_eq!(get(1 + PLACES, 8), (Some(8), true));
        assert_eq!(get(1, 7), (Some(7), true));
    }
}
