//! The merged supergraph as a syntax tree, for the stages that read supergraphs: the same document that the printed SDL parses to,
//! without parsing a text that we just wrote.
//!
//! Relies on `merged`; `compose` relies on it. A test compares it with the parsed SDL for every case.

use super::merged::{Graph, JoinField, JoinType, Kind, Map, Merged, MergedArgument, MergedField, MergedType, MergedValue};
use super::values;
use crate::document::{self, Fault};
use apollo_compiler::ast::{
    Argument, Definition, Directive, DirectiveList, Document, EnumTypeDefinition, EnumValueDefinition, FieldDefinition,
    InputObjectTypeDefinition, InputValueDefinition, InterfaceTypeDefinition, ObjectTypeDefinition, ScalarTypeDefinition,
    UnionTypeDefinition, Value,
};
use apollo_compiler::{Name, Node, name};

/// Makes the document; `header` is the printed schema definition and the definitions of link and join.
///
/// # Errors
/// The header does not parse, which would be a fault of ours.
pub(crate) fn document(merged: &Merged, header: &str) -> Result<Document, Vec<Fault>> {
    let mut document = document::sdl(header, "supergraph")?;
    let builder = Builder::new(merged);
    document.definitions.extend(merged.directives.values().cloned().map(Definition::DirectiveDefinition));
    document.definitions.extend(merged.types.iter().map(|(name, ty)| builder.ty(name, ty)));
    Ok(document)
}

struct Builder {
    /// `graph: NAME` for each graph, shared by all applications.
    graphs: Vec<Node<Argument>>,
}

impl Builder {
    fn new(merged: &Merged) -> Self {
        let graph = |value: &Name| argument(name!("graph"), Value::Enum(value.clone()));
        Self { graphs: merged.graphs.iter().map(|name| graph(&name.value)).collect() }
    }

    fn ty(&self, name: &Name, ty: &MergedType) -> Definition {
        let (name, description) = (name.clone(), ty.description.clone());
        let directives = self.type_directives(ty);
        match ty.kind {
            Kind::Scalar => Definition::ScalarTypeDefinition(Node::new(ScalarTypeDefinition { description, name, directives })),
            Kind::Object => Definition::ObjectTypeDefinition(Node::new(ObjectTypeDefinition {
                description,
                name,
                directives,
                implements_interfaces: ty.interfaces.iter().cloned().collect(),
                fields: self.fields(&ty.fields),
            })),
            Kind::Interface => Definition::InterfaceTypeDefinition(Node::new(InterfaceTypeDefinition {
                description,
                name,
                directives,
                implements_interfaces: ty.interfaces.iter().cloned().collect(),
                fields: self.fields(&ty.fields),
            })),
            Kind::Union => {
                let members = ty.members.iter().cloned().collect();
                Definition::UnionTypeDefinition(Node::new(UnionTypeDefinition { description, name, directives, members }))
            }
            Kind::Enum => {
                let values = ty.values.iter().map(|(name, value)| self.enum_value(name, value)).collect();
                Definition::EnumTypeDefinition(Node::new(EnumTypeDefinition { description, name, directives, values }))
            }
            Kind::Input => {
                let fields = ty.fields.iter().map(|(name, field)| self.input_field(name, field)).collect();
                Definition::InputObjectTypeDefinition(Node::new(InputObjectTypeDefinition {
                    description,
                    name,
                    directives,
                    fields,
                }))
            }
        }
    }

    fn type_directives(&self, ty: &MergedType) -> DirectiveList {
        let mut directives = Vec::with_capacity(ty.implements.len() + ty.joins.len() + ty.member_joins.len() + ty.applied.len());
        for (graph, interface) in &ty.implements {
            let interface = argument(name!("interface"), Value::String(interface.to_string()));
            directives.push(self.join(name!("join__implements"), *graph, [interface]));
        }
        directives.extend(ty.joins.iter().map(|join| self.join_type(join)));
        for (graph, member) in &ty.member_joins {
            let member = argument(name!("member"), Value::String(member.to_string()));
            directives.push(self.join(name!("join__unionMember"), *graph, [member]));
        }
        directives.extend(ty.applied.iter().cloned());
        DirectiveList(directives)
    }

    fn join_type(&self, join: &JoinType) -> Node<Directive> {
        let mut arguments = Vec::new();
        arguments.extend(text(name!("key"), join.key.as_deref()));
        if join.is_extension {
            arguments.push(argument(name!("extension"), Value::Boolean(true)));
        }
        arguments.extend(join.resolvable.map(|resolvable| argument(name!("resolvable"), Value::Boolean(resolvable))));
        if join.is_interface_object {
            arguments.push(argument(name!("isInterfaceObject"), Value::Boolean(true)));
        }
        self.join(name!("join__type"), join.graph, arguments)
    }

    fn fields(&self, fields: &Map<Name, MergedField>) -> Vec<Node<FieldDefinition>> {
        let field = |(name, field): (&Name, &MergedField)| {
            Node::new(FieldDefinition {
                description: field.description.clone(),
                name: name.clone(),
                arguments: field.arguments.iter().map(|(name, argument)| self.argument(name, argument)).collect(),
                ty: field.ty.clone(),
                directives: self.field_directives(field),
            })
        };
        fields.iter().map(field).collect()
    }

