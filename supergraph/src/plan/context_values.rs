//! Where the values of contexts stand in the rows of a plan, and how they are found from the objects that a fetch represents.
//!
//! Relied on by `assemble`, `rows` and `json`; relies on `contexts`.

use super::assemble::{Ready, fields};
use super::contexts::{Level, UseId};
use super::shape::TypeSet;
use super::{ContextLevel, ContextValue, ContextVariable, RepresentationField, RepresentationValue};
use crate::ids::{Id, LayoutId, SlotId, TypeId};
use rustc_hash::FxHashSet;
use serde_json::{Value, json};

impl Ready<'_, '_> {
    /// The variable that takes a value from a context.
    pub fn context_variable(&self, id: UseId) -> Option<ContextVariable> {
        let of = self.contexts.get(id)?;
        Some(ContextVariable { name: of.variable.clone(), ty: of.ty.clone() })
    }

    /// Where objects of a layout have a value from a context.
    pub fn context_value(&self, layout: usize, id: UseId) -> ContextValue {
        let mut below = None;
        let mut levels = Vec::new();
        for (at, level) in self.levels(layout, id) {
            let (mut setters, mut list) = (Vec::new(), Vec::new());
            for (object, set) in level.iter().flat_map(|level| &level.setters) {
                setters.push(*object);
                let only = TypeSet::new(vec![*object]);
                let own = fields(self, (at, None), &only, &[*set]);
                list.extend(own.into_iter().map(|field| RepresentationField { types: Some(only.clone()), ..field }));
            }
            let setters = TypeSet::new(setters);
            levels.push(ContextLevel { layout: LayoutId::new(at), setters, fields: list, below });
            below = self.draft.layouts.get(at).and_then(|layout| layout.parent).map(|(_, slot)| SlotId::new(slot));
        }
        levels.reverse();
        ContextValue { levels }
    }

    /// Layouts from this one upwards, as far as they may set the context of a use, each with what is set there.
    fn levels(&self, layout: usize, id: UseId) -> Vec<(usize, Option<&Level>)> {
        let Some(of) = self.contexts.get(id) else { return Vec::new() };
        let top = of.levels.last().map(|level| level.set);
        let mut levels = Vec::new();
        let mut next = Some(layout);
        while let Some(at) = next {
            let Some(draft) = self.draft.layouts.get(at) else { break };
            levels.push((at, of.levels.iter().find(|level| Some(level.set) == draft.set)));
            if draft.set == top {
                break;
            }
            next = draft.parent.map(|(above, _)| above);
        }
        levels
    }

    /// Layouts whose objects must not be shared by entities that are the same, since contexts above them may differ.
    pub fn layouts_under_contexts(&self) -> FxHashSet<usize> {
        let mut under = FxHashSet::default();
        for fetch in &self.draft.fetches {
            for id in &fetch.contexts {
                let mut levels = self.levels(self.layout_of(fetch), *id);
                // Objects of the topmost level have the value themselves, wherever they stand.
                levels.pop();
                under.extend(levels.into_iter().map(|(layout, _)| layout));
            }
        }
        under
    }

    /// The same for people and tools, in Apollo's form: paths from the objects that are represented, the furthest first.
    pub fn context_rewrites<'i>(&self, layout: usize, ids: impl Iterator<Item = &'i UseId>) -> Vec<Value> {
        let mut rewrites = Vec::new();
        for id in ids {
            let Some(of) = self.contexts.get(*id) else { continue };
            let value = self.context_value(layout, *id);
            let count = value.levels.len();
            for (index, level) in value.levels.iter().enumerate() {
                let up = vec!["..".to_owned(); count - 1 - index];
                for steps in self.steps(level.layout.index(), &level.fields) {
                    let path: Vec<String> = up.iter().cloned().chain(steps).collect();
                    rewrites.push(json!({ "kind": "KeyRenamer", "path": path, "renameKeyTo": of.variable }));
                }
            }
        }
        rewrites
    }

    /// Paths to the ends of these fields.
    fn steps(&self, layout: usize, fields: &[RepresentationField]) -> Vec<Vec<String>> {
        let Some(draft) = self.draft.layouts.get(layout) else { return Vec::new() };
        let mut found = Vec::new();
        for field in fields.iter().filter(|field| field.value != RepresentationValue::Typename) {
            let Some(slot) = draft.slots.get(field.slot.index()) else { continue };
            let below = match (&field.value, slot.below) {
                (RepresentationValue::Object(fields), Some(child)) => self.steps(child, fields),
                _ => vec![Vec::new()],
            };
            let name = |id: TypeId| format!("... on {}", self.options.supergraph.get_type(id).name);
            let conditions: Vec<Option<String>> = match &field.types {
                Some(types) if *types != draft.types => types.iter().map(|id| Some(name(id))).collect(),
                _ => vec![None],
            };
            for condition in conditions {
                let start: Vec<String> = condition.into_iter().chain([slot.key.clone()]).collect();
                found.extend(below.iter().map(|below| [start.as_slice(), below].concat()));
            }
        }
        found
    }
}
