//! The meta types of introspection: what each of their fields is for an element of a schema.
//!
//! Relied on by `introspection`. Spec: <https://spec.graphql.org/September2025/#sec-Schema-Introspection.Schema-Introspection-Schema>

use std::borrow::Cow;

use apollo_compiler::{
    Name, Node, Schema,
    ast::{Directive, Type},
    collections::IndexSet,
    schema::{ComponentName, DirectiveDefinition, EnumValueDefinition, ExtendedType, FieldDefinition, InputValueDefinition},
};

use super::Introspector;

/// An element of a schema.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta<'a> {
    /// The schema itself.
    Schema,
    /// A named type.
    Type(&'a ExtendedType),
    /// A list, or what is not null; without the latter when that was looked at already.
    Wrapped { ty: &'a Type, is_open: bool },
    /// A field.
    Field(&'a FieldDefinition),
    /// An argument, or a field of an input object.
    Input(&'a InputValueDefinition),
    /// A value of an enum.
    EnumValue(&'a EnumValueDefinition),
    /// A directive.
    Directive(&'a DirectiveDefinition),
}

/// The value of a field.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    Null,
    Boolean(bool),
    Text(Cow<'a, str>),
    Names(Vec<&'static str>),
    One(Meta<'a>),
    Many(Vec<Meta<'a>>),
}

/// The directives of the specification, which are listed after a schema's own.
const BUILT_IN: [&str; 5] = ["include", "skip", "deprecated", "specifiedBy", "oneOf"];

/// The schema with what is prepared of it.
type View<'a> = (&'a Schema, &'a Introspector);

impl<'a> Meta<'a> {
    /// The value of the field `name`; documents are valid, so it is one of the meta type's.
    pub(super) fn field(self, name: &str, includes_deprecated: bool, view: View<'a>) -> Answer<'a> {
        match self {
            Self::Schema => of_schema(name, view),
            Self::Type(ty) => of_type(ty, name, includes_deprecated, view),
            Self::Wrapped { ty, is_open } => of_wrapped(ty, is_open, name, view.0),
            Self::Field(field) => match name {
                "__typename" => known("__Field"),
                "name" => Answer::Text(field.name.as_str().into()),
                "description" => text(field.description.as_deref()),
                "args" => inputs(field.arguments.iter().map(|input| &**input), includes_deprecated),
                "type" => named(&field.ty, view.0),
                _ => deprecation(field.directives.get("deprecated"), name, view.0),
            },
            Self::Input(input) => match name {
                "__typename" => known("__InputValue"),
                "name" => Answer::Text(input.name.as_str().into()),
                "description" => text(input.description.as_deref()),
                "type" => named(&input.ty, view.0),
                "defaultValue" => match &input.default_value {
                    Some(value) => Answer::Text(value.serialize().no_indent().to_string().into()),
                    None => Answer::Null,
                },
                _ => deprecation(input.directives.get("deprecated"), name, view.0),
            },
            Self::EnumValue(value) => match name {
                "__typename" => known("__EnumValue"),
                "name" => Answer::Text(value.value.as_str().into()),
                "description" => text(value.description.as_deref()),
                _ => deprecation(value.directives.get("deprecated"), name, view.0),
            },
            Self::Directive(directive) => of_directive(directive, name, includes_deprecated),
        }
    }
}

/// All types of a schema: its own in the order of the schema, each followed by the built-in scalars that it is the first to use, then
/// the meta types. That is the order of the reference implementation: the specification has none, and files in repositories do.
pub(super) fn in_order(schema: &Schema) -> Vec<Name> {
    let mut found: IndexSet<&Name> = IndexSet::default();
    for ty in schema.types.values().filter(|ty| !ty.is_built_in()) {
        found.insert(ty.name());
        found.extend(uses(ty).into_iter().filter(|name| schema.get_scalar(name).is_some_and(|scalar| scalar.is_built_in())));
    }
    let arguments = schema.directive_definitions.values().flat_map(|directive| &directive.arguments);
    found.extend(arguments.map(|argument| argument.ty.inner_named_type()));
    found.extend(schema.types.keys());
    found.into_iter().filter(|name| schema.types.contains_key(*name)).cloned().collect()
}

/// The types of a type's fields and their arguments.
fn uses(ty: &ExtendedType) -> Vec<&Name> {
    let fields = match ty {
        ExtendedType::Object(object) => &object.fields,
        ExtendedType::Interface(interface) => &interface.fields,
        ExtendedType::InputObject(input) => return input.fields.values().map(|field| field.ty.inner_named_type()).collect(),
        _ => return Vec::new(),
    };
    let mut names = Vec::new();
    for field in fields.values() {
        names.push(field.ty.inner_named_type());
        names.extend(field.arguments.iter().map(|argument| argument.ty.inner_named_type()));
    }
    names
}

fn of_schema<'a>(name: &str, (schema, introspector): View<'a>) -> Answer<'a> {
    let root = |name: &'a Option<ComponentName>| {
        name.as_ref().and_then(|name| schema.types.get(&name.name)).map_or(Answer::Null, |ty| Answer::One(Meta::Type(ty)))
    };
    match name {
        "__typename" => known("__Schema"),
        "description" => text(schema.schema_definition.description.as_deref()),
        "types" => types(&introspector.types, schema),
        "queryType" => root(&schema.schema_definition.query),
        "mutationType" => root(&schema.schema_definition.mutation),
        "subscriptionType" => root(&schema.schema_definition.subscription),
        "directives" => {
            let is_built_in = |directive: &&Node<DirectiveDefinition>| BUILT_IN.contains(&directive.name.as_str());
            let (built_in, own): (Vec<_>, Vec<_>) = schema.directive_definitions.values().partition(is_built_in);
            Answer::Many(own.into_iter().chain(built_in).map(|directive| Meta::Directive(directive)).collect())
        }
        _ => Answer::Null,
    }
}

fn of_type<'a>(ty: &'a ExtendedType, name: &str, includes_deprecated: bool, view: View<'a>) -> Answer<'a> {
    match name {
        "__typename" => known("__Type"),
        "kind" => known(match ty {
            ExtendedType::Scalar(_) => "SCALAR",
            ExtendedType::Object(_) => "OBJECT",
            ExtendedType::Interface(_) => "INTERFACE",
            ExtendedType::Union(_) => "UNION",
            ExtendedType::Enum(_) => "ENUM",
            ExtendedType::InputObject(_) => "INPUT_OBJECT",
        }),
        "name" => Answer::Text(ty.name().as_str().into()),
        "description" => text(ty.description().map(|description| &**description)),
        "specifiedByURL" => specified_by(ty),
        "fields" | "interfaces" => of_composite(ty, name, includes_deprecated, view.0),
        "possibleTypes" => match ty {
            ExtendedType::Interface(interface) => {
                types(view.1.possible.get(&interface.name).map_or(&[][..], Vec::as_slice), view.0)
            }
            ExtendedType::Union(union) => types(union.members.iter().map(|member| &member.name), view.0),
            _ => Answer::Null,
        },
        "enumValues" => match ty {
            ExtendedType::Enum(ty) => {
                let shown = ty.values.values().filter(|value| includes_deprecated || !value.directives.has("deprecated"));
                Answer::Many(shown.map(|value| Meta::EnumValue(value)).collect())
            }
            _ => Answer::Null,
        },
        "inputFields" => match ty {
            ExtendedType::InputObject(input) => inputs(input.fields.values().map(|input| &***input), includes_deprecated),
            _ => Answer::Null,
        },
        "isOneOf" => match ty {
            ExtendedType::InputObject(input) => Answer::Boolean(input.directives.has("oneOf")),
            _ => Answer::Null,
        },
        _ => Answer::Null,
    }
}

/// The fields of objects and interfaces that other types have not.
fn of_composite<'a>(ty: &'a ExtendedType, name: &str, includes_deprecated: bool, schema: &'a Schema) -> Answer<'a> {
    let (fields, interfaces) = match ty {
        ExtendedType::Object(object) => (&object.fields, &object.implements_interfaces),
        ExtendedType::Interface(interface) => (&interface.fields, &interface.implements_interfaces),
        _ => return Answer::Null,
    };
    if name == "interfaces" {
        return types(interfaces.iter().map(|interface| &interface.name), schema);
    }
    let shown = fields.values().filter(|field| includes_deprecated || !field.directives.has("deprecated"));
    Answer::Many(shown.map(|field| Meta::Field(field)).collect())
}

fn of_wrapped<'a>(ty: &'a Type, is_open: bool, name: &str, schema: &'a Schema) -> Answer<'a> {
    let is_required = ty.is_non_null() && !is_open;
    match name {
        "__typename" => known("__Type"),
        "kind" => known(if is_required { "NON_NULL" } else { "LIST" }),
        "ofType" => match ty {
            Type::NonNullList(_) if is_required => Answer::One(Meta::Wrapped { ty, is_open: true }),
            Type::List(item) | Type::NonNullList(item) => named(item, schema),
            Type::Named(inner) | Type::NonNullNamed(inner) => one(inner, schema),
        },
        _ => Answer::Null,
    }
}

fn of_directive<'a>(directive: &'a DirectiveDefinition, name: &str, includes_deprecated: bool) -> Answer<'a> {
    match name {
        "__typename" => known("__Directive"),
        "name" => Answer::Text(directive.name.as_str().into()),
        "description" => text(directive.description.as_deref()),
        "isRepeatable" => Answer::Boolean(directive.repeatable),
        "locations" => {
            // The parser crate has no name for the place where the draft lets this one stand, too.
            let newer = (directive.name == "deprecated").then_some("DIRECTIVE_DEFINITION");
            Answer::Names(directive.locations.iter().map(|location| location.name()).chain(newer).collect())
        }
        "args" => inputs(directive.arguments.iter().map(|input| &**input), includes_deprecated),
        // What is read has no syntax for that.
        "isDeprecated" => Answer::Boolean(false),
        _ => Answer::Null,
    }
}

fn known(name: &'static str) -> Answer<'static> {
    Answer::Text(name.into())
}

fn text(text: Option<&str>) -> Answer<'_> {
    text.map_or(Answer::Null, |text| Answer::Text(text.into()))
}

fn one<'a>(name: &Name, schema: &'a Schema) -> Answer<'a> {
    schema.types.get(name).map_or(Answer::Null, |ty| Answer::One(Meta::Type(ty)))
}

/// A type as it stands at a field or argument.
fn named<'a>(ty: &'a Type, schema: &'a Schema) -> Answer<'a> {
    match ty {
        Type::Named(name) => one(name, schema),
        _ => Answer::One(Meta::Wrapped { ty, is_open: false }),
    }
}

fn types<'a, 'n>(names: impl IntoIterator<Item = &'n Name>, schema: &'a Schema) -> Answer<'a> {
    Answer::Many(names.into_iter().filter_map(|name| schema.types.get(name)).map(Meta::Type).collect())
}

fn inputs<'a>(inputs: impl Iterator<Item = &'a InputValueDefinition>, includes_deprecated: bool) -> Answer<'a> {
    Answer::Many(inputs.filter(|input| includes_deprecated || !input.directives.has("deprecated")).map(Meta::Input).collect())
}

fn specified_by(ty: &ExtendedType) -> Answer<'_> {
    let ExtendedType::Scalar(scalar) = ty else { return Answer::Null };
    let url = scalar.directives.get("specifiedBy").and_then(|directive| directive.specified_argument_by_name("url"));
    text(url.and_then(|url| url.as_str()))
}

fn deprecation<'a>(directive: Option<&'a Node<Directive>>, name: &str, schema: &'a Schema) -> Answer<'a> {
    match name {
        "isDeprecated" => Answer::Boolean(directive.is_some()),
        _ => text(
            directive.and_then(|directive| directive.argument_by_name("reason", schema).ok()).and_then(|reason| reason.as_str()),
        ),
    }
}
