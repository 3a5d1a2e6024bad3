//! Arguments that are filled from a context (`@fromContext`): the selection sets above a field that set the context, and what is
//! selected there for it.
//!
//! The nearest object above the field whose type sets the context gives the value. Which object that is may depend on the types
//! that the objects turn out to have, so a use has one level for each selection set upwards, until all types of one set it.
//! Input: the client's selection sets. Output: [`Contexts`]. Cost: one pass over the fields, and the depth of each that uses a
//! context. Without contexts in the supergraph there is nothing to do.
//! Relies on `selections` and `options`; relied on by `choose`, `fetches` and `assemble`.
//! Spec: <https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/directives#context>

use super::PlanError;
use super::operation::Operation;
use super::options::{Options, top_names};
use super::selections::{SelectedField, Selections, SetId};
use super::{OperationKind, choose::Stage};
use crate::ids::{NameId, SubgraphId, TypeId};
use crate::model::field_set::FieldSet;
use crate::model::{ContextArgument, Supergraph};
use apollo_compiler::Name;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// A value read from a context, by one or more arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct UseId(u32);

/// Everything that one operation reads from contexts.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    uses: Vec<Use>,
    /// By selection set and type of the objects.
    fields: FxHashMap<(SetId, TypeId), Vec<ContextField>>,
    /// What a selection set gives to uses below it.
    demands: FxHashMap<SetId, Vec<Demand>>,
    /// Uses in or below a selection set, with the selection sets above it that give their values.
    within: FxHashMap<SetId, Vec<(UseId, SetId)>>,
}

/// A use of a context, and a field set for each type that sets it.
pub(super) type Demand = (UseId, Vec<(TypeId, SetId)>);

/// A value read from a context.
#[derive(Debug)]
pub(super) struct Use {
    /// The variable that takes it, without `$`. It ends in `_` and is a part of no other name or text of the operation.
    pub variable: Box<str>,
    /// Its type in the subgraph.
    pub ty: Box<str>,
    /// The selection set with the fields that read it.
    pub set: SetId,
    /// The selection sets above, the nearest first.
    pub levels: Vec<Level>,
    argument: (Box<str>, Vec<(TypeId, Arc<FieldSet>)>),
}

/// A selection set above a use.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// The selection set.
    pub set: SetId,
    /// Types that set the context there, and what is selected on each.
    pub setters: Vec<(TypeId, SetId)>,
}

/// A field with arguments from contexts.
#[derive(Debug)]
pub(super) struct ContextField {
    /// Its name.
    pub name: NameId,
    /// The subgraph that has it so.
    pub subgraph: SubgraphId,
    /// The arguments.
    pub arguments: Vec<(Name, UseId)>,
}

impl Contexts {
    /// Finds what an operation reads from contexts.
    ///
    /// # Errors
    /// What sets a context is too large.
    pub fn find(selections: &mut Selections<'_>, options: &Options<'_>, operation: &Operation) -> Result<Self, PlanError> {
        if selections.supergraph.contexts.is_empty() {
            return Ok(Self::default());
        }
        let mut finder = Finder {
            options,
            parents: parents(selections),
            base: base(selections, operation),
            found: Self::default(),
            is_mutation: operation.kind == OperationKind::Mutation,
        };
        for set in selections.ids() {
            finder.set(selections, set)?;
        }
        Ok(finder.found)
    }

    /// Whether nothing is read from contexts.
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// A use.
    pub fn get(&self, id: UseId) -> Option<&Use> {
        self.uses.get(id.0 as usize)
    }

    /// Fields with arguments from contexts on objects of one type.
    pub fn fields(&self, set: SetId, object: TypeId) -> &[ContextField] {
        self.fields.get(&(set, object)).map_or(&[], Vec::as_slice)
    }

    /// The arguments of a field that contexts fill in a subgraph.
    pub fn arguments(&self, set: SetId, object: TypeId, subgraph: SubgraphId, name: NameId) -> &[(Name, UseId)] {
        let field = self.fields(set, object).iter().find(|field| field.subgraph == subgraph && field.name == name);
        field.map_or(&[], |field| field.arguments.as_slice())
    }

    /// What a selection set gives to uses below it.
    pub fn demands(&self, set: SetId) -> &[Demand] {
        self.demands.get(&set).map_or(&[], Vec::as_slice)
    }

    /// Stages of everything that uses in or below a selection set get from above it.
    pub fn stages_within(&self, set: SetId, supplied: &FxHashMap<(UseId, SetId), Stage>) -> Vec<Stage> {
        let within = self.within.get(&set).map_or(&[][..], Vec::as_slice);
        within.iter().map(|key| supplied.get(key).copied().unwrap_or(Stage::MAX)).collect()
    }
}

impl Use {
    /// The stage at which its value is there.
    pub fn stage(&self, id: UseId, supplied: &FxHashMap<(UseId, SetId), Stage>) -> Stage {
        let levels = self.levels.iter().filter(|level| !level.setters.is_empty());
        levels.map(|level| supplied.get(&(id, level.set)).copied().unwrap_or(Stage::MAX)).max().unwrap_or(Stage::MAX)
    }

    /// Whether objects of `entered`, this use's selection set or one above it, each have one value: nothing below them sets it.
    pub fn is_one_per(&self, entered: SetId) -> bool {
        entered == self.set
            || self
                .levels
                .iter()
                .position(|level| level.set == entered)
                .is_some_and(|place| self.levels.iter().take(place).all(|level| level.setters.is_empty()))
    }
}

struct Finder<'o, 'a> {
    options: &'o Options<'a>,
    /// Selection set and field above each.
    parents: FxHashMap<SetId, (SetId, usize)>,
    base: String,
    found: Contexts,
    is_mutation: bool,
}

