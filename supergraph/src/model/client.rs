//! The schema that clients see: the supergraph without join, link and feature elements and without everything `@inaccessible`.
//!
//! Relied on by reading (as a validated schema) and by composition (as SDL). Spec: <https://specs.apollo.dev/inaccessible/v0.2/>

use super::features::{DirectiveNames, Features};
use super::meta;
use crate::diagnostics::{Diagnostic, Level, Place};
use crate::document::{self, Fault};
use apollo_compiler::ast::{
    Definition, DirectiveDefinition, DirectiveList, DirectiveLocation, Document, EnumTypeDefinition, FieldDefinition,
    InputObjectTypeDefinition, InputValueDefinition, InterfaceTypeDefinition, ObjectTypeDefinition, ScalarTypeDefinition,
    SchemaDefinition, Type, UnionTypeDefinition, Value,
};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{Name, Node, Schema};
use rustc_hash::FxHashSet;

/// The client schema of a supergraph SDL, with what the specification has and the parser crate has not.
///
/// # Errors
/// What remains is not valid GraphQL.
pub fn client_schema(supergraph: &Document) -> Result<Valid<Schema>, Vec<Diagnostic>> {
    let mut client = client_document(supergraph);
    meta::define_one_of(&mut client);
    let builder = Schema::builder().adopt_orphan_extensions().ignore_builtin_redefinitions();
    let refused = |errors: &DiagnosticList| document::faults(errors).iter().map(invalid).collect::<Vec<_>>();
    let mut schema = builder.add_ast(&client).build().map_err(|failed| refused(&failed.errors))?;
    meta::complete(&mut schema);
    schema.validate().map_err(|failed| refused(&failed.errors))
}

fn invalid(fault: &Fault) -> Diagnostic {
    Diagnostic {
        code: super::read::INVALID,
        level: Level::Error,
        message: format!("The client schema of this supergraph is not valid: {}", fault.message),
        places: vec![Place { subgraph: None, at: None }],
    }
}

/// A client schema with the definition of `@defer`.
/// Spec: <https://github.com/graphql/graphql-spec/pull/742>
pub fn with_defer(client: &Valid<Schema>) -> Valid<Schema> {
    let argument = |name: &'static str, ty: Type, default_value| {
        let (name, ty) = (Name::new_static_unchecked(name), Node::new(ty));
        Node::new(InputValueDefinition { description: None, name, ty, default_value, directives: DirectiveList::new() })
    };
    let named = Name::new_static_unchecked;
    let mut schema = client.clone().into_inner();
    let definition = DirectiveDefinition {
        description: None,
        name: named("defer"),
        arguments: vec![
            argument("label", Type::Named(named("String")), None),
            argument("if", Type::NonNullNamed(named("Boolean")), Some(Node::new(Value::Boolean(true)))),
        ],
        repeatable: false,
        locations: vec![DirectiveLocation::FragmentSpread, DirectiveLocation::InlineFragment],
    };
    schema.directive_definitions.insert(named("defer"), Node::new(definition));
    Valid::assume_valid(schema)
}

/// The client schema of a supergraph SDL as a document, in the order of the SDL.
pub fn client_document(supergraph: &Document) -> Document {
    let features = Features::of(supergraph);
    let names = DirectiveNames::of(&features);
    let mut filter = Filter { features, names, hidden: FxHashSet::default() };
    let types = supergraph.definitions.iter().filter(|definition| !matches!(definition, Definition::DirectiveDefinition(_)));
    filter.hidden = types
        .filter(|definition| filter.names.hides(definition.directives()))
        .filter_map(|definition| definition.name().cloned())
        .collect();
    let mut document = Document::new();
    document.definitions = supergraph.definitions.iter().filter_map(|definition| filter.definition(definition)).collect();
    document
}

/// What a client must not see.
struct Filter {
    features: Features,
    names: DirectiveNames,
    hidden: FxHashSet<Name>,
}

