//! Normalised selection sets: for each response path, its fields merged by response key and by the object types they apply to.
//!
//! Input: the lists of an operation (`operation`) or of a field set. Output: an arena of [`SelectionSet`]s, of which each field
//! says for which object types it holds, under which condition, and what is selected below. Cost: for each selection set, the
//! selections that reach it times the object types they tell apart; a fragment is visited once per set of types and condition.
//! ```text
//! { a { x } ... on T { a { y } } }   on T | U   =>   a (T) { x y }   a (U) { x }
//! ```
//! Relied on by `choose` and `fetches`. Spec: <https://spec.graphql.org/September2025/#sec-Collect-Fields>

mod groups;

use super::condition::{ALWAYS, Guard, Guards};
use super::defer::MARK;
use super::denied::{self, Denied};
use super::names::Names;
use super::operation::{ListId, Lists, MAX_DEPTH, Raw, RawField};
use super::order::{self, OrderDraft};
use super::{PlanError, PlanOptions, Tables, Test};
use crate::ids::{NameId, RequirementId, TypeId};
use crate::model::Supergraph;
use crate::model::field_set::FieldSet;
use crate::plan::shape::{TypeSet, Wrap};
use apollo_compiler::Name;
use indexmap::{IndexMap, IndexSet};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::sync::Arc;

/// Most fields of all selection sets together.
const MAX_FIELDS: usize = 200_000;

/// Most visits of selections while collecting.
const MAX_VISITS: usize = 5_000_000;

/// Visits between two looks whether the run may go on.
const LOOK_EVERY: usize = 1024;

/// A selection set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SetId(pub u32);

/// An interned set of object types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TypesId(u32);

/// An interned field name with arguments: fields of one object with the same signature have the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Signature(u32);

/// The fields wanted of the objects at one response path.
#[derive(Clone, Debug)]
pub(super) struct SelectionSet {
    /// Object types that may stand here.
    pub types: TypesId,
    /// In the order of their first appearance.
    pub fields: Vec<SelectedField>,
    /// Types whose objects have them in another order.
    pub orders: Vec<OrderDraft>,
}

/// One field of a selection set.
#[derive(Clone, Debug)]
pub(super) struct SelectedField {
    /// Response key.
    pub key: Name,
    /// Field name.
    pub name: Name,
    /// Its number.
    pub name_id: NameId,
    /// Name and arguments.
    pub signature: Signature,
    /// Object types it applies to.
    pub types: TypesId,
    /// When it is included, given that the selection set is there.
    pub guard: Guard,
    /// Its lists and nullability.
    pub wrap: Wrap,
    /// Its named type.
    pub named: TypeId,
    /// What is selected of it.
    pub below: Option<SetId>,
    /// Deferred fragments without which it is not selected, given that the selection set is there.
    pub deferred: Guard,
    /// It is not fetched, for whoever asks must not see it.
    pub denied: Option<Denied>,
    /// Only who knows the objects' types can give it (`ambiguity`).
    pub is_ambiguous: bool,
}

impl SelectedField {
    /// Whether it is `__typename`.
    pub fn is_typename(&self) -> bool {
        self.name_id == NameId::TYPENAME
    }

    /// Whether it is the same as another, whatever is selected of them.
    pub fn is_same_but_below(&self, other: &Self) -> bool {
        let parts = |field: &Self| (field.signature, field.types, field.guard, field.wrap, field.named, field.deferred);
        parts(self) == parts(other)
            && self.key == other.key
            && self.denied.is_some() == other.denied.is_some()
            && self.is_ambiguous == other.is_ambiguous
    }

    /// What choosing who gives it looks at.
    pub fn wanted(&self) -> Wanted {
        Wanted { name_id: self.name_id, signature: self.signature, below: self.below, is_ambiguous: self.is_ambiguous }
    }

    /// Whether a subgraph has to give it.
    pub fn is_fetched(&self) -> bool {
        !matches!(self.name_id, NameId::TYPENAME | NameId::UNKNOWN) && self.denied.is_none()
    }
}