impl Finder<'_, '_> {
    /// The uses in one selection set.
    fn set(&mut self, selections: &mut Selections<'_>, set: SetId) -> Result<(), PlanError> {
        let types = selections.types(selections.set(set).types).clone();
        for object in types.iter() {
            let applies = |field: &&SelectedField| field.is_fetched() && selections.types(field.types).contains(object);
            let fields = selections.set(set).fields.iter().filter(applies);
            let selected: Vec<NameId> = fields.map(|field| field.name_id).collect();
            for name in self.with_required(object, &selected) {
                self.field(selections, (set, object), name)?;
            }
        }
        Ok(())
    }

    /// Names, and those of the fields that they require on the same object.
    fn with_required(&self, object: TypeId, names: &[NameId]) -> Vec<NameId> {
        let (mut open, mut seen, mut found) = (names.to_vec(), FxHashSet::default(), Vec::new());
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            for subgraph in self.options.demanding_in(object, name) {
                let required = self.options.requirement(object, subgraph, name);
                open.extend(required.into_iter().flat_map(|set| top_names(*self.options, set)));
            }
            found.push(name);
        }
        found
    }

    /// The uses of one field. Where nothing above sets its context a subgraph does not have it.
    fn field(&mut self, selections: &mut Selections<'_>, (set, object): (SetId, TypeId), name: NameId) -> Result<(), PlanError> {
        for subgraph in self.options.demanding_in(object, name) {
            let Some(at) = self.options.resolved(object, subgraph, name) else { continue };
            if at.context_arguments.is_empty() {
                continue;
            }
            let mut arguments = Vec::new();
            for argument in &at.context_arguments {
                let Some(id) = self.use_of(selections, set, argument)? else { break };
                arguments.push((argument.name.clone(), id));
            }
            if arguments.len() == at.context_arguments.len() {
                let field = ContextField { name, subgraph, arguments };
                self.found.fields.entry((set, object)).or_default().push(field);
            }
        }
        Ok(())
    }

    /// The use of an argument in a selection set; `None` if nothing above sets its context.
    fn use_of(
        &mut self,
        selections: &mut Selections<'_>,
        set: SetId,
        argument: &ContextArgument,
    ) -> Result<Option<UseId>, PlanError> {
        let key = (argument.context.clone(), argument.selections.clone());
        let same = |known: &Use| known.set == set && known.ty == argument.ty && known.argument == key;
        if let Some(index) = self.found.uses.iter().rposition(same) {
            return Ok(Some(UseId(u32::try_from(index).unwrap_or(u32::MAX))));
        }
        let levels = self.levels(selections, set, argument)?;
        if levels.is_empty() {
            return Ok(None);
        }
        let index = self.found.uses.len();
        let id = UseId(u32::try_from(index).unwrap_or(u32::MAX));
        let mut below = vec![set];
        for level in &levels {
            if !level.setters.is_empty() {
                self.found.demands.entry(level.set).or_default().push((id, level.setters.clone()));
                for inner in &below {
                    self.found.within.entry(*inner).or_default().push((id, level.set));
                }
            }
            below.push(level.set);
        }
        let variable = format!("{}{index}_", self.base).into();
        self.found.uses.push(Use { variable, ty: argument.ty.clone(), set, levels, argument: key });
        Ok(Some(id))
    }

    /// The selection sets above `set` up to the last that can set the context.
    fn levels(&self, selections: &mut Selections<'_>, set: SetId, argument: &ContextArgument) -> Result<Vec<Level>, PlanError> {
        let mut levels = Vec::new();
        let mut at = set;
        while let Some((above, field)) = self.parents.get(&at).copied() {
            let Some(types) = selections.field(above, field).map(|field| selections.types(field.types).clone()) else { break };
            // Nothing more is selected from a mutation than the client wants.
            let is_barred = self.is_mutation && !self.parents.contains_key(&above);
            let mut setters = Vec::new();
            for object in types.iter().filter(|_| !is_barred) {
                if let Some(fields) = selected_on(self.options.supergraph, argument, object) {
                    setters.push((object, selections.field_set(fields, object)?));
                }
            }
            let is_complete = setters.len() == types.len();
            levels.push(Level { set: above, setters });
            if is_complete {
                break;
            }
            at = above;
        }
        while levels.last().is_some_and(|level: &Level| level.setters.is_empty()) {
            levels.pop();
        }
        Ok(levels)
    }
}

/// What an argument selects on objects of a type that sets its context, by itself or by an interface or union.
fn selected_on<'a>(supergraph: &Supergraph, argument: &'a ContextArgument, object: TypeId) -> Option<&'a Arc<FieldSet>> {
    let own = argument.selections.iter().find(|(setter, _)| *setter == object);
    let of =
        own.or_else(|| argument.selections.iter().find(|(setter, _)| supergraph.get_type(*setter).possible.contains(object)));
    of.map(|(_, fields)| fields)
}

/// The selection set and field above each selection set of the client.
fn parents(selections: &Selections<'_>) -> FxHashMap<SetId, (SetId, usize)> {
    let fields = selections.ids().flat_map(|set| selections.set(set).fields.iter().enumerate().map(move |field| (set, field)));
    fields.filter_map(|(set, (index, field))| Some((field.below?, (set, index)))).collect()
}

/// A beginning for variables that no name or text of the operation contains.
fn base(selections: &Selections<'_>, operation: &Operation) -> String {
    let mut base = String::from("context_");
    while operation.variables.iter().any(|variable| variable.name.contains(&base))
        || selections.calls().any(|call| call.arguments.contains(&base))
    {
        base.push('_');
    }
    base
}
