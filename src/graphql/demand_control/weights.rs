//! Weights: what `@cost` and `@listSize` say, as tables by id.
//!
//! Relied on by `compile` and `formula`. Spec: <https://specs.apollo.dev/cost/v0.1/>

use apollo_compiler::{
    Name,
    ast::{Directive, DirectiveList, Value},
};
use rustc_hash::FxHashMap;
use supergraph::{
    ids::{FieldId, TypeId},
    model::{Supergraph, TypeKind},
};

/// What fields, types and inputs cost where the schema says so, and how long lists are.
#[derive(Debug, Default)]
pub struct Weights {
    types: FxHashMap<TypeId, i64>,
    fields: FxHashMap<FieldId, i64>,
    arguments: FxHashMap<(FieldId, Name), i64>,
    inputs: FxHashMap<(TypeId, Name), i64>,
    lists: FxHashMap<FieldId, ListSize>,
}

/// `@listSize` of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSize {
    /// How long the list is unless an argument says so.
    pub assumed: Option<i64>,
    /// Arguments that say how long it is at most.
    pub slicing: Vec<Box<str>>,
    /// Fields below whose lists are meant.
    pub sized: Vec<Box<str>>,
    /// Whether exactly one of the slicing arguments must be given.
    pub requires_one: bool,
}

impl Weights {
    /// The weights of a supergraph.
    pub fn read(supergraph: &Supergraph) -> Self {
        let names = Names {
            cost: supergraph.features.directive("cost", "cost"),
            list_size: match supergraph.features.apollo("cost") {
                Some(_) => supergraph.features.directive("cost", "listSize"),
                None => "listSize".to_owned(),
            },
        };
        let mut weights = Self::default();
        for (id, ty) in supergraph.types.iter() {
            weights.types.extend(names.weight(&ty.directives).map(|weight| (id, weight)));
            for (name, input) in &ty.inputs {
                weights.inputs.extend(names.weight(&input.directives).map(|weight| ((id, name.clone()), weight)));
            }
        }
        for (id, field) in supergraph.fields.iter() {
            weights.fields.extend(names.weight(&field.directives).map(|weight| (id, weight)));
            weights.lists.extend(names.list_size(&field.directives).map(|list| (id, list)));
            for (name, argument) in &field.arguments {
                weights.arguments.extend(names.weight(&argument.directives).map(|weight| ((id, name.clone()), weight)));
            }
        }
        weights
    }

    /// What one value of this type costs: objects 1, leaves nothing, unless the type says otherwise.
    pub fn of_type(&self, supergraph: &Supergraph, id: TypeId) -> i64 {
        let usual = match supergraph.get_type(id).kind {
            TypeKind::Object | TypeKind::Interface | TypeKind::Union | TypeKind::Input => 1,
            TypeKind::Scalar | TypeKind::Enum => 0,
        };
        self.types.get(&id).copied().unwrap_or(usual)
    }

    /// What one value of a field costs, if the field says so.
    pub fn of_field(&self, id: FieldId) -> Option<i64> {
        self.fields.get(&id).copied()
    }

    /// What an argument costs, if it says so.
    pub fn of_argument(&self, field: FieldId, argument: &Name) -> Option<i64> {
        self.arguments.get(&(field, argument.clone())).copied()
    }

    /// What a field of an input object costs, if it says so.
    pub fn of_input(&self, ty: TypeId, field: &Name) -> Option<i64> {
        self.inputs.get(&(ty, field.clone())).copied()
    }

    /// How long a field's list is.
    pub fn list_size(&self, field: FieldId) -> Option<&ListSize> {
        self.lists.get(&field)
    }
}

/// What this supergraph calls the directives.
struct Names {
    cost: String,
    list_size: String,
}

impl Names {
    fn weight(&self, directives: &DirectiveList) -> Option<i64> {
        let directive = directives.get(&self.cost)?;
        directive.specified_argument_by_name("weight").and_then(|value| whole(value))
    }

    fn list_size(&self, directives: &DirectiveList) -> Option<ListSize> {
        let directive = directives.get(&self.list_size)?;
        Some(ListSize {
            assumed: directive.specified_argument_by_name("assumedSize").and_then(|value| whole(value)).map(|size| size.max(0)),
            slicing: texts(directive, "slicingArguments"),
            sized: texts(directive, "sizedFields"),
            requires_one: directive.specified_argument_by_name("requireOneSlicingArgument").is_none_or(|value| {
                // Null and whatever else is not `false` mean the default.
                !matches!(&**value, Value::Boolean(false))
            }),
        })
    }
}

/// A number, rounded up: IBM's specification writes weights as text, Apollo's as integers.
pub fn whole(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Int(number) => number.as_str().parse::<f64>().ok(),
        Value::Float(number) => number.as_str().parse::<f64>().ok(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    }?;
    // A cast from a floating number saturates.
    number.is_finite().then(|| number.ceil() as i64)
}

fn texts(directive: &Directive, argument: &str) -> Vec<Box<str>> {
    let list = directive.specified_argument_by_name(argument).map(|value| &**value);
    match list {
        Some(Value::List(items)) => items.iter().filter_map(|item| item.as_str()).map(Into::into).collect(),
        Some(Value::String(only)) => vec![only.as_str().into()],
        _ => Vec::new(),
    }
}
