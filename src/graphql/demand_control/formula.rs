//! Formula: what an operation costs as a graph of sums and products in which only variables are open.
//!
//! Input: variables. Output: a cost, and whether it can be told at all. Cost: every part is evaluated once, however often it is
//! used; sums and products saturate. Example: `users(first: $n) { name }` is `$n × (1 + 0)`.

use apollo_compiler::{
    Name,
    response::{JsonMap, JsonValue},
};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use supergraph::{ids::TypeId, model::Supergraph, plan::Test};

use super::weights::Weights;

/// A part of a formula.
pub type PartId = usize;
/// A size in a formula.
pub type SizeId = usize;

/// One part of a formula. Parts that it is made of stand before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Known.
    Constant(i64),
    /// All of them.
    Sum(Vec<PartId>),
    /// The dearest of them.
    Max(Vec<PartId>),
    /// Nothing, but the size must be known.
    Known(SizeId),
    /// Each item of a list.
    Times(Count, PartId),
    /// Nothing, unless all tests of an alternative hold.
    When(Vec<Vec<Test>>, PartId),
    /// The value of a variable as an argument.
    Input {
        /// Without `$`.
        variable: Name,
        /// The argument's type inside its lists.
        ty: TypeId,
        /// What the argument says that it costs.
        weight: Option<i64>,
    },
}

/// How many items a list has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Count {
    /// The first of these that is known.
    pub sizes: Vec<SizeId>,
    /// If none is.
    pub default: i64,
}

/// A size as `@listSize` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Slicing arguments in the operation.
    pub given: Vec<Given>,
    /// The largest default of the slicing arguments that are not given.
    pub default: Option<i64>,
    /// If no slicing argument says it.
    pub assumed: Option<i64>,
    /// Whether exactly one slicing argument must be given.
    pub requires_one: bool,
    /// The field, for people.
    pub field: Box<str>,
}

/// The value of a slicing argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Given {
    /// In the document.
    Literal(i64),
    /// Of this variable.
    Variable(Name),
}

/// What an operation costs, but for its variables.
#[derive(Clone, Debug, Default)]
pub struct Formula {
    parts: IndexSet<Part, FxBuildHasher>,
    sizes: IndexSet<Size, FxBuildHasher>,
    root: PartId,
}

/// What variables are priced by.
#[derive(Clone, Copy, Debug)]
pub struct Pricing<'a> {
    /// The types.
    pub supergraph: &'a Supergraph,
    /// What they cost.
    pub weights: &'a Weights,
}

/// An estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The cost; where it cannot be told, what is known of it.
    pub cost: u64,
    /// Why it cannot be told.
    pub fault: Option<String>,
}

/// The value of a part, and the size that is not known in it.
type Value = (i64, Option<SizeId>);

