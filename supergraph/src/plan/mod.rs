//! Query planning: an operation on a supergraph to a [`Plan`], a DAG of subgraph fetches and the layout of the answer.
//!
//! The stages, each with its file: `selections` (fields merged per response path), `options` (who can resolve what), `choose`
//! (the solver), `fetches` (rows, visits, fetches), `passes` (conditions, order of mutations, batches), `document` (the text of each
//! fetch), `assemble` (the plan).
//! Relied on by the gateway's executor, which runs a plan without looking anything up by name.

mod alike;
mod ambiguity;
mod arguments;
mod arrivals;
mod assemble;
mod check;
mod choose;
mod condition;
mod context_values;
mod contexts;
mod defer;
mod denied;
mod document;
mod fetches;
mod introspect;
mod json;
mod memory;
mod merging;
mod names;
pub mod operation;
mod options;
pub mod order;
mod pace;
mod passes;
mod print;
mod request;
mod rows;
mod selections;
pub mod shape;
mod slots;
mod stages;
mod told;
mod unreachable;

use crate::ids::{ConditionId, FetchId, IdVec, LabelId, LayoutId, PartId, ReadId, RequirementId, SlotId, SubgraphId};
use crate::model::Supergraph;
use assemble::{Assembled, Ready, assemble};
use choose::Chooser;
use contexts::Contexts;
use defer::Parts;
use fetches::Drafter;
pub use operation::DeferUse;
use operation::Operation;
use options::Options;
pub use options::Tables;
pub use pace::{Limits, Pace};
use passes::{batch, conditions, mutations};
use rustc_hash::FxHashSet;
use selections::Selections;
use shape::{Shape, TypeSet};
use std::rc::Rc;
use std::sync::Arc;
use told::Told;

/// What one request decides about planning.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Labels of progressive overrides that are active.
    pub labels: FxHashSet<LabelId>,
    /// Requirements that whoever asks does not meet.
    pub denied: FxHashSet<RequirementId>,
    /// Those of [`Operation::defer_variables`] that are false: their fragments are not deferred. What keeps plans keeps one for each
    /// such set, since a plan without a part is another one.
    pub undeferred: FxHashSet<Box<str>>,
    /// What the run may use. It shapes a plan only where it is hit.
    pub limits: Limits,
    /// Told while the run goes on.
    pub pace: Arc<Pace>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The schema has no root type for this kind of operation.
    NoRoot,
    /// Selections, or fragments in them, are nested too deep.
    TooDeep,
    /// The operation has too many fields once its fragments are spread.
    TooLarge,
    /// Planning was stopped from outside.
    Stopped,
    /// A bug: a document that its subgraph would refuse. Looked for in debug builds only.
    InvalidFetch {
        /// The subgraph.
        subgraph: Box<str>,
        /// What is wrong with which document.
        message: String,
    },
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::NoRoot => "the schema does not support this kind of operation",
            Self::TooDeep => "the operation is nested too deep to be planned",
            Self::TooLarge => "the operation selects too many fields to be planned",
            Self::Stopped => "planning was stopped before there was a plan",
            Self::InvalidFetch { subgraph, message } => {
                return write!(formatter, "the planner made a document that {subgraph} refuses: {message}");
            }
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for PlanError {}

/// A plan as text and as JSON, for people and tools.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Indented text.
    pub text: String,
    /// Apollo's JSON form, with Hive's `BatchFetch`.
    pub json: serde_json::Value,
}

/// Plans an operation.
///
/// # Errors
/// If the operation is too large or too deep, or of a kind that the schema does not have.
pub fn plan(supergraph: &Supergraph, tables: &Tables, operation: &Operation, options: &PlanOptions) -> Result<Plan, PlanError> {
    run(supergraph, tables, operation, options, |_, assembled| assembled.plan)
}

/// Plans an operation and prints the plan.
///
/// # Errors
/// As [`plan`].
pub fn print(
    supergraph: &Supergraph,
    tables: &Tables,
    operation: &Operation,
    options: &PlanOptions,
) -> Result<Printed, PlanError> {
    run(supergraph, tables, operation, options, |ready, assembled| {
        let json = json::plan(ready, &assembled);
        Printed { text: print::text(&json), json }
    })
}

/// Plans an operation for whatever its `@defer(if: $variable)` come to and prints the plans, those that differ under conditions.
///
/// # Errors
/// As [`plan`].
pub fn print_each(
    supergraph: &Supergraph,
    tables: &Tables,
    operation: &Operation,
    options: &PlanOptions,
) -> Result<Printed, PlanError> {
    let mut plan = |undeferred| print(supergraph, tables, operation, &PlanOptions { undeferred, ..options.clone() });
    defer::print_each(&operation.defer_variables(), &options.undeferred, &mut plan)
}

