//! Values from contexts: when they are there, which visits can take them, and the steps that give them to selection sets below.
//!
//! Relied on by `attempt`, `place` and `reach`; relies on `contexts`.

use super::attempt::Attempt;
use super::reach::ContextStages;
use super::{Chooser, NEVER, Stage, Visit};
use crate::ids::{NameId, TypeId};
use crate::plan::PlanError;
use crate::plan::contexts::UseId;
use crate::plan::selections::SetId;
use apollo_compiler::Name;

impl Chooser<'_, '_> {
    /// The stage at which a context's value is there.
    pub(super) fn context_stage(&self, id: UseId) -> Stage {
        self.contexts.get(id).map_or(NEVER, |of| of.stage(id, &self.supplied))
    }

    /// Whether a visit gives field `name` of `object` with arguments from contexts: their values are there before its fetch, and
    /// each object that the fetch represents has one.
    pub(super) fn gives_in_context(&self, set: SetId, object: TypeId, visit: &Visit, name: NameId) -> bool {
        let arguments = self.contexts.arguments(set, object, visit.subgraph, name);
        let is_there = |id: UseId| {
            let is_one = self.contexts.get(id).zip(visit.entered).is_some_and(|(of, entered)| of.is_one_per(entered));
            is_one && self.context_stage(id) < visit.stage
        };
        !arguments.is_empty()
            && self.options.requirement(object, visit.subgraph, name).is_none()
            && arguments.iter().all(|(_, id)| is_there(*id))
    }

    /// Fields of the type that have arguments from contexts, where those can be had.
    pub(super) fn context_stages(&self, set: SetId, object: TypeId) -> ContextStages {
        let stage = |arguments: &[(Name, UseId)]| arguments.iter().map(|(_, id)| self.context_stage(*id)).max().unwrap_or(0);
        let fields = self.contexts.fields(set, object).iter();
        fields.map(|field| (field.name, field.subgraph, stage(&field.arguments))).filter(|field| field.2 != NEVER).collect()
    }
}

impl Attempt<'_, '_, '_> {
    /// Places what the selection sets below read from contexts that objects here set.
    pub fn supply_contexts(&mut self) -> Result<(), PlanError> {
        let contexts = self.chooser.contexts.clone();
        let classes = self.classes.clone();
        let is_one_type = classes.iter().map(|class| class.types.len()).sum::<usize>() <= 1;
        for (id, setters) in contexts.demands(self.set) {
            let mut inputs = Vec::new();
            let mut stage = 0;
            for (index, class) in classes.iter().enumerate() {
                if !is_one_type {
                    // Which object sets the context, and to what, depends on its type.
                    let fact = self.typename(index, true, NEVER)?;
                    inputs.extend(fact.map(|fact| fact.step));
                    stage = stage.max(fact.map_or(NEVER, |fact| fact.stage));
                }
                // Types that set a context are alike to no other, so a class is one of them or none.
                let Some((_, set)) = setters.iter().find(|(setter, _)| *setter == class.example) else { continue };
                match self.needs(index, *set, NEVER)? {
                    Some(needs) => {
                        stage = stage.max(needs.stage);
                        inputs.extend(needs.inputs);
                    }
                    None => stage = NEVER,
                }
            }
            self.chooser.supplied.insert((*id, self.set), stage);
            if stage != NEVER {
                self.wanted.extend(inputs.iter().copied());
                self.contexts.push((*id, inputs));
            }
        }
        Ok(())
    }
}
