//! Patterns: the regular expressions among routes' paths, arranged so that a path is not held against each of them.
//!
//! Relied on by `pipeline::route`.

use regex::{RegexSet, RegexSetBuilder};
use rustc_hash::FxHashMap;

/// Most bytes of the program that the regular expressions of one place become.
const SET_BYTES: usize = 64 << 20;

/// The regular expressions of one host, by the segment with which all that they match begins. Looking costs one table and at most
/// two sets, each of which reads the path once however many expressions it has.
#[derive(Debug, Default)]
pub struct Patterns {
    places: FxHashMap<Box<str>, Group>,
    /// Those that can begin with anything.
    anywhere: Group,
}

/// Expressions that are tried together, and their routes.
#[derive(Debug, Default)]
struct Group {
    patterns: Vec<String>,
    ids: Vec<usize>,
    set: Option<RegexSet>,
}

impl Patterns {
    /// Adds the expression of a route.
    ///
    /// # Errors
    /// It is none.
    pub fn add(&mut self, pattern: &str, id: usize) -> Result<(), String> {
        super::compile(pattern)?;
        let group = match first_segment(pattern) {
            Some(segment) => self.places.entry(segment.into()).or_default(),
            None => &mut self.anywhere,
        };
        group.patterns.push(whole(pattern));
        group.ids.push(id);
        Ok(())
    }

    /// Makes it ready, once all are there.
    ///
    /// # Errors
    /// They are too large together.
    pub fn finish(&mut self) -> Result<(), String> {
        for group in self.places.values_mut().chain([&mut self.anywhere]).filter(|group| !group.patterns.is_empty()) {
            let set = RegexSetBuilder::new(std::mem::take(&mut group.patterns)).size_limit(SET_BYTES).build();
            group.set = Some(set.map_err(|error| format!("the regular expressions of all routes together: {error}"))?);
        }
        Ok(())
    }

    /// The routes whose expression matches a path, in the order of the file.
    pub fn fitting(&self, path: &str) -> Vec<usize> {
        let first = path.get(1..).and_then(|rest| rest.split_once('/')).map_or("", |(first, _)| first);
        let place = if self.places.is_empty() { None } else { self.places.get(first) };
        let mut ids: Vec<usize> = place.into_iter().chain([&self.anywhere]).flat_map(|group| group.fitting(path)).collect();
        ids.sort_unstable();
        ids
    }
}

impl Group {
    fn fitting(&self, path: &str) -> impl Iterator<Item = usize> {
        let matches = self.set.as_ref().map(|set| set.matches(path));
        matches.into_iter().flatten().filter_map(|index| self.ids.get(index).copied())
    }
}

/// An expression that has to match the whole text.
pub fn whole(pattern: &str) -> String {
    format!("^(?:{pattern})$")
}

/// The segment that everything which `pattern` matches begins with, where that can be seen at once: `/like/` before anything.
fn first_segment(pattern: &str) -> Option<&str> {
    let (segment, rest) = pattern.strip_prefix('/')?.split_once('/')?;
    let is_literal = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-~".contains(&byte));
    // The slash itself must be there, and there must be no other branch.
    let is_certain = !rest.starts_with(['?', '*', '+', '{']) && !pattern.contains('|');
    (is_literal && is_certain && !segment.is_empty()).then_some(segment)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_first_segment_is_seen_only_where_nothing_else_can_match() {
        for (pattern, segment) in [
            ("/like/[a-c]", Some("like")),
            ("/a-b_c~1/.*", Some("a-b_c~1")),
            ("/like/?x", None),
            ("/like/{2}x", None),
            ("/like/*", None),
            ("/lik?e/x", None),
            ("/l.ke/x", None),
            ("/like/a|/other/b", None),
            ("(?i)/like/x", None),
            ("/like", None),
            (".*/like/x", None),
            ("//x", None),
        ] {
            assert_eq!(first_segment(pattern), segment, "{pattern}");
        }
    }

    #[test]
    fn they_are_found_in_the_order_of_the_file_wherever_they_are_kept() {
        let mut patterns = Patterns::default();
        let all = ["/like/a.*", ".*", "/like/ab?", "/like/?", "(?i)/LIKE/a", "/other/x", "/like/a|/other/x"];
        for (id, pattern) in all.iter().enumerate() {
            patterns.add(pattern, id).unwrap();
        }
        patterns.finish().unwrap();
        for path in ["/like/a", "/like/", "/like", "/other/x", "/like/abc", "/", "/LIKE/a"] {
            let one_by_one = |id: &usize| super::super::compile(all.get(*id).unwrap()).unwrap().is_match(path);
            assert_eq!(patterns.fitting(path), (0..all.len()).filter(one_by_one).collect::<Vec<_>>(), "{path}");
        }
        assert!(patterns.add("(", 9).is_err());
    }
}
