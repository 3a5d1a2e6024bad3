//! Second thoughts: a selection set is solved without knowing what its siblings fetch anyway, so a whole solution is revised.
//!
//! For each fetch of a solution that is not needed as it is (`bound`), everything is solved again with the other fetches for nothing; what is then there in all is kept if
//! it costs less. Cost: one more run per fetch and improvement, for solutions with few fetches and few selection sets only, and only
//! if there was anything to choose.
//! ```text
//! { a { x } b { x y } }   x of b in s1 or s2, y in s2, x of a in s1 or s2
//!   => a from s1, b from s2; revised without s1: a from s2 too
//! ```
//! Relied on by `plan()` and by the pass for mutations; relies on the search in `choose`.

use super::{Chooser, Solution, Stage};
use crate::ids::{Id, SubgraphId};
use crate::plan::PlanError;
use crate::plan::selections::SetId;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Fetches of a solution beyond which it is not revised.
const MOST_FETCHES: usize = 12;

/// Solved selection sets, each with its doors, beyond which a solution is not revised.
const MOST_SOLVED: usize = 200;

/// Runs for one solution.
const MOST_RUNS: usize = 24;

impl Chooser<'_, '_> {
    /// The best way found to answer a root.
    pub fn solve_root(&mut self, set: SetId) -> Result<Rc<Solution>, PlanError> {
        let tries = self.budget.tries;
        let mut best = self.solve(set, &[])?;
        let is_small = best.fetches.len() <= MOST_FETCHES && self.solved <= MOST_SOLVED;
        if self.budget.tries == tries || !is_small || best.unreachable > 0 {
            return Ok(best);
        }
        let bound = self.bound(set, &[])?;
        let doubtful = |best: &Solution| -> Vec<(Stage, SubgraphId)> {
            best.fetches.iter().copied().filter(|fetch| !bound.needs(*fetch, &best.fetches)).collect()
        };
        let mut open = doubtful(&best);
        for _ in 0..MOST_RUNS {
            let Some(without) = open.pop().filter(|_| !self.selections.is_hurrying()) else { break };
            let others: BTreeSet<_> = best.fetches.iter().copied().filter(|fetch| *fetch != without).collect();
            let revised = self.solve_with(set, others)?;
            if self.cost(&revised) < self.cost(&best) {
                best = Rc::new(Solution { least: best.least, ..Solution::clone(&revised) });
                open = doubtful(&best);
            }
        }
        Ok(best)
    }

    /// A way to answer a part of a root beside fetches that are there anyway.
    pub fn solve_beside(&mut self, set: SetId, there: &BTreeSet<(Stage, SubgraphId)>) -> Result<Rc<Solution>, PlanError> {
        if there.is_empty() { self.solve_root(set) } else { self.solve_with(set, there.clone()) }
    }

    /// The stage of a fetch that could start at `stage`: later, if then there is one of its subgraph anyway.
    pub(super) fn with_free(&self, stage: Stage, subgraph: SubgraphId) -> Stage {
        let later = self.free.range((stage, SubgraphId::new(0))..).find(|(_, other)| *other == subgraph);
        later.map_or(stage, |(later, _)| *later)
    }

    /// A solution for which these fetches cost nothing.
    fn solve_with(&mut self, set: SetId, free: BTreeSet<(Stage, SubgraphId)>) -> Result<Rc<Solution>, PlanError> {
        self.free = free;
        let known = std::mem::take(&mut self.solutions);
        let solution = self.solve(set, &[]);
        self.solutions = known;
        self.free = BTreeSet::new();
        solution
    }
}
