//! An operation as the planner takes it: names resolved, constant directives applied, fragments kept as references.
//!
//! Relies on the parser crate's validated documents; relied on by `selections`, which collects the fields of each selection set
//! per object type, and by the gateway, which makes one per request document.
//! Spec: <https://spec.graphql.org/September2025/#sec-Executing-Operations>

use super::defer::MARK;
use super::{OperationKind, Test};
use crate::ids::{RequirementId, TypeId};
use crate::model::Supergraph;
use crate::model::field_set::{FieldSet, Selection as SetSelection};
use apollo_compiler::ast::Value;
use apollo_compiler::executable::{self, Directive, OperationType, Selection};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node};
use rustc_hash::{FxHashMap, FxHasher};
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// Deepest nesting of fields. Planning recurses as deep as the operation, so this bounds its stack.
pub const MAX_DEPTH: usize = 200;

/// What an operation is refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationError {
    /// The document has no operation of that name, or several and no name was given.
    NotFound,
    /// Selections are nested too deep.
    TooDeep,
}

/// One operation of a document.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its kind.
    pub kind: OperationKind,
    /// Its name.
    pub name: Option<Box<str>>,
    /// The variables that it declares.
    pub variables: Vec<Variable>,
    /// What it asks of whoever runs it, each requirement once.
    pub requirements: Vec<RequirementId>,
    /// Its selections and those of the fragments that it reaches.
    pub(super) lists: Arc<Lists>,
    /// The list of the operation itself.
    pub(super) root: ListId,
    /// Fragments that may be deferred, where `@defer` is kept.
    pub(super) defers: Vec<DeferUse>,
}

/// A fragment with `@defer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferUse {
    /// Its label.
    pub label: Option<Box<str>>,
    /// The variable without which it is not deferred.
    pub condition: Option<Box<str>>,
}

/// A declared variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name, without `$`.
    pub name: Box<str>,
    /// Its type as text.
    pub ty: String,
    /// Its default value as text.
    pub default: Option<String>,
}

/// A list of selections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ListId(u32);

/// Selections by list.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    /// Those of an operation, below those that are added while it is planned.
    base: Option<Arc<Lists>>,
    own: Vec<Vec<Raw>>,
}

/// One selection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Raw {
    /// A field, included when all tests hold.
    Field(RawField, Vec<Test>),
    /// A fragment, inline or named: its selections count on objects of type `on`, when all tests hold.
    Fragment { on: Option<TypeId>, tests: Vec<Test>, below: ListId },
}

/// A field as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RawField {
    /// Response key.
    pub key: Name,
    /// Field name.
    pub name: Name,
    /// Arguments as text in the order of their names, with parentheses; empty without arguments.
    pub arguments: Arc<str>,
    /// Variables in the arguments.
    pub variables: Arc<[Name]>,
    /// What it asks of whoever selects it.
    pub requirement: Option<RequirementId>,
    /// What is selected below.
    pub below: Option<ListId>,
}

impl Operation {
    /// The operation called `name` (or the only one) of a document that is valid for the client schema of `supergraph`.
    ///
    /// # Errors
    /// If there is no such operation, or it is nested too deep.
    pub fn new(
        supergraph: &Supergraph,
        document: &Valid<ExecutableDocument>,
        name: Option<&str>,
    ) -> Result<Self, OperationError> {
        Self::lower(supergraph, document, name, false)
    }

    /// The same with its `@defer`, for a document that is valid for [`Supergraph::client_with_defer`]: what fragments with it select may be
    /// delivered later. [`Operation::new`] takes no notice of it.
    ///
    /// # Errors
    /// As [`Operation::new`].
    pub fn with_defer(
        supergraph: &Supergraph,
        document: &Valid<ExecutableDocument>,
        name: Option<&str>,
    ) -> Result<Self, OperationError> {
        Self::lower(supergraph, document, name, true)
    }

    /// The variables that decide what is deferred, each once.
    #[must_use]
    pub fn defer_variables(&self) -> Vec<&str> {
        let mut variables: Vec<&str> = self.defers.iter().filter_map(|used| used.condition.as_deref()).collect();
        variables.sort_unstable();
        variables.dedup();
        variables
    }

