//! Constant values as a supergraph writes them, decided once when everything is merged: subgraphs may give an enum value where a
//! custom scalar takes it, or a string where an enum or a number is meant.
//!
//! Relies on `merged`; runs after the merge and before `print` and `tree`.

use super::merged::{Kind, Map, Merged, Set};
use super::values::text;
use apollo_compiler::ast::{Directive, DirectiveDefinition, IntValue, Type, Value};
use apollo_compiler::{Name, Node};

/// Normalises every default and every argument of an application, and sorts types and directives by name.
pub(crate) fn normalise(merged: &mut Merged) {
    merged.types.sort_unstable_keys();
    merged.directives.sort_unstable_keys();
    let expected = Expected::new(merged);
    for directive in &mut merged.applied {
        expected.application(directive);
    }
    for definition in merged.directives.values_mut() {
        if definition.arguments.iter().any(|argument| argument.default_value.is_some() || !argument.directives.is_empty()) {
            expected.definition(definition.make_mut());
        }
    }
    for ty in merged.types.values_mut() {
        ty.applied.iter_mut().for_each(|directive| expected.application(directive));
        for field in ty.fields.values_mut() {
            expected.default(&mut field.default, &field.ty);
            field.applied.iter_mut().for_each(|directive| expected.application(directive));
            for argument in field.arguments.values_mut() {
                expected.default(&mut argument.default, &argument.ty);
                argument.applied.iter_mut().for_each(|directive| expected.application(directive));
            }
        }
        for value in ty.values.values_mut() {
            value.applied.iter_mut().for_each(|directive| expected.application(directive));
        }
    }
}

/// What decides how a value is written: enums, input objects and the arguments of directives.
struct Expected {
    enums: Map<Name, Set<Name>>,
    inputs: Map<Name, Map<Name, Type>>,
    directives: Map<Name, Map<Name, Type>>,
}

impl Expected {
    fn new(merged: &Merged) -> Self {
        let of_kind = |kind| merged.types.iter().filter(move |(_, ty)| ty.kind == kind);
        let fields =
            |ty: &super::merged::MergedType| ty.fields.iter().map(|(name, field)| (name.clone(), field.ty.clone())).collect();
        let arguments = |definition: &Node<DirectiveDefinition>| {
            definition.arguments.iter().map(|argument| (argument.name.clone(), argument.ty.as_ref().clone())).collect()
        };
        Self {
            enums: of_kind(Kind::Enum).map(|(name, ty)| (name.clone(), ty.values.keys().cloned().collect())).collect(),
            inputs: of_kind(Kind::Input).map(|(name, ty)| (name.clone(), fields(ty))).collect(),
            directives: merged.directives.iter().map(|(name, definition)| (name.clone(), arguments(definition))).collect(),
        }
    }

    fn default(&self, default: &mut Option<Node<Value>>, ty: &Type) {
        if let Some(changed) = default.as_ref().and_then(|value| self.value(value, Some(ty))) {
            *default = Some(changed);
        }
    }

    fn definition(&self, definition: &mut DirectiveDefinition) {
        for argument in &mut definition.arguments {
            let argument = argument.make_mut();
            self.default(&mut argument.default_value, &argument.ty);
            argument.directives.0.iter_mut().for_each(|directive| self.application(directive));
        }
    }

    /// `@join__directive` names values of the graph enum, which is not among the merged types, beside free data.
    fn application(&self, directive: &mut Node<Directive>) {
        let types = self.directives.get(&directive.name);
        let is_joined = directive.name == "join__directive";
        let changed = |argument: &Name, value: &Node<Value>| {
            if is_joined && argument == "graphs" { None } else { self.value(value, types.and_then(|types| types.get(argument))) }
        };
        if directive.arguments.iter().all(|argument| changed(&argument.name, &argument.value).is_none()) {
            return;
        }
        for argument in &mut directive.make_mut().arguments {
            if let Some(value) = changed(&argument.name, &argument.value) {
                argument.make_mut().value = value;
            }
        }
    }

    /// The value as it is written where `ty` is expected, if that is another one. Recursion is bounded by the depth that the
    /// parser allows.
    fn value(&self, value: &Node<Value>, ty: Option<&Type>) -> Option<Node<Value>> {
        match value.as_ref() {
            Value::Enum(_) | Value::String(_) => self.text(value, ty.map(Type::inner_named_type)),
            Value::List(items) => {
                let item_type = match ty {
                    Some(Type::List(item) | Type::NonNullList(item)) => Some(item.as_ref()),
                    _ => None,
                };
                let changed: Vec<Option<Node<Value>>> = items.iter().map(|item| self.value(item, item_type)).collect();
                let is_changed = changed.iter().any(Option::is_some);
                let items = items.iter().zip(changed).map(|(item, changed)| changed.unwrap_or_else(|| item.clone()));
                is_changed.then(|| Node::new(Value::List(items.collect())))
            }
            Value::Object(fields) => {
                let input = ty.and_then(|ty| self.inputs.get(ty.inner_named_type()));
                let field_type = |name: &Name| input.and_then(|input| input.get(name));
                let changed: Vec<Option<Node<Value>>> =
                    fields.iter().map(|(name, field)| self.value(field, field_type(name))).collect();
                let is_changed = changed.iter().any(Option::is_some);
                let fields = fields.iter().zip(changed);
                let fields = fields.map(|((name, field), changed)| (name.clone(), changed.unwrap_or_else(|| field.clone())));
                is_changed.then(|| Node::new(Value::Object(fields.collect())))
            }
            _ => None,
        }
    }

    /// An enum value stays bare only where an enum with that value is expected, and is a string elsewhere; a whole number given
    /// as a string to an `ID` is written as a number.
    fn text(&self, value: &Value, expected: Option<&Name>) -> Option<Node<Value>> {
        let text = text(value)?;
        let in_enum = expected.and_then(|name| self.enums.get(name)).and_then(|values| values.get(text));
        match (in_enum, value) {
            (Some(_), Value::Enum(_)) => None,
            (Some(name), _) => Some(Node::new(Value::Enum(name.clone()))),
            (None, Value::Enum(_)) => Some(Node::new(Value::String(text.to_owned()))),
            (None, _) => {
                integer(text).filter(|_| expected.is_some_and(|name| name == "ID")).map(|int| Node::new(Value::Int(int)))
            }
        }
    }
}

/// The number that a text is, when writing it as a number keeps every digit.
fn integer(text: &str) -> Option<IntValue> {
    let int = IntValue::from(text.parse::<i32>().ok()?);
    (int.as_str() == text).then_some(int)
}
