//! Which subgraphs to prefer: those that alone have a field first, then those that give the most of what is left; and the
//! changes of one subgraph that a search tries.
//!
//! Relied on by the search in `choose`; relies on `reach`.

use super::attempt::Choice;
use super::reach::Reach;
use super::task::Task;
use super::{Chooser, Class, NEVER, Search, Step};
use crate::ids::{NameId, SubgraphId, SubgraphSet};
use crate::plan::PlanError;
use rustc_hash::{FxHashMap, FxHashSet};

/// Subgraphs that give a field, each with its cost.
type Ways = Vec<(u64, SubgraphId)>;

/// What the fields of a selection set leave to choose.
pub(super) struct Cover {
    /// Ways to each field that no door gives.
    open: Vec<Ways>,
    /// Subgraphs between which there is something to choose.
    pub contested: Vec<SubgraphId>,
}

impl Cover {
    /// A choice that covers every field: these subgraphs as far as they are of use, then others for what is left.
    pub fn choice(&self, first: impl Iterator<Item = SubgraphId>) -> Choice {
        let chosen = first.filter(|subgraph| self.contested.contains(subgraph)).collect();
        Choice { prefer: greedy(self.open.clone(), chosen), late: false }
    }

    /// What fields cost at least for which none of these subgraphs is asked: those that share no way need a fetch each.
    pub fn least_beside(&self, mut asked: SubgraphSet) -> u64 {
        let mut open: Vec<&Ways> = self.open.iter().filter(|ways| !ways.is_empty()).collect();
        open.sort_by_key(|ways| ways.len());
        let mut least = 0;
        for ways in open {
            if !ways.iter().any(|(_, subgraph)| asked.contains(*subgraph)) {
                least += ways.iter().map(|(weight, _)| *weight).min().unwrap_or(0);
                asked.extend_with(&ways.iter().map(|(_, subgraph)| *subgraph).collect());
            }
        }
        least
    }
}

impl Chooser<'_, '_> {
    /// What has to be covered: every field of the selection set that no door gives, and what required fields need.
    pub(super) fn cover(&mut self, task: &mut Task) -> Result<Cover, PlanError> {
        let mut open: Vec<Ways> = Vec::new();
        for (index, reach) in self.reach_of(task, false)?.iter().enumerate() {
            self.cover_class(task, (index, reach), &mut open)?;
        }
        let contested = open.iter().filter(|ways| ways.len() > 1).flatten().map(|(_, subgraph)| *subgraph).collect();
        Ok(Cover { open, contested })
    }

    /// Adds the ways to every field of a class that no door gives, and to what those require.
    fn cover_class(&mut self, task: &Task, (index, reach): (usize, &Reach), open: &mut Vec<Ways>) -> Result<(), PlanError> {
        let (Some(class), Some(names)) = (task.classes.get(index), task.names.get(index)) else { return Ok(()) };
        let (doors, mut names) = (&task.doors, names.clone());
        if names.is_empty() {
            return Ok(());
        }
        let mut seen: FxHashSet<NameId> = names.iter().copied().collect();
        while let Some(name) = names.pop() {
            let ways = self.weighted_ways(class, reach, name);
            if let [(_, only)] = ways.as_slice()
                && let Some(required) = self.options.requirement(class.example, *only, name)
            {
                let required = self.selections.field_set(required, class.example)?;
                let fields = self.selections.set(required).fields.iter();
                let beyond = fields.filter(|field| !field.is_typename() && !self.given_by_door(doors, class, field));
                names.extend(beyond.map(|field| field.name_id).filter(|name| seen.insert(*name)));
            }
            open.push(ways);
        }
        Ok(())
    }

    /// Subgraphs that give a field, each with what asking it costs at the earliest.
    fn weighted_ways(&self, class: &Class, reach: &Reach, name: NameId) -> Ways {
        let object = class.example;
        let plain = self.options.plain_in(object, name).map(|subgraph| (reach.entry(subgraph).0, subgraph));
        let demanding = self.options.demanding_in(object, name).map(|subgraph| (reach.required(name, subgraph), subgraph));
        let ways = plain.chain(demanding).filter(|(stage, _)| *stage != NEVER);
        let mut ways: Ways = ways.map(|(stage, subgraph)| (self.weight(stage, subgraph), subgraph)).collect();
        ways.sort_unstable_by_key(|(_, subgraph)| *subgraph);
        ways
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
        let mut found = search.contested.clone();
        for (class, field) in wanted(search) {
            let Some(class) = search.task.classes.get(class) else { continue };
            let Some(field) = self.selections.field(search.task.set, field).filter(|field| field.is_fetched()) else { continue };
            let giving = self.options.resolved_in(class.example, field.name_id);
            // A door that gives it may not give what is below, or only what it provides.
            if giving.len() > 1 || self.given_by_door(&search.task.doors, class, field) {
                found.extend(giving);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Classes and fields for which the best solution so far needs a fetch; all when it does not reach some.
fn wanted(search: &Search) -> Vec<(usize, usize)> {
    let (Task { set, classes, doors, .. }, best) = (&search.task, &search.best);
    if best.unreachable > 0 {
        let every = |(index, class): (usize, &Class)| class.fields.iter().map(move |field| (index, *field)).collect::<Vec<_>>();
        return classes.iter().enumerate().flat_map(every).collect();
    }
    let is_beyond = |visit: &usize| *visit >= doors.len();
    let of_step = |step: &Step| match step {
        Step::Object { classes, set: from, field, solution, doors: visits } if from == set => {
            let is_wanted = visits.iter().any(is_beyond) || !solution.fetches.is_empty();
            classes.iter().filter(|_| is_wanted).map(|class| (*class, *field)).collect()
        }
        Step::Leaf { class, set: from, field, visit } if from == set && is_beyond(visit) => vec![(*class, *field)],
        _ => Vec::new(),
    };
    best.steps.iter().flat_map(of_step).collect()
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

/// Subgraphs that cover every list: those chosen, those without alternative, then the best gain per weight, then order.
fn greedy(mut open: Vec<Ways>, mut chosen: Vec<SubgraphId>) -> Vec<SubgraphId> {
    let mut taken: SubgraphSet = chosen.iter().copied().collect();
    open.retain(|ways| !ways.is_empty());
    for ways in &open {
        if let [(_, only)] = ways.as_slice()
            && taken.insert(*only)
        {
            chosen.push(*only);
        }
    }
    loop {
        open.retain(|ways| !ways.iter().any(|(_, subgraph)| taken.contains(*subgraph)));
        let mut gains: FxHashMap<SubgraphId, (u64, u64)> = FxHashMap::default();
        for (weight, subgraph) in open.iter().flatten() {
            let (gain, least) = gains.entry(*subgraph).or_insert((0, *weight));
            (*gain, *least) = (*gain + 1, (*least).min(*weight));
        }
        // The gain per weight, compared without division: a.gain / a.weight against b.gain / b.weight; the first in order wins.
        let first = gains
            .into_iter()
            .min_by(|(a, (a_gain, a_least)), (b, (b_gain, b_least))| (b_gain * a_least).cmp(&(a_gain * b_least)).then(a.cmp(b)));
        let Some((subgraph, _)) = first else { return chosen };
        taken.insert(subgraph);
        chosen.push(subgraph);
    }
}