    fn lower(
        supergraph: &Supergraph,
        document: &Valid<ExecutableDocument>,
        name: Option<&str>,
        keeps_defer: bool,
    ) -> Result<Self, OperationError> {
        let operation = document.operations.get(name).map_err(|_| OperationError::NotFound)?;
        let mut lowering = Lowering {
            supergraph,
            document,
            lists: Lists::default(),
            fragments: FxHashMap::default(),
            hashed: FxHashMap::default(),
            requirements: Vec::new(),
            defers: keeps_defer.then(Vec::new),
        };
        let root = lowering.list(&operation.selection_set, 0)?;
        lowering.lists.own.shrink_to_fit();
        Ok(Self {
            kind: match operation.operation_type {
                OperationType::Query => OperationKind::Query,
                OperationType::Mutation => OperationKind::Mutation,
                OperationType::Subscription => OperationKind::Subscription,
            },
            name: operation.name.as_ref().map(|name| name.as_str().into()),
            variables: operation.variables.iter().map(|variable| Variable::new(variable)).collect(),
            requirements: lowering.requirements,
            lists: Arc::new(lowering.lists),
            root,
            defers: lowering.defers.unwrap_or_default(),
        })
    }
}

impl Variable {
    fn new(variable: &executable::VariableDefinition) -> Self {
        Self {
            name: variable.name.as_str().into(),
            ty: variable.ty.to_string(),
            default: variable.default_value.as_ref().map(|value| value.serialize().no_indent().to_string()),
        }
    }
}

impl Lists {
    /// The selections of a list.
    pub fn get(&self, id: ListId) -> &[Raw] {
        let base = self.base.as_ref().map_or(&[][..], |base| &base.own);
        let index = id.0 as usize;
        base.get(index).or_else(|| self.own.get(index.checked_sub(base.len())?)).map_or(&[], Vec::as_slice)
    }

    /// The lists, without those below them.
    pub fn own(&self) -> &Vec<Vec<Raw>> {
        &self.own
    }

    /// The lists of an operation, to which more are added.
    pub fn over(base: Arc<Self>) -> Self {
        Self { base: Some(base), own: Vec::new() }
    }

    /// A copy of a field set as a list; its depth is bounded where supergraphs are read.
    pub fn add_field_set(&mut self, supergraph: &Supergraph, set: &FieldSet) -> ListId {
        let mut list = Vec::new();
        for selection in &set.selections {
            list.push(match selection {
                SetSelection::Typename => Raw::Field(RawField::typename(), Vec::new()),
                SetSelection::Field { field, arguments, below } => {
                    let name = supergraph.field(*field).name.clone();
                    let (arguments, variables) = print_arguments(arguments.iter().map(|(name, value)| (name, value)));
                    let below = (!below.selections.is_empty()).then(|| self.add_field_set(supergraph, below));
                    Raw::Field(RawField { key: name.clone(), name, arguments, variables, requirement: None, below }, Vec::new())
                }
                SetSelection::Fragment { on, below } => {
                    let below = self.add_field_set(supergraph, below);
                    Raw::Fragment { on: Some(*on), tests: Vec::new(), below }
                }
            });
        }
        self.push(list)
    }

    fn push(&mut self, list: Vec<Raw>) -> ListId {
        self.own.push(list);
        let below = self.base.as_ref().map_or(0, |base| base.own.len());
        ListId(u32::try_from(below + self.own.len() - 1).unwrap_or(u32::MAX))
    }
}

impl RawField {
    fn typename() -> Self {
        let name = Name::new_static_unchecked("__typename");
        Self { key: name.clone(), name, arguments: Arc::default(), variables: Arc::default(), requirement: None, below: None }
    }
}

/// Turns a document's selections into lists.
struct Lowering<'a> {
    supergraph: &'a Supergraph,
    document: &'a ExecutableDocument,
    lists: Lists,
    fragments: FxHashMap<&'a Name, ListId>,
    /// Lists by the hash of their selections.
    hashed: FxHashMap<u64, Vec<ListId>>,
    requirements: Vec<RequirementId>,
    /// Fragments with `@defer`, where it is kept.
    defers: Option<Vec<DeferUse>>,
}

impl<'a> Lowering<'a> {
    fn list(&mut self, set: &'a executable::SelectionSet, depth: usize) -> Result<ListId, OperationError> {
        let list = self.selections(set, depth)?;
        let mut hasher = FxHasher::default();
        list.hash(&mut hasher);
        // Equal lists are one, so that fields with equal selections on several types can be seen to be alike.
        let same = self.hashed.entry(hasher.finish()).or_default();
        if let Some(known) = same.iter().find(|known| self.lists.get(**known) == list) {
            return Ok(*known);
        }
        let id = self.lists.push(list);
        same.push(id);
        Ok(id)
    }

