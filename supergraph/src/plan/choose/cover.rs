//! Which subgraphs to prefer: those that alone have a field first, then those that give the most of what is left; and the
//! changes of one subgraph that a search tries.
//!
//! Relied on by the search in `choose`; relies on `reach`.

use super::attempt::Choice;
use super::{Chooser, Class, Door, NEVER, Search, Step};
use crate::ids::SubgraphId;
use crate::plan::PlanError;
use crate::plan::selections::SetId;
use apollo_compiler::Name;
use rustc_hash::FxHashSet;
use std::rc::Rc;

/// A choice, and the subgraphs between which there is something to choose.
type Cover = (Choice, Vec<SubgraphId>);

impl Chooser<'_, '_> {
    /// A first choice that covers every field of the selection set, and what required fields need; and the subgraphs between which
    /// there is something to choose.
    pub(super) fn cover(&mut self, set: SetId, doors: &Rc<[Door]>, classes: &[Class]) -> Result<Cover, PlanError> {
        let mut open: Vec<Vec<(u64, SubgraphId)>> = Vec::new();
        for class in classes {
            let mut names = self.names_beyond_doors(set, doors, class);
            if names.is_empty() {
                continue;
            }
            let reach = self.reach((set, class.example), doors, &names)?;
            let mut seen: FxHashSet<Name> = names.iter().cloned().collect();
            while let Some(name) = names.pop() {
                let mut ways = Vec::new();
                for subgraph in self.options.supergraph.all_subgraphs().iter() {
                    let entered = reach.entry(subgraph).0;
                    if entered != NEVER && self.options.plain(class.example, subgraph, &name).is_some() {
                        ways.push((self.weight(entered, subgraph), subgraph));
                        continue;
                    }
                    let required = reach.required(&name, subgraph);
                    if required != NEVER {
                        ways.push((self.weight(required, subgraph), subgraph));
                    }
                }
                if let [(_, only)] = ways.as_slice()
                    && let Some(required) = self.options.requirement(class.example, *only, &name)
                {
                    let required = self.selections.field_set(required, class.example)?;
                    for field in &self.selections.set(required).fields {
                        if !field.is_typename() && !self.given_by_door(doors, class, field) && seen.insert(field.name.clone()) {
                            names.push(field.name.clone());
                        }
                    }
                }
                open.push(ways);
            }
        }
        let contested = open.iter().filter(|ways| ways.len() > 1).flatten().map(|(_, subgraph)| *subgraph).collect();
        Ok((Choice { prefer: greedy(open), late: false }, contested))
    }

    /// Choices that differ in one subgraph: one more where it may help below, one less, one for another, or early visits joined with
    /// late ones.
    pub(super) fn neighbours(&self, search: &Search) -> Vec<Choice> {
        let Choice { prefer, late } = &search.chosen;
        let (mut found, late) = (Vec::new(), *late);
        if !late {
            found.push(Choice { prefer: prefer.clone(), late: true });
        }
        let candidates = self.candidates(search);
        let more: Vec<SubgraphId> = candidates.into_iter().filter(|subgraph| !prefer.contains(subgraph)).collect();
        for subgraph in &more {
            let mut prefer = prefer.clone();
            prefer.push(*subgraph);
            found.push(Choice { prefer, late });
        }
        for index in 0..prefer.len() {
            let mut less = prefer.clone();
            less.remove(index);
            found.push(Choice { prefer: less, late });
            for subgraph in &more {
                let mut prefer = prefer.clone();
                if let Some(place) = prefer.get_mut(index) {
                    *place = *subgraph;
                }
                found.push(Choice { prefer, late });
            }
        }
        found
    }

    /// Subgraphs between which there is something to choose, for a field for which the best solution so far needs a fetch.
    pub(super) fn candidates(&self, search: &Search) -> Vec<SubgraphId> {
        let Search { set, classes, contested, best, doors, .. } = search;
        let mut found = contested.clone();
        let mut wanted: Vec<(usize, usize)> = Vec::new();
        for step in &best.steps {
            match step {
                Step::Object { classes, set: from, field, solution, doors: visits } if from == set => {
                    let is_fetched = visits.iter().any(|visit| *visit >= doors.len());
                    if is_fetched || !solution.fetches.is_empty() {
                        wanted.extend(classes.iter().map(|class| (*class, *field)));
                    }
                }
                Step::Leaf { class, set: from, field, visit } if from == set && *visit >= doors.len() => {
                    wanted.push((*class, *field))
                }
                _ => {}
            }
        }
        if best.unreachable > 0 {
            wanted.extend(
                classes.iter().enumerate().flat_map(|(index, class)| class.fields.iter().map(move |field| (index, *field))),
            );
        }
        for (class, field) in wanted {
            let (Some(class), Some(field)) = (classes.get(class), self.selections.field(*set, field)) else { continue };
            if !field.is_fetched() {
                continue;
            }
            let all = self.options.supergraph.all_subgraphs();
            let gives = |subgraph: &SubgraphId| self.options.resolved(class.example, *subgraph, &field.name).is_some();
            let giving: Vec<SubgraphId> = all.iter().filter(gives).collect();
            if giving.len() > 1 {
                found.extend(giving);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Every set of these subgraphs, small ones first.
pub(super) fn subsets(subgraphs: &[SubgraphId]) -> Vec<Vec<SubgraphId>> {
    let mut all: Vec<Vec<SubgraphId>> = vec![Vec::new()];
    for subgraph in subgraphs {
        let with = all.iter().map(|set| set.iter().copied().chain([*subgraph]).collect()).collect::<Vec<_>>();
        all.extend(with);
    }
    all.sort_by_key(Vec::len);
    all
}

/// Subgraphs that cover every list: those without alternative, then the best gain per weight, then order.
fn greedy(mut open: Vec<Vec<(u64, SubgraphId)>>) -> Vec<SubgraphId> {
    open.retain(|ways| !ways.is_empty());
    let mut chosen: Vec<SubgraphId> = Vec::new();
    for ways in &open {
        if let [(_, only)] = ways.as_slice()
            && !chosen.contains(only)
        {
            chosen.push(*only);
        }
    }
    loop {
        open.retain(|ways| !ways.iter().any(|(_, subgraph)| chosen.contains(subgraph)));
        let mut gains: Vec<(SubgraphId, u64, u64)> = Vec::new();
        for (weight, subgraph) in open.iter().flatten() {
            match gains.iter_mut().find(|(other, ..)| other == subgraph) {
                Some((_, gain, least)) => (*gain, *least) = (*gain + 1, (*least).min(*weight)),
                None => gains.push((*subgraph, 1, *weight)),
            }
        }
        // The gain per weight, compared without division: a.gain / a.weight against b.gain / b.weight; the first in order wins.
        gains.sort_unstable_by(|a, b| (b.1 * a.2).cmp(&(a.1 * b.2)).then(a.0.cmp(&b.0)));
        match gains.first() {
            Some((subgraph, ..)) => chosen.push(*subgraph),
            None => return chosen,
        }
    }
}