    fn argument(&self, name: &Name, argument: &MergedArgument) -> Node<InputValueDefinition> {
        Node::new(InputValueDefinition {
            description: argument.description.clone(),
            name: name.clone(),
            ty: Node::new(argument.ty.clone()),
            default_value: argument.default.clone(),
            directives: DirectiveList(argument.applied.clone()),
        })
    }

    fn input_field(&self, name: &Name, field: &MergedField) -> Node<InputValueDefinition> {
        Node::new(InputValueDefinition {
            description: field.description.clone(),
            name: name.clone(),
            ty: Node::new(field.ty.clone()),
            default_value: field.default.clone(),
            directives: self.field_directives(field),
        })
    }

    fn enum_value(&self, name: &Name, value: &MergedValue) -> Node<EnumValueDefinition> {
        let mut directives: Vec<Node<Directive>> =
            value.joins.iter().map(|graph| self.join(name!("join__enumValue"), *graph, [])).collect();
        directives.extend(value.applied.iter().cloned());
        Node::new(EnumValueDefinition {
            description: value.description.clone(),
            value: name.clone(),
            directives: DirectiveList(directives),
        })
    }

    fn field_directives(&self, field: &MergedField) -> DirectiveList {
        let mut directives: Vec<Node<Directive>> = field.joins.iter().map(|join| self.join_field(join)).collect();
        directives.extend(field.applied.iter().cloned());
        DirectiveList(directives)
    }

    fn join_field(&self, join: &JoinField) -> Node<Directive> {
        let name = name!("join__field");
        let Some(graph) = join.graph else { return Node::new(Directive { name, arguments: Vec::new() }) };
        let mut arguments = Vec::new();
        arguments.extend(text(name!("requires"), join.requires.as_deref()));
        arguments.extend(text(name!("provides"), join.provides.as_deref()));
        arguments.extend(join.ty.as_ref().map(|ty| argument(name!("type"), Value::String(ty.to_string()))));
        if join.is_external {
            arguments.push(argument(name!("external"), Value::Boolean(true)));
        }
        arguments.extend(text(name!("override"), join.overrides.as_deref()));
        if join.is_used_overridden {
            arguments.push(argument(name!("usedOverridden"), Value::Boolean(true)));
        }
        arguments.extend(text(name!("overrideLabel"), join.override_label.as_deref()));
        if !join.context_arguments.is_empty() {
            let context_argument = |argument: &super::merged::ContextArgument| {
                Node::new(Value::Object(vec![
                    (name!("context"), values::string(argument.context.clone())),
                    (name!("name"), values::string(argument.name.to_string())),
                    (name!("type"), values::string(argument.ty.to_string())),
                    (name!("selection"), values::string(argument.selection.clone())),
                ]))
            };
            let list = join.context_arguments.iter().map(context_argument).collect();
            arguments.push(argument(name!("contextArguments"), Value::List(list)));
        }
        self.join(name, graph, arguments)
    }

    fn join(&self, name: Name, graph: Graph, more: impl IntoIterator<Item = Node<Argument>>) -> Node<Directive> {
        let arguments = self.graphs.get(graph).cloned().into_iter().chain(more).collect();
        Node::new(Directive { name, arguments })
    }
}

fn argument(name: Name, value: Value) -> Node<Argument> {
    Node::new(Argument { name, value: Node::new(value) })
}

fn text(name: Name, text: Option<&str>) -> Option<Node<Argument>> {
    text.map(|text| argument(name, Value::String(text.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::super::{Source, merge, print};
    use crate::{document, subgraph};
    use std::path::Path;

    fn sources(case: &Path) -> Vec<Source> {
        let files = std::fs::read_dir(case.join("subgraphs")).unwrap().map(|entry| entry.unwrap().path());
        let source = |file: std::path::PathBuf| Source {
            name: file.file_stem().unwrap().to_string_lossy().into_owned(),
            url: String::new(),
            sdl: std::fs::read_to_string(file).unwrap(),
        };
        files.map(source).collect()
    }

    #[test]
    fn the_tree_is_what_the_printed_sdl_parses_to() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
        let cases = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let mut compared = 0;
        for case in cases {
            let Ok(subgraphs) = subgraph::read_all(&sources(&case), document::Locations::Skip) else { continue };
            let Ok(outcome) = merge::merge(&subgraphs) else { continue };
            let mut tree = super::document(&outcome.merged, &print::header(&outcome.merged)).unwrap();
            let mut parsed = document::sdl(&print::print(&outcome.merged), "supergraph").unwrap();
            tree.definitions.sort_by_key(|definition| definition.to_string());
            parsed.definitions.sort_by_key(|definition| definition.to_string());
            assert_eq!(tree.to_string(), parsed.to_string(), "{}", case.display());
            compared += 1;
        }
        assert!(compared > 10, "too few cases: {compared}");
    }
}