/// What choosing who gives a field looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Number of the field's name.
    pub name_id: NameId,
    /// Name and arguments.
    pub signature: Signature,
    /// What is selected of it.
    pub below: Option<SetId>,
    /// Only who knows the objects' types can give it (`ambiguity`).
    pub is_ambiguous: bool,
}

/// Name, arguments and variables of a signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// Field name.
    pub name: Name,
    /// Its number.
    pub name_id: NameId,
    /// Arguments as text.
    pub arguments: Arc<str>,
    /// Variables in the arguments.
    pub variables: Arc<[Name]>,
}

/// The selection sets of one planning run.
pub(super) struct Selections<'a> {
    /// The supergraph.
    pub supergraph: &'a Supergraph,
    /// All conditions.
    pub guards: Guards,
    names: &'a Names,
    lists: Lists,
    asked: &'a PlanOptions,
    sets: Vec<SelectionSet>,
    types: IndexSet<TypeSet, FxBuildHasher>,
    calls: IndexSet<Call, FxBuildHasher>,
    narrowed: FxHashMap<(TypesId, TypeId), TypesId>,
    field_sets: FxHashMap<(usize, TypeId), SetId>,
    budget: Budget,
}

#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    fields: usize,
    visits: usize,
    bytes: usize,
}

/// Where a selection set's selections come from: lists, each under a condition.
type Sources = Vec<(ListId, Guard)>;

/// One appearance of a field.
pub(super) struct Appearance<'l> {
    pub field: &'l RawField,
    pub types: TypesId,
    pub guard: Guard,
    /// Its number among all appearances, in document order.
    pub place: usize,
}

/// Every field of a selection set with its appearances, by response key.
pub(super) type Appearances<'l> = IndexMap<&'l Name, Vec<Appearance<'l>>, FxBuildHasher>;

/// A selection set that is still to be collected.
struct Open {
    id: SetId,
    named: TypeId,
    sources: Sources,
    depth: usize,
}

impl<'a> Selections<'a> {
    /// An arena with the lists of an operation, for someone with these options.
    pub fn new((supergraph, tables): (&'a Supergraph, &'a Tables), lists: Arc<Lists>, asked: &'a PlanOptions) -> Self {
        Self {
            supergraph,
            guards: Guards::default(),
            names: &tables.names,
            lists: Lists::over(lists),
            asked,
            sets: Vec::new(),
            types: IndexSet::default(),
            calls: IndexSet::default(),
            narrowed: FxHashMap::default(),
            field_sets: FxHashMap::default(),
            budget: Budget::default(),
        }
    }

    /// Notes that so many bytes are kept, and looks whether the run may go on.
    ///
    /// # Errors
    /// It needs too much, or was stopped.
    pub fn spend(&mut self, bytes: usize) -> Result<(), PlanError> {
        self.budget.bytes = self.budget.bytes.saturating_add(bytes);
        if self.budget.bytes > self.asked.limits.memory {
            return Err(PlanError::TooLarge);
        }
        self.go_on()
    }

    /// Looks whether the run may go on.
    ///
    /// # Errors
    /// It was stopped.
    pub fn go_on(&self) -> Result<(), PlanError> {
        if self.asked.pace.is_stopped() { Err(PlanError::Stopped) } else { Ok(()) }
    }

    /// Whether the run must end with what it has.
    pub fn is_hurrying(&self) -> bool {
        self.asked.pace.is_hurrying()
    }

    /// What the run may try.
    pub fn states(&self) -> usize {
        self.asked.limits.states
    }

