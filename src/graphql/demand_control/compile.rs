//! From an operation to the formula of its cost.
//!
//! Every field costs what it or its type weighs, plus what is selected below it, for each item of its lists; plus its
//! arguments. Of the object types that may stand somewhere the dearest counts. Fields that merge count once.
//! Cost: the operation's selections times the object types that they meet, each combination once, up to [`MAX_WORK`]; what takes
//! more is as dear as can be. Relied on by `demand_control`.

use apollo_compiler::{
    ExecutableDocument, Name, Node,
    ast::Value,
    executable::{Directive, Field, Operation, OperationType, Selection, SelectionSet},
};
use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use supergraph::{
    ids::TypeId,
    model::{self, Supergraph},
    plan::Test,
};

use super::{
    formula::{Count, Formula, Given, Part, PartId, Size, SizeId},
    weights::{ListSize, Weights, whole},
};

/// What a mutation costs by itself.
const MUTATION: i64 = 10;

/// Most steps of compiling one operation.
const MAX_WORK: usize = 1_000_000;

/// What operations are measured by.
#[derive(Clone, Copy)]
pub struct Scale<'a> {
    /// The types.
    pub supergraph: &'a Supergraph,
    /// What they cost.
    pub weights: &'a Weights,
    /// Items of a list of which nothing is known.
    pub list_size: i64,
}

/// The formula of an operation.
pub fn compile(scale: Scale<'_>, document: &ExecutableDocument, operation: &Operation) -> Formula {
    let (formula, known) = (Formula::default(), FxHashMap::default());
    let mut compiler = Compiler { scale, document, formula, known, work: 0 };
    let own = if operation.operation_type == OperationType::Mutation { MUTATION } else { 0 };
    let root = scale.supergraph.type_named(operation.object_type());
    let below = root.map(|root| compiler.set(&[&operation.selection_set], root, None));
    let mut parts = vec![compiler.formula.add(Part::Constant(own))];
    parts.extend(below);
    if compiler.work > MAX_WORK {
        parts = vec![compiler.formula.add(Part::Constant(i64::MAX))];
    }
    let sum = compiler.formula.add(Part::Sum(parts));
    compiler.formula.with_root(sum)
}

/// A size that the field above gives to lists below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sized {
    size: SizeId,
    fields: Vec<Box<str>>,
}

/// Selection sets by their places in memory, the object type, and the size from above.
type Known = FxHashMap<(Vec<usize>, TypeId, Option<Sized>), PartId>;

struct Compiler<'a> {
    scale: Scale<'a>,
    document: &'a ExecutableDocument,
    formula: Formula,
    known: Known,
    work: usize,
}

/// A field with the tests that it is selected under, and the type that it is selected on.
struct Appearance<'a> {
    field: &'a Field,
    parent: &'a Name,
    tests: Vec<Test>,
}

