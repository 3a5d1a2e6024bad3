//! Which subgraphs to prefer: those that alone have a field first, then those that give the most of what is left; and the
//! changes of one subgraph that a search tries.
//!
//! Relied on by the search in `choose`; relies on `reach`.

use super::attempt::Choice;
use super::{Chooser, Class, Door, NEVER, Solution, Step, weight};
use crate::ids::SubgraphId;
use crate::plan::PlanError;
use crate::plan::selections::SetId;
use apollo_compiler::Name;
use rustc_hash::FxHashSet;
use std::rc::Rc;

impl Chooser<'_, '_> {
    /// A first choice that covers every field of the selection set, and what required fields need.
    pub(super) fn cover(&mut self, set: SetId, doors: &Rc<[Door]>, classes: &[Class]) -> Result<Choice, PlanError> {
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
                        ways.push((weight(entered), subgraph));
                    } else if reach.required(&name, subgraph) != NEVER {
                        ways.push((weight(reach.required(&name, subgraph)), subgraph));
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
        Ok(Choice { prefer: greedy(open), late: false })
    }

    /// Choices that differ in one subgraph: one more where it may help below, one less, or early visits joined with late ones.
    pub(super) fn neighbours(&self, set: SetId, classes: &[Class], choice: &Choice, best: &Solution) -> Vec<Choice> {
        let mut found = Vec::new();
        if !choice.late {
            found.push(Choice { late: true, ..choice.clone() });
        }
        let mut more: Vec<SubgraphId> = Vec::new();
        for step in &best.steps {
            let Step::Object { classes: chosen, set: from, field, solution, .. } = step else { continue };
            if *from != set || solution.cost() == (0, 0, solution.complete) {
                continue;
            }
            let Some(field) = self.selections.field(*from, *field) else { continue };
            for class in chosen.iter().filter_map(|index| classes.get(*index)) {
                more.extend(self.options.supergraph.all_subgraphs().iter().filter(|subgraph| {
                    !choice.prefer.contains(subgraph) && self.options.plain(class.example, *subgraph, &field.name).is_some()
                }));
            }
        }
        if best.unreachable > 0 {
            for class in classes {
                let fields = class.fields.iter().filter_map(|index| self.selections.field(set, *index));
                for field in fields.filter(|field| field.is_fetched()) {
                    more.extend(self.options.supergraph.all_subgraphs().iter().filter(|subgraph| {
                        !choice.prefer.contains(subgraph) && self.options.plain(class.example, *subgraph, &field.name).is_some()
                    }));
                }
            }
        }
        more.sort_unstable();
        more.dedup();
        for subgraph in more {
            let mut prefer = choice.prefer.clone();
            prefer.push(subgraph);
            found.push(Choice { prefer, late: choice.late });
        }
        for index in 0..choice.prefer.len() {
            let mut prefer = choice.prefer.clone();
            prefer.remove(index);
            found.push(Choice { prefer, late: choice.late });
        }
        found
    }
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