impl Filter {
    fn definition(&self, definition: &Definition) -> Option<Definition> {
        if definition.name().is_some_and(|name| self.hides_definition(definition, name)) {
            return None;
        }
        Some(match definition {
            Definition::SchemaDefinition(d) => Definition::SchemaDefinition(Node::new(SchemaDefinition {
                directives: self.directives(&d.directives),
                root_operations: d.root_operations.iter().filter(|root| !self.hidden.contains(&root.1)).cloned().collect(),
                ..(**d).clone()
            })),
            Definition::DirectiveDefinition(d) => {
                let arguments = self.inputs(&d.arguments);
                Definition::DirectiveDefinition(Node::new(DirectiveDefinition { arguments, ..(**d).clone() }))
            }
            Definition::ObjectTypeDefinition(d) => Definition::ObjectTypeDefinition(Node::new(ObjectTypeDefinition {
                implements_interfaces: self.visible(&d.implements_interfaces),
                directives: self.directives(&d.directives),
                fields: self.fields(&d.fields),
                ..(**d).clone()
            })),
            Definition::InterfaceTypeDefinition(d) => Definition::InterfaceTypeDefinition(Node::new(InterfaceTypeDefinition {
                implements_interfaces: self.visible(&d.implements_interfaces),
                directives: self.directives(&d.directives),
                fields: self.fields(&d.fields),
                ..(**d).clone()
            })),
            Definition::UnionTypeDefinition(d) => Definition::UnionTypeDefinition(Node::new(UnionTypeDefinition {
                directives: self.directives(&d.directives),
                members: self.visible(&d.members),
                ..(**d).clone()
            })),
            other => return self.leaf_definition(other),
        })
    }

    fn leaf_definition(&self, definition: &Definition) -> Option<Definition> {
        Some(match definition {
            Definition::EnumTypeDefinition(d) => {
                let mut values = d.values.clone();
                values.retain(|value| !self.names.hides(&value.directives));
                for value in &mut values {
                    let directives = self.directives(&value.directives);
                    value.make_mut().directives = directives;
                }
                let directives = self.directives(&d.directives);
                Definition::EnumTypeDefinition(Node::new(EnumTypeDefinition { directives, values, ..(**d).clone() }))
            }
            Definition::InputObjectTypeDefinition(d) => {
                let (directives, fields) = (self.directives(&d.directives), self.inputs(&d.fields));
                let input = InputObjectTypeDefinition { directives, fields, ..(**d).clone() };
                Definition::InputObjectTypeDefinition(Node::new(input))
            }
            Definition::ScalarTypeDefinition(d) => {
                let directives = self.directives(&d.directives);
                Definition::ScalarTypeDefinition(Node::new(ScalarTypeDefinition { directives, ..(**d).clone() }))
            }
            // Extensions of a supergraph SDL only add links.
            _ => return None,
        })
    }

    fn hides_definition(&self, definition: &Definition, name: &Name) -> bool {
        match definition {
            Definition::DirectiveDefinition(_) => self.features.owns_directive(name),
            _ => self.features.owns_type(name) || self.hidden.contains(name),
        }
    }

    fn visible(&self, names: &[Name]) -> Vec<Name> {
        names.iter().filter(|name| !self.hidden.contains(*name)).cloned().collect()
    }

    /// Only the directives of GraphQL itself are for clients; all others of a supergraph come with a feature.
    fn directives(&self, directives: &DirectiveList) -> DirectiveList {
        let is_ours = |name: &Name| !self.features.owns_directive(name);
        DirectiveList(directives.iter().filter(|directive| is_ours(&directive.name)).cloned().collect())
    }

    fn fields(&self, fields: &[Node<FieldDefinition>]) -> Vec<Node<FieldDefinition>> {
        let visible = fields.iter().filter(|field| !self.names.hides(&field.directives));
        visible
            .map(|field| {
                let (arguments, directives) = (self.inputs(&field.arguments), self.directives(&field.directives));
                Node::new(FieldDefinition { arguments, directives, ..(**field).clone() })
            })
            .collect()
    }

    fn inputs(&self, inputs: &[Node<InputValueDefinition>]) -> Vec<Node<InputValueDefinition>> {
        let visible = inputs.iter().filter(|input| !self.names.hides(&input.directives));
        visible
            .map(|input| {
                let directives = self.directives(&input.directives);
                Node::new(InputValueDefinition { directives, ..(**input).clone() })
            })
            .collect()
    }
}