    fn denied(&self) -> &'a FxHashSet<RequirementId> {
        &self.asked.denied
    }

    /// The selection set with this id.
    pub fn set(&self, id: SetId) -> &SelectionSet {
        static NOTHING: SelectionSet = SelectionSet { types: TypesId(u32::MAX), fields: Vec::new(), orders: Vec::new() };
        self.sets.get(id.0 as usize).unwrap_or(&NOTHING)
    }

    /// The selection sets so far, in the order in which they were collected.
    pub fn ids(&self) -> impl Iterator<Item = SetId> + use<> {
        (0..u32::try_from(self.sets.len()).unwrap_or(u32::MAX)).map(SetId)
    }

    /// Field `index` of a selection set.
    pub fn field(&self, set: SetId, index: usize) -> Option<&SelectedField> {
        self.set(set).fields.get(index)
    }

    /// The same, to be changed.
    pub fn field_mut(&mut self, set: SetId, index: usize) -> Option<&mut SelectedField> {
        self.sets.get_mut(set.0 as usize)?.fields.get_mut(index)
    }

    /// The object types of an interned set.
    pub fn types(&self, id: TypesId) -> &TypeSet {
        static NOTHING: TypeSet = TypeSet::empty();
        self.types.get_index(id.0 as usize).unwrap_or(&NOTHING)
    }

    /// The name and arguments of a signature.
    pub fn call(&self, signature: Signature) -> Option<&Call> {
        self.calls.get_index(signature.0 as usize)
    }

    /// All names with arguments so far.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    /// Interns a set of object types.
    pub fn intern(&mut self, types: TypeSet) -> TypesId {
        let (index, _) = self.types.insert_full(types);
        TypesId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Collects the selection set of an operation's root, and all below.
    pub fn collect_root(&mut self, root: TypeId, list: ListId) -> Result<SetId, PlanError> {
        let set = self.collect(root, vec![(list, ALWAYS)])?;
        if !self.denied().is_empty() {
            denied::prune(&mut self.sets);
        }
        Ok(set)
    }

    /// The selection set of a field set on objects of one type; the same field set is collected once.
    pub fn field_set(&mut self, set: &Arc<FieldSet>, on: TypeId) -> Result<SetId, PlanError> {
        let key = (Arc::as_ptr(set) as usize, on);
        if let Some(id) = self.field_sets.get(&key) {
            return Ok(*id);
        }
        let list = self.lists.add_field_set(self.supergraph, set);
        let id = self.collect(on, vec![(list, ALWAYS)])?;
        self.field_sets.insert(key, id);
        Ok(id)
    }

    /// Whether two selection sets name the same field with different arguments, here or below.
    pub fn differ(&self, first: SetId, second: SetId) -> bool {
        self.set(first).fields.iter().any(|a| {
            self.set(second).fields.iter().filter(|b| b.name_id == a.name_id).any(|b| {
                a.signature != b.signature || matches!((a.below, b.below), (Some(a), Some(b)) if a != b && self.differ(a, b))
            })
        })
    }

    /// A selection set with some of the fields of another.
    pub fn part(&mut self, whole: SetId, fields: &[usize]) -> SetId {
        let set = self.set(whole);
        let types = set.types;
        let fields = fields.iter().filter_map(|index| set.fields.get(*index).cloned()).collect();
        self.sets.push(SelectionSet { types, fields, orders: Vec::new() });
        SetId(u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX))
    }

    /// A selection set with some of the fields of another, and other selection sets below them.
    ///
    /// # Errors
    /// It is one too many.
    pub fn restricted(&mut self, whole: SetId, fields: &[(usize, Option<SetId>)]) -> Result<SetId, PlanError> {
        self.spend(fields.len() * size_of::<SelectedField>())?;
        let places: Vec<usize> = fields.iter().map(|(index, _)| *index).collect();
        let id = self.part(whole, &places);
        if let Some(set) = self.sets.get_mut(id.0 as usize) {
            set.fields.iter_mut().zip(fields).for_each(|(field, (_, below))| field.below = *below);
        }
        Ok(id)
    }

    /// Takes the tests of deferred fragments out of the guards of all fields so far; those that are active defer the fields.
    pub fn take_deferred(&mut self, is_active: impl Fn(&Test) -> bool) {
        let is_deferring = |test: &Test| test.variable.starts_with(MARK);
        for field in self.sets.iter_mut().flat_map(|set| &mut set.fields) {
            field.deferred = self.guards.only(field.guard, |test| is_deferring(test) && is_active(test));
            field.guard = self.guards.only(field.guard, |test| !is_deferring(test));
        }
    }

    fn collect(&mut self, named: TypeId, sources: Sources) -> Result<SetId, PlanError> {
        let lists = std::mem::take(&mut self.lists);
        let collected = self.collect_from(&lists, named, sources);
        self.lists = lists;
        collected
    }

    fn collect_from(&mut self, lists: &Lists, named: TypeId, sources: Sources) -> Result<SetId, PlanError> {
        let first = self.reserve(named);
        let mut open = vec![Open { id: first, named, sources, depth: 0 }];
        while let Some(next) = open.pop() {
            if next.depth > MAX_DEPTH {
                return Err(PlanError::TooDeep);
            }
            let types = self.set(next.id).types;
            let appearances = self.appearances(lists, types, &next.sources)?;
            let fields = self.merge(next.named, &appearances, next.depth, &mut open)?;
            let orders = order::orders(self, types, &appearances, &fields);
            self.budget.fields += fields.len();
            if self.budget.fields > MAX_FIELDS {
                return Err(PlanError::TooLarge);
            }
            self.spend(fields.len() * size_of::<SelectedField>())?;
            if let Some(set) = self.sets.get_mut(next.id.0 as usize) {
                (set.fields, set.orders) = (fields, orders);
            }
        }
        Ok(first)
    }

    fn reserve(&mut self, named: TypeId) -> SetId {
        let types = self.intern(self.supergraph.get_type(named).possible.clone());
        self.sets.push(SelectionSet { types, fields: Vec::new(), orders: Vec::new() });
        SetId(u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX))
    }

    /// Every field of the sources with its types and condition, in document order, by response key.
    fn appearances<'l>(&mut self, lists: &'l Lists, types: TypesId, sources: &Sources) -> Result<Appearances<'l>, PlanError> {
        let mut found = Appearances::default();
        let mut visited = FxHashSet::default();
        // A stack instead of recursion: fragments may be nested as deep as the client likes.
        let mut stack: Vec<(ListId, usize, TypesId, Guard)> = Vec::new();
        for (list, guard) in sources.iter().rev() {
            stack.push((*list, 0, types, *guard));
        }
        while let Some((list, index, types, guard)) = stack.pop() {
            let Some(selection) = lists.get(list).get(index) else { continue };
            stack.push((list, index + 1, types, guard));
            self.budget.visits += 1;
            if self.budget.visits > MAX_VISITS {
                return Err(PlanError::TooLarge);
            }
            if self.budget.visits.is_multiple_of(LOOK_EVERY) {
                self.go_on()?;
            }
            match selection {
                Raw::Field(field, tests) => {
                    if let Some(guard) = self.guards.and_tests(guard, tests) {
                        let place = self.budget.visits;
                        found.entry(&field.key).or_default().push(Appearance { field, types, guard, place });
                    }
                }
                Raw::Fragment { on, tests, below } => {
                    let types = on.map_or(types, |on| self.narrow(types, on));
                    let Some(guard) = self.guards.and_tests(guard, tests) else { continue };
                    let seen = visited.contains(&(*below, types, ALWAYS)) || !visited.insert((*below, types, guard));
                    if !seen && !self.types(types).is_empty() {
                        stack.push((*below, 0, types, guard));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Object types of `types` that are possible for `on`.
    fn narrow(&mut self, types: TypesId, on: TypeId) -> TypesId {
        if let Some(id) = self.narrowed.get(&(types, on)) {
            return *id;
        }
        let possible = &self.supergraph.get_type(on).possible;
        let kept = self.types(types).iter().filter(|id| possible.contains(*id)).collect();
        let id = self.intern(TypeSet::new(kept));
        self.narrowed.insert((types, on), id);
        id
    }
}