    fn selections(&mut self, set: &'a executable::SelectionSet, depth: usize) -> Result<Vec<Raw>, OperationError> {
        if depth > MAX_DEPTH {
            return Err(OperationError::TooDeep);
        }
        let mut list = Vec::with_capacity(set.selections.len());
        for selection in &set.selections {
            let Some(mut tests) = tests(selection.directives()) else { continue };
            if let Some(directive) = selection.directives().get("defer") {
                tests.extend(self.deferring(directive));
            }
            list.push(match selection {
                Selection::Field(field) => Raw::Field(self.field(&set.ty, field, depth)?, tests),
                Selection::InlineFragment(fragment) => {
                    let on = fragment.type_condition.as_ref().and_then(|name| self.supergraph.type_named(name));
                    Raw::Fragment { on, tests, below: self.list(&fragment.selection_set, depth + 1)? }
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.document.fragments.get(&spread.fragment_name) else { continue };
                    let on = self.supergraph.type_named(fragment.type_condition());
                    let below = match self.fragments.get(&fragment.name) {
                        Some(list) => *list,
                        None => self.fragment(fragment, depth)?,
                    };
                    Raw::Fragment { on, tests, below }
                }
            });
        }
        Ok(list)
    }

    /// The test that stands for a deferred fragment; `None` where it is not deferred.
    fn deferring(&mut self, directive: &Directive) -> Option<Test> {
        let defers = self.defers.as_mut()?;
        let condition = match directive.specified_argument_by_name("if").map(|value| &**value) {
            Some(Value::Boolean(false)) => return None,
            Some(Value::Variable(variable)) => Some(variable.as_str().into()),
            _ => None,
        };
        let label = directive.specified_argument_by_name("label").and_then(|value| value.as_str()).map(Into::into);
        defers.push(DeferUse { label, condition });
        Some(Test { variable: format!("{MARK}{}", defers.len() - 1).into(), is: true })
    }

    fn fragment(&mut self, fragment: &'a executable::Fragment, depth: usize) -> Result<ListId, OperationError> {
        let list = self.list(&fragment.selection_set, depth + 1)?;
        self.fragments.insert(&fragment.name, list);
        Ok(list)
    }

    fn field(&mut self, parent: &Name, field: &'a executable::Field, depth: usize) -> Result<RawField, OperationError> {
        let arguments = field.arguments.iter().map(|argument| (&argument.name, &argument.value));
        let (arguments, variables) = print_arguments(arguments);
        let below =
            if field.selection_set.selections.is_empty() { None } else { Some(self.list(&field.selection_set, depth + 1)?) };
        let (key, requirement) = (field.response_key().clone(), self.requirement(parent, &field.name));
        Ok(RawField { key, name: field.name.clone(), arguments, variables, requirement, below })
    }

    /// What a field asks of whoever selects it. `__typename` says of what type an object is, so it asks what the type asks; the
    /// schema itself is for everybody.
    fn requirement(&mut self, parent: &Name, field: &Name) -> Option<RequirementId> {
        let access = &self.supergraph.access;
        if access.is_empty() {
            return None;
        }
        let parent = self.supergraph.type_named(parent)?;
        let requirement = match field.as_str() {
            "__typename" => access.of_type(parent),
            "__schema" | "__type" => None,
            name => access.of_field(self.supergraph.field_of(parent, name)?),
        }?;
        if !self.requirements.contains(&requirement) {
            self.requirements.push(requirement);
        }
        Some(requirement)
    }
}

/// The tests of `@skip` and `@include`; `None` if a constant excludes the selection.
fn tests(directives: &[Node<Directive>]) -> Option<Vec<Test>> {
    let mut tests = Vec::new();
    for directive in directives {
        let wanted = match directive.name.as_str() {
            "include" => true,
            "skip" => false,
            _ => continue,
        };
        match directive.specified_argument_by_name("if").map(|value| &**value) {
            Some(Value::Boolean(value)) if *value != wanted => return None,
            Some(Value::Variable(variable)) => tests.push(Test { variable: variable.as_str().into(), is: wanted }),
            _ => {}
        }
    }
    Some(tests)
}

/// Arguments as canonical text, and the variables in them.
fn print_arguments<'a>(arguments: impl Iterator<Item = (&'a Name, &'a Node<Value>)>) -> (Arc<str>, Arc<[Name]>) {
    let mut arguments: Vec<_> = arguments.collect();
    if arguments.is_empty() {
        // Without anything they share what takes no memory.
        return (Arc::default(), Arc::default());
    }
    arguments.sort_by(|a, b| a.0.cmp(b.0));
    let (mut text, mut variables) = (String::new(), Vec::new());
    for (index, (name, value)) in arguments.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{name}: {}", if index == 0 { "(" } else { ", " }, value.serialize().no_indent());
        collect_variables(value, &mut variables);
    }
    text.push(')');
    (text.into(), variables.into())
}

/// The variables in a value, without recursion.
fn collect_variables(value: &Node<Value>, into: &mut Vec<Name>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match &**value {
            Value::Variable(name) if !into.contains(name) => into.push(name.clone()),
            Value::List(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.iter().map(|(_, value)| value)),
            _ => {}
        }
    }
}
