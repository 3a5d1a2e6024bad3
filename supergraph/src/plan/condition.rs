//! Conditions while planning: interned disjunctions of conjunctions over Boolean variables.
//!
//! Relied on by `operation` (what `@skip` and `@include` say), by `fetches` (when a fetch is needed) and by the plan's own list of
//! conditions. Relies on nothing.

use super::{Condition, Test};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

/// An interned condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guard(u32);

/// Holds always.
pub const ALWAYS: Guard = Guard(0);

/// More alternatives or longer conjunctions than this are not combined further: the combination is weakened to [`ALWAYS`].
const MOST: usize = 64;

/// The conditions of one planning run.
#[derive(Clone, Debug)]
pub struct Guards {
    all: IndexSet<Condition, FxBuildHasher>,
}

impl Default for Guards {
    fn default() -> Self {
        let mut all = IndexSet::default();
        all.insert(Condition { any: vec![Vec::new()] });
        Self { all }
    }
}

impl Guards {
    /// All `tests` together; `None` if they exclude each other.
    pub fn all_of(&mut self, mut tests: Vec<Test>) -> Option<Guard> {
        tests.sort_unstable();
        tests.dedup();
        let contradiction = tests.windows(2).any(|pair| matches!(pair, [a, b] if a.variable == b.variable));
        (!contradiction).then(|| self.intern(vec![tests]))
    }

    /// `guard` and all of `tests`; `None` if that can never be. Exact for a guard without alternatives.
    pub fn and_tests(&mut self, guard: Guard, tests: &[Test]) -> Option<Guard> {
        if tests.is_empty() {
            return Some(guard);
        }
        let mut both = self.get(guard).any.first().cloned().unwrap_or_default();
        both.extend_from_slice(tests);
        self.all_of(both)
    }

    /// Either of them; never stronger than that, and exact (an operation's size bounds it).
    pub fn or(&mut self, a: Guard, b: Guard) -> Guard {
        if a == b || a == ALWAYS {
            return a;
        }
        if b == ALWAYS {
            return b;
        }
        let mut any = self.get(a).any.clone();
        any.extend(self.get(b).any.iter().cloned());
        self.intern(simplify(any))
    }

    /// Both of them, or something weaker when that would grow too large.
    pub fn and_weak(&mut self, a: Guard, b: Guard) -> Guard {
        if a == b || b == ALWAYS {
            return a;
        }
        if a == ALWAYS {
            return b;
        }
        let (left, right) = (self.get(a).clone(), self.get(b).clone());
        if left.any.len() * right.any.len() > MOST {
            return b;
        }
        let mut any = Vec::new();
        for first in &left.any {
            for second in &right.any {
                let mut both: Vec<Test> = first.iter().chain(second).cloned().collect();
                both.sort_unstable();
                both.dedup();
                if !both.windows(2).any(|pair| matches!(pair, [a, b] if a.variable == b.variable)) {
                    any.push(both);
                }
            }
        }
        if any.is_empty() { b } else { self.intern(simplify(any)) }
    }

    /// A guard of which only some tests count.
    pub fn only(&mut self, guard: Guard, is_kept: impl Fn(&Test) -> bool) -> Guard {
        let kept = |tests: &Vec<Test>| tests.iter().filter(|test| is_kept(test)).cloned().collect();
        let any = self.get(guard).any.iter().map(kept).collect();
        self.intern(simplify(any))
    }

    /// Either of them, or [`ALWAYS`] when that would grow too large.
    pub fn or_weak(&mut self, a: Guard, b: Guard) -> Guard {
        if self.get(a).any.len() + self.get(b).any.len() > MOST { ALWAYS } else { self.or(a, b) }
    }

    /// The condition itself.
    pub fn get(&self, guard: Guard) -> &Condition {
        static NEVER: Condition = Condition { any: Vec::new() };
        self.all.get_index(guard.0 as usize).unwrap_or(&NEVER)
    }

    fn intern(&mut self, any: Vec<Vec<Test>>) -> Guard {
        if any.iter().any(Vec::is_empty) {
            return ALWAYS;
        }
        let (index, _) = self.all.insert_full(Condition { any });
        Guard(u32::try_from(index).unwrap_or(0))
    }
}

/// Drops alternatives that another one covers, and `x` or `not x` pairs.
fn simplify(mut any: Vec<Vec<Test>>) -> Vec<Vec<Test>> {
    any.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    any.dedup();
    let mut kept: Vec<Vec<Test>> = Vec::new();
    for tests in any {
        if !kept.iter().any(|shorter| shorter.iter().all(|test| tests.contains(test))) {
            kept.push(tests);
        }
    }
    let always = kept.iter().enumerate().any(|(index, tests)| {
        matches!(tests.as_slice(), [test] if kept.iter().skip(index + 1).any(|other| {
            matches!(other.as_slice(), [opposite] if opposite.variable == test.variable && opposite.is != test.is)
        }))
    });
    if always { vec![Vec::new()] } else { kept }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]
    use super::*;

    fn test(variable: &str, is: bool) -> Test {
        Test { variable: variable.into(), is }
    }

    #[test]
    fn contradictions_and_tautologies_are_seen() {
        let mut guards = Guards::default();
        assert_eq!(guards.all_of(vec![test("a", true), test("a", false)]), None);
        let (a, not_a) = (guards.all_of(vec![test("a", true)]).unwrap(), guards.all_of(vec![test("a", false)]).unwrap());
        assert_eq!(guards.or(a, not_a), ALWAYS);
        let both = guards.and_tests(a, &[test("b", true)]).unwrap();
        assert_eq!(guards.or(a, both), a);
        assert_eq!(guards.and_weak(both, a), both);
    }
}
