//! A selection set to be solved through its doors, with what is the same for every choice that a search tries.
//!
//! Relied on by the search in `choose`, by `attempt` and by `cover`; relies on `reach`.

use super::reach::Reach;
use super::{Chooser, Class, Door};
use crate::ids::NameId;
use crate::plan::PlanError;
use crate::plan::selections::SetId;
use std::rc::Rc;

/// Class and index of a field.
pub(super) type Pending = (usize, usize);

/// What is to be solved.
pub(super) struct Task {
    /// The selection set.
    pub set: SetId,
    /// The doors, none at a root.
    pub doors: Rc<[Door]>,
    /// Types whose objects can come through them.
    pub classes: Rc<Vec<Class>>,
    /// Names of the fields that no door gives, by class.
    pub names: Vec<Vec<NameId>>,
    /// What each class can reach; `None` where nothing has to be reached unless a choice says so.
    reach: Vec<Option<Rc<Reach>>>,
    /// Leaves, those first that have to come from where they come from.
    pub leaves: Rc<[Pending]>,
    /// Fields with selections below.
    pub pending: Rc<[Pending]>,
}

impl Chooser<'_, '_> {
    /// A task for a selection set.
    pub(super) fn task(&mut self, set: SetId, doors: Rc<[Door]>) -> Result<Task, PlanError> {
        let classes = self.live_classes(set, &doors);
        let (mut names, mut reach) = (Vec::with_capacity(classes.len()), Vec::with_capacity(classes.len()));
        let (mut leaves, mut pending) = (Vec::new(), Vec::new());
        for (index, class) in classes.iter().enumerate() {
            let beyond = self.names_beyond_doors(set, &doors, class);
            let is_needed = !beyond.is_empty() || self.needs_reach(&doors, class);
            let found = if is_needed { Some(self.reach((set, class.example), &doors, &beyond)?) } else { None };
            for field in &class.fields {
                let Some(selected) = self.selections.field(set, *field).filter(|field| field.is_fetched()) else { continue };
                if selected.below.is_some() {
                    pending.push((index, *field));
                    continue;
                }
                let is_plain = || found.as_ref().is_some_and(|reach| self.has_plain(class, reach, selected.name_id));
                let rank = if self.given_by_door(&doors, class, selected) { 0 } else { usize::from(!is_plain()) + 1 };
                leaves.push((rank, (index, *field)));
            }
            names.push(beyond);
            reach.push(found);
        }
        leaves.sort_by_key(|(rank, _)| *rank);
        let leaves = leaves.into_iter().map(|(_, leaf)| leaf).collect();
        Ok(Task { set, doors, classes, names, reach, leaves, pending: pending.into() })
    }

    /// What the classes of a task can reach for a try that asks subgraphs which no field needs, or for one that does not.
    pub(super) fn reach_of(&mut self, task: &mut Task, is_choosing: bool) -> Result<Vec<Rc<Reach>>, PlanError> {
        let mut all = Vec::with_capacity(task.classes.len());
        for (class, (names, known)) in task.classes.iter().zip(task.names.iter().zip(&mut task.reach)) {
            if known.is_none() && is_choosing {
                *known = Some(self.reach((task.set, class.example), &task.doors, names)?);
            }
            all.push(known.clone().unwrap_or_default());
        }
        Ok(all)
    }

    /// Whether some reachable subgraph gives the field without requirement.
    fn has_plain(&self, class: &Class, reach: &Reach, name: NameId) -> bool {
        self.options.plain_in(class.example, name).any(|subgraph| reach.entry(subgraph).0 != super::NEVER)
    }

    /// Whether the objects' type must be fetched from elsewhere, or a root entered.
    fn needs_reach(&self, doors: &[Door], class: &Class) -> bool {
        !doors.iter().any(|door| self.tells_type(door, class.example))
    }
}