/// The stages whose artefacts can be printed, besides the plan itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanStage {
    /// Who can resolve each selected field, and how subgraphs are entered.
    Options,
    /// Which subgraphs were chosen, and what each gives.
    Choice,
    /// The requests, after all passes.
    Fetches,
}

/// Plans an operation and prints what one stage made of it.
///
/// # Errors
/// As [`plan`].
pub fn print_stage(
    supergraph: &Supergraph,
    tables: &Tables,
    operation: &Operation,
    options: &PlanOptions,
    stage: PlanStage,
) -> Result<String, PlanError> {
    run(supergraph, tables, operation, options, |ready, _| stages::text(ready, stage))
}

/// The stages.
fn run<T>(
    supergraph: &Supergraph,
    tables: &Tables,
    operation: &Operation,
    options: &PlanOptions,
    finish: impl FnOnce(&Ready<'_, '_>, Assembled) -> T,
) -> Result<T, PlanError> {
    let root = supergraph.root(operation.kind).ok_or(PlanError::NoRoot)?;
    let mut selections = Selections::new((supergraph, tables), operation.lists.clone(), options);
    let (undeferred, options) = (&options.undeferred, Options { supergraph, tables, labels: &options.labels });
    let set = selections.collect_root(root, operation.root)?;
    ambiguity::mark(&mut selections, options);
    let contexts = Rc::new(Contexts::find(&mut selections, &options, operation)?);
    let is_deferrable = contexts.is_empty() && operation.kind != OperationKind::Subscription;
    let parts = Parts::find(&mut selections, (operation, undeferred), set, is_deferrable);
    let mut chooser = Chooser::new(options, &mut selections, contexts.clone());
    let mut drafter = Drafter::new(&mut chooser, set, parts);
    if operation.kind == OperationKind::Mutation {
        mutations::place_in_series(&mut drafter, set)?;
    } else if !drafter.deferred.is_empty() {
        defer::place(&mut drafter, set)?;
    } else {
        let solution = drafter.chooser.solve_root(set)?;
        drafter.place_root(&solution, set);
    }
    let (mut draft, parts) = (drafter.draft, drafter.deferred);
    selections.spend(0)?;
    conditions::hoist(&mut draft, &mut selections);
    let groups = batch::batch(&mut draft);
    let told = Told::find(options, &draft);
    let ready = Ready {
        operation,
        options,
        selections: &selections,
        parts: &parts,
        contexts: &contexts,
        draft: &draft,
        groups: &groups,
        told,
    };
    let assembled = assemble(&ready)?;
    if cfg!(debug_assertions) {
        check::documents(supergraph, tables, &assembled.plan)?;
    }
    Ok(finish(&ready, assembled))
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// `query`
    Query,
    /// `mutation`
    Mutation,
    /// `subscription`
    Subscription,
}

/// How one operation is answered: fetches that write rows, and the shape that reads them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kind of the client's operation.
    pub kind: OperationKind,
    /// The subgraph requests. A fetch comes after every fetch named in its `after`, so the order is topological.
    pub fetches: IdVec<FetchId, Fetch>,
    /// Rows, slots, and how they are read and written.
    pub shape: Shape,
    /// `@skip` and `@include` with variables, evaluated once per request.
    pub conditions: IdVec<ConditionId, Condition>,
    /// `__schema` and `__type` fields at the root, answered from the client schema.
    pub introspection: Option<Introspection>,
    /// The parts that may be delivered later. A part comes after the one that it is in.
    pub parts: IdVec<PartId, Part>,
}

/// A part of an answer that may be delivered after the rest: its fields and fetches name it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The part that it is in; `None` for what is not deferred.
    pub above: Option<PartId>,
    /// Whose objects have the deferred fields.
    pub layout: LayoutId,
    /// The fragments that defer it, each by itself or by a variable that is true.
    pub fragments: Vec<DeferUse>,
}

/// One request to one subgraph.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Who is asked.
    pub subgraph: SubgraphId,
    /// Kind of the subgraph operation (entity fetches are queries, also inside a mutation).
    pub kind: OperationKind,
    /// The operation text that is sent.
    pub document: String,
    /// Where something is read from contexts, the text of `document` up to its internal variables: requests in which the values
    /// differ are put together from this and the batches' selection sets.
    pub opening: Option<Box<str>>,
    /// The operation's name in `document`.
    pub operation_name: Option<String>,
    /// Client variables that `document` uses; each is sent when the client gave it a value (or it has a default).
    pub variables: Vec<Box<str>>,
    /// What the answer fills.
    pub target: Target,
    /// Fetches that must have ended (well or badly) before this one starts.
    pub after: Vec<FetchId>,
    /// The fetch is left out unless this holds.
    pub condition: Option<ConditionId>,
    /// The part that it is for; `None` if it is for what is not deferred.
    pub part: Option<PartId>,
}