impl Formula {
    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        let below = |part: &Part| match part {
            Part::Sum(parts) | Part::Max(parts) => size_of_val(&**parts),
            Part::When(alternatives, _) => {
                alternatives.iter().map(|tests| size_of_val(tests) + size_of_val(&**tests)).sum::<usize>()
            }
            Part::Times(count, _) => size_of_val(&*count.sizes),
            Part::Constant(_) | Part::Known(_) | Part::Input { .. } => 0,
        };
        // A set keeps a hash and a place beside each.
        let parts: usize = self.parts.iter().map(|part| size_of::<Part>() + 2 * size_of::<usize>() + below(part)).sum();
        let sizes = self
            .sizes
            .iter()
            .map(|size| size_of::<Size>() + 2 * size_of::<usize>() + size_of_val(&*size.given) + size.field.len());
        parts + sizes.sum::<usize>()
    }

    /// Adds a part, or finds it; what can be known already is.
    pub fn add(&mut self, part: Part) -> PartId {
        let part = self.folded(part);
        self.parts.insert_full(part).0
    }

    /// Adds a size, or finds it.
    pub fn add_size(&mut self, size: Size) -> SizeId {
        self.sizes.insert_full(size).0
    }

    /// The same, for this part.
    #[must_use]
    pub fn with_root(mut self, root: PartId) -> Self {
        self.root = root;
        if let Some(Part::Constant(_)) = self.parts.get_index(root) {
            // Nothing else is needed, and formulas are kept.
            self.parts = self.parts.get_index(root).into_iter().cloned().collect();
            (self.root, self.sizes) = (0, IndexSet::default());
        }
        self
    }

    fn constant(&self, part: PartId) -> Option<i64> {
        match self.parts.get_index(part) {
            Some(Part::Constant(value)) => Some(*value),
            _ => None,
        }
    }

    fn folded(&self, part: Part) -> Part {
        let known = match &part {
            Part::Known(size) => self.constant_count(&Count { sizes: vec![*size], default: 0 }).map(|_| 0),
            Part::Sum(parts) => parts.iter().try_fold(0_i64, |sum, part| Some(sum.saturating_add(self.constant(*part)?))),
            Part::Max(parts) => parts.iter().map(|part| self.constant(*part)).collect::<Option<Vec<_>>>().map(largest),
            Part::Times(count, part) => self.constant(*part).zip(self.constant_count(count)).map(|(a, b)| a.saturating_mul(b)),
            _ => None,
        };
        known.map_or(part, Part::Constant)
    }

    fn constant_count(&self, count: &Count) -> Option<i64> {
        let sizes = count.sizes.iter().filter_map(|size| self.sizes.get_index(*size));
        let is_literal = |size: &Size| size.given.iter().all(|given| matches!(given, Given::Literal(_)));
        if !sizes.clone().all(is_literal) {
            return None;
        }
        self.count(count, &JsonMap::new()).ok()
    }

    /// The cost with these variables.
    pub fn evaluate(&self, pricing: &Pricing<'_>, variables: &JsonMap) -> Estimate {
        let mut values: Vec<Value> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let value = self.value(part, &values, pricing, variables);
            values.push(value);
        }
        let (cost, fault) = values.get(self.root).copied().unwrap_or_default();
        let fault = fault.and_then(|size| self.sizes.get_index(size)).map(|size| {
            format!("Exactly one of the slicing arguments of {} must be given for its cost to be known.", size.field)
        });
        Estimate { cost: u64::try_from(cost).unwrap_or(0), fault }
    }

    fn value(&self, part: &Part, known: &[Value], pricing: &Pricing<'_>, variables: &JsonMap) -> Value {
        let of = |part: &PartId| known.get(*part).copied().unwrap_or_default();
        match part {
            Part::Constant(value) => (*value, None),
            Part::Sum(parts) => parts.iter().map(of).fold((0, None), |(sum, fault), (value, other)| {
                let sum: i64 = sum;
                (sum.saturating_add(value), fault.or(other))
            }),
            Part::Max(parts) => {
                let fault = parts.iter().find_map(|part| of(part).1);
                (largest(parts.iter().map(|part| of(part).0).collect()), fault)
            }
            Part::Known(id) => {
                let is_known = self.sizes.get_index(*id).is_none_or(|size| size.known(variables).is_ok());
                (0, (!is_known).then_some(*id))
            }
            Part::Times(count, part) => {
                let (value, fault) = of(part);
                match self.count(count, variables) {
                    Ok(count) => (value.saturating_mul(count), fault),
                    Err(size) => (value.saturating_mul(count.default), fault.or(Some(size))),
                }
            }
            Part::When(any, part) => {
                if holds(any, variables) {
                    of(part)
                } else {
                    (0, None)
                }
            }
            Part::Input { variable, ty, weight } => {
                let value = variables.get(variable.as_str()).unwrap_or(&JsonValue::Null);
                (pricing.value(value, *ty, *weight), None)
            }
        }
    }

    /// The number of items, or the size that cannot be told.
    fn count(&self, count: &Count, variables: &JsonMap) -> Result<i64, SizeId> {
        for id in &count.sizes {
            let Some(size) = self.sizes.get_index(*id) else { continue };
            if let Some(known) = size.known(variables).map_err(|()| *id)? {
                return Ok(known);
            }
        }
        Ok(count.default)
    }
}

impl Size {
    /// The size, if anything says it.
    fn known(&self, variables: &JsonMap) -> Result<Option<i64>, ()> {
        let value = |given: &Given| match given {
            Given::Literal(value) => Some(*value),
            Given::Variable(name) => variables.get(name.as_str()).and_then(JsonValue::as_i64),
        };
        let given: Vec<i64> = self.given.iter().filter_map(value).collect();
        let is_one = given.len() == 1 || given.is_empty() && self.default.is_some();
        if self.requires_one && !is_one {
            return Err(());
        }
        Ok(given.into_iter().max().or(self.default).map(|size| size.max(0)).or(self.assumed))
    }
}

fn largest(values: Vec<i64>) -> i64 {
    values.into_iter().max().unwrap_or(0)
}

/// Whether all tests of an alternative hold.
fn holds(any: &[Vec<Test>], variables: &JsonMap) -> bool {
    let is_so = |test: &Test| variables.get(&*test.variable).and_then(JsonValue::as_bool) == Some(test.is);
    any.iter().any(|all| all.iter().all(is_so))
}

impl Pricing<'_> {
    /// What a value costs as an input. Values are no deeper than the JSON parser lets them be.
    pub fn value(&self, value: &JsonValue, ty: TypeId, weight: Option<i64>) -> i64 {
        let own = || weight.unwrap_or_else(|| self.weights.of_type(self.supergraph, ty));
        match value {
            JsonValue::Null => 0,
            JsonValue::Array(items) => {
                items.iter().map(|item| self.value(item, ty, None)).fold(weight.unwrap_or(0), i64::saturating_add)
            }
            JsonValue::Object(fields) => {
                let inputs = &self.supergraph.get_type(ty).inputs;
                let field = |(name, value): (&_, &JsonValue)| {
                    let name: &apollo_compiler::response::serde_json_bytes::ByteString = name;
                    let (name, input) = inputs.get_key_value(name.as_str())?;
                    Some(self.value(value, input.ty.named, self.weights.of_input(ty, name)))
                };
                fields.iter().filter_map(field).fold(own(), i64::saturating_add)
            }
            _ => own(),
        }
    }
}