impl<'a> Compiler<'a> {
    /// Selection sets on an object of this type.
    fn set(&mut self, sources: &[&'a SelectionSet], object: TypeId, sized: Option<&Sized>) -> PartId {
        let mut places: Vec<usize> = sources.iter().map(|set| std::ptr::from_ref(*set).addr()).collect();
        places.sort_unstable();
        places.dedup();
        let key = (places, object, sized.cloned());
        if let Some(part) = self.known.get(&key) {
            return *part;
        }
        let mut parts = Vec::new();
        for appearances in self.fields(sources, object).into_values() {
            if self.work > MAX_WORK {
                break;
            }
            parts.extend(self.field(&appearances, object, sized));
        }
        let part = self.formula.add(Part::Sum(parts));
        self.known.insert(key, part);
        part
    }

    /// The fields of selection sets on an object type by response key.
    fn fields(&mut self, sources: &[&'a SelectionSet], object: TypeId) -> IndexMap<&'a Name, Vec<Appearance<'a>>, FxBuildHasher> {
        let mut found: IndexMap<&'a Name, Vec<Appearance<'a>>, FxBuildHasher> = IndexMap::default();
        let mut visited = FxHashSet::default();
        let mut open: Vec<(&'a SelectionSet, Vec<Test>)> = sources.iter().map(|set| (*set, Vec::new())).collect();
        while let Some((set, outer)) = open.pop() {
            for selection in &set.selections {
                self.work += 1;
                let Some(tests) = tests(selection.directives(), &outer) else { continue };
                let (condition, below) = match selection {
                    Selection::Field(field) => {
                        let appearance = Appearance { field, parent: &set.ty, tests };
                        found.entry(field.response_key()).or_default().push(appearance);
                        continue;
                    }
                    Selection::InlineFragment(fragment) => (fragment.type_condition.as_ref(), &fragment.selection_set),
                    Selection::FragmentSpread(spread) => {
                        let Some(fragment) = self.document.fragments.get(&spread.fragment_name) else { continue };
                        (Some(fragment.type_condition()), &fragment.selection_set)
                    }
                };
                let applies = condition.is_none_or(|on| self.is_possible(on, object));
                if applies && self.work <= MAX_WORK && visited.insert((std::ptr::from_ref(below).addr(), tests.clone())) {
                    open.push((below, tests));
                }
            }
        }
        found
    }

    fn is_possible(&self, on: &Name, object: TypeId) -> bool {
        let supergraph = self.scale.supergraph;
        supergraph.type_named(on).is_some_and(|on| supergraph.get_type(on).possible.contains(object))
    }

    /// One field of an object, in all its appearances.
    fn field(&mut self, appearances: &[Appearance<'a>], object: TypeId, sized: Option<&Sized>) -> Option<PartId> {
        let Scale { supergraph, weights, .. } = self.scale;
        let first = appearances.first()?;
        let id = supergraph.field_of(object, &first.field.name)?;
        let definition = supergraph.field(id);
        let stated = supergraph.type_named(first.parent).and_then(|parent| supergraph.field_of(parent, &first.field.name));
        let list = weights.list_size(id).or_else(|| weights.list_size(stated?));
        let own_size = list.map(|list| self.size(list, first.field, definition));
        let own = weights.of_field(id).unwrap_or_else(|| weights.of_type(supergraph, definition.ty.named));
        let mut parts = vec![self.formula.add(Part::Constant(own))];
        let below: Vec<&SelectionSet> = appearances.iter().map(|appearance| &appearance.field.selection_set).collect();
        if below.iter().any(|set| !set.selections.is_empty()) {
            let fields = list.map(|list| list.sized.clone()).filter(|fields| !fields.is_empty());
            let passed = own_size.zip(fields).map(|(size, fields)| Sized { size, fields });
            parts.push(self.below(&below, definition.ty.named, passed.as_ref()));
        }
        let mut part = self.formula.add(Part::Sum(parts));
        if definition.ty.wrap.lists > 0 {
            let is_sized = |sized: &&Sized| sized.fields.iter().any(|name| **name == *first.field.name);
            let sizes = sized.filter(is_sized).map(|sized| sized.size).into_iter().chain(own_size).collect();
            part = self.formula.add(Part::Times(Count { sizes, default: self.scale.list_size }, part));
        }
        let mut parts = vec![part];
        parts.extend(own_size.map(|size| self.formula.add(Part::Known(size))));
        for argument in &first.field.arguments {
            let Some(declared) = definition.arguments.get(&argument.name) else { continue };
            let weight = weights.of_argument(id, &argument.name);
            parts.push(self.input(&argument.value, declared.ty.named, weight));
        }
        let part = self.formula.add(Part::Sum(parts));
        let mut any: Vec<Vec<Test>> = appearances.iter().map(|appearance| appearance.tests.clone()).collect();
        any.dedup();
        let is_always = any.iter().any(Vec::is_empty);
        Some(if is_always { part } else { self.formula.add(Part::When(any, part)) })
    }

    /// What is selected of values of a type: the dearest object that it may be.
    fn below(&mut self, sources: &[&'a SelectionSet], named: TypeId, sized: Option<&Sized>) -> PartId {
        let supergraph = self.scale.supergraph;
        let mut parts = Vec::new();
        for object in supergraph.get_type(named).possible.iter() {
            self.work += 1;
            if !supergraph.get_type(object).inaccessible && self.work <= MAX_WORK {
                parts.push(self.set(sources, object, sized));
            }
        }
        parts.sort_unstable();
        parts.dedup();
        self.formula.add(Part::Max(parts))
    }

    /// The size that a field's `@listSize` gives with these arguments.
    fn size(&mut self, list: &ListSize, field: &Field, definition: &model::Field) -> SizeId {
        let (mut given, mut default) = (Vec::new(), None);
        for name in &list.slicing {
            let argument = field.arguments.iter().find(|argument| argument.name == **name);
            match argument.map(|argument| &*argument.value) {
                Some(Value::Variable(variable)) => given.push(Given::Variable(variable.clone())),
                Some(value) => given.extend(whole(value).map(Given::Literal)),
                None => {
                    let declared = definition.arguments.get(&**name).and_then(|argument| argument.default.as_ref());
                    default = default.max(declared.and_then(|value| whole(value)));
                }
            }
        }
        let parent = &self.scale.supergraph.get_type(definition.parent).name;
        self.formula.add_size(Size {
            given,
            default,
            assumed: list.assumed,
            requires_one: list.requires_one && !list.slicing.is_empty(),
            field: format!("`{parent}.{}`", field.name).into(),
        })
    }

    /// An argument, or a part of one. Values are no deeper than the parser lets them be.
    fn input(&mut self, value: &Value, ty: TypeId, weight: Option<i64>) -> PartId {
        let Scale { supergraph, weights, .. } = self.scale;
        self.work += 1;
        let own = weight.unwrap_or_else(|| weights.of_type(supergraph, ty));
        match value {
            Value::Null => self.formula.add(Part::Constant(0)),
            Value::Variable(variable) => self.formula.add(Part::Input { variable: variable.clone(), ty, weight }),
            Value::List(items) => {
                let mut parts = vec![self.formula.add(Part::Constant(weight.unwrap_or(0)))];
                parts.extend(items.iter().map(|item| self.input(item, ty, None)).collect::<Vec<_>>());
                self.formula.add(Part::Sum(parts))
            }
            Value::Object(fields) => {
                let mut parts = vec![self.formula.add(Part::Constant(own))];
                for (name, value) in fields {
                    let Some(input) = supergraph.get_type(ty).inputs.get(name) else { continue };
                    let weight = weights.of_input(ty, name);
                    parts.push(self.input(value, input.ty.named, weight));
                }
                self.formula.add(Part::Sum(parts))
            }
            _ => self.formula.add(Part::Constant(own)),
        }
    }
}

/// The tests of `@skip` and `@include` after those further out; `None` if a constant excludes the selection.
fn tests(directives: &[Node<Directive>], outer: &[Test]) -> Option<Vec<Test>> {
    let mut tests = outer.to_vec();
    for directive in directives {
        let wanted = match directive.name.as_str() {
            "include" => true,
            "skip" => false,
            _ => continue,
        };
        match directive.specified_argument_by_name("if").map(|value| &**value) {
            Some(Value::Boolean(value)) if *value != wanted => return None,
            Some(Value::Variable(variable)) => {
                let test = Test { variable: variable.as_str().into(), is: wanted };
                if !tests.contains(&test) {
                    tests.push(test);
                }
            }
            _ => {}
        }
    }
    tests.sort_unstable();
    Some(tests)
}