/// Which objects a fetch fills.
#[derive(Clone, Debug)]
pub enum Target {
    /// `data` itself is decoded by `read` into every object of `layout` (the root object, or objects of a root type
    /// deeper in the answer).
    Root {
        /// Whose objects.
        layout: LayoutId,
        /// How `data` is decoded.
        read: ReadId,
    },
    /// `_entities` fields, each with its own representations. At least one.
    Entities(Vec<EntityBatch>),
}

/// One `_entities` field of a fetch: the objects of all `at` in order are its representations, and item *i* of the answer
/// belongs to object *i*. With no representation left the field is not asked for; a fetch whose batches are all empty is not sent.
/// (A document with several batches is sent whole when any has representations; the others get an empty list.)
#[derive(Clone, Debug)]
pub struct EntityBatch {
    /// Response key of the `_entities` field.
    pub key: Box<str>,
    /// Variable that takes the representations, without `$`.
    pub variable: Box<str>,
    /// Whose objects, and how each is represented and decoded.
    pub at: Vec<EntityPosition>,
    /// What the selection set reads from contexts. Objects with different values need `_entities` fields of their own.
    pub contexts: Vec<ContextVariable>,
    /// The field's selection set, where it reads from contexts.
    pub selection: Box<str>,
}

/// A variable that takes a value from a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextVariable {
    /// Its name without `$`, which stands in the selection set only where the variable does.
    pub name: Box<str>,
    /// Its type.
    pub ty: Box<str>,
}

/// Objects of one layout that an entity fetch fills.
#[derive(Clone, Debug)]
pub struct EntityPosition {
    /// Whose objects.
    pub layout: LayoutId,
    /// Only objects of these concrete types (`None`: all).
    pub types: Option<TypeSet>,
    /// Only objects whose position holds under this condition (`None`: always).
    pub condition: Option<ConditionId>,
    /// What is sent for each object.
    pub representation: Representation,
    /// How each item of the answer is decoded into the object's row.
    pub read: ReadId,
    /// Where the batch's variables have their values, in the same order.
    pub contexts: Vec<ContextValue>,
}

/// Where a value from a context comes from: the nearest object above (or the object itself) whose type sets the context.
#[derive(Clone, Debug)]
pub struct ContextValue {
    /// From the topmost layout whose objects may set it down to the layout of the objects that are represented.
    pub levels: Vec<ContextLevel>,
}

/// One layout on the way from where a context is set to where it is read.
#[derive(Clone, Debug)]
pub struct ContextLevel {
    /// The layout.
    pub layout: LayoutId,
    /// Types whose objects set the context.
    pub setters: TypeSet,
    /// What they set it to: the value at the end of the first of these that applies, or null.
    pub fields: Vec<RepresentationField>,
    /// The slot that leads to the next level's objects; `None` at the last level.
    pub below: Option<SlotId>,
}

/// A representation: key fields and required fields, copied from an object's row.
/// An object whose row lacks one of them (`Absent`) is left out; null is sent as null.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Representation {
    /// The `__typename` that is sent.
    pub typename: RepresentationTypename,
    /// The fields, in order.
    pub fields: Vec<RepresentationField>,
}

/// The `__typename` of a representation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepresentationTypename {
    /// Always this name (an object type, or an interface object's name).
    Fixed(Box<str>),
    /// The object's concrete type.
    Concrete,
}

/// One field of a representation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepresentationField {
    /// Its name in the representation.
    pub key: Box<str>,
    /// Where its value stands in the row.
    pub slot: SlotId,
    /// Only for objects of these concrete types (`None`: all).
    pub types: Option<TypeSet>,
    /// What is copied.
    pub value: RepresentationValue,
}

/// The value of a representation's field; lists of any depth are copied item by item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepresentationValue {
    /// A scalar or an enum, copied as it stands.
    Leaf,
    /// The concrete type of the object (a nested `__typename`; `slot` is not used).
    Typename,
    /// A nested object, with these fields of its own row.
    Object(Vec<RepresentationField>),
}

/// A disjunction of conjunctions over Boolean variables: holds if every test of any alternative holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The alternatives; never empty.
    pub any: Vec<Vec<Test>>,
}

/// One test of a Boolean variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Test {
    /// The variable, without `$`.
    pub variable: Box<str>,
    /// The value it must have.
    pub is: bool,
}

/// The introspection part of an operation.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// An operation with only the introspection fields, to run against the client schema.
    pub document: String,
    /// Response keys of these fields and their slots in the root row.
    pub slots: Vec<(Box<str>, SlotId)>,
}

impl Introspection {
    /// Longest document; a longer one is not complete.
    pub const MAX_BYTES: usize = 1 << 20;
}
