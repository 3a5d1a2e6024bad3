//! The schema of one subgraph as far as a supergraph tells it: what an operation sent there must be valid for.
//!
//! Arguments, input fields and enum values are those that all subgraphs agree on, so the subgraph's own schema accepts at least
//! what this one does. Relied on by the check of fetch documents in `plan`; relies on the parser crate through `document`.
//! Spec: <https://specs.apollo.dev/join/v0.3/>

use super::{Field, FieldAt, Supergraph, Type, TypeKind, TypeRef};
use crate::document;
use crate::ids::{SubgraphId, TypeId};
use crate::plan::OperationKind;
use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use std::fmt::Write as _;

/// The schema of a subgraph. It is not validated: what a supergraph leaves out (an interface's fields in this subgraph, say) does
/// not matter for the operations on it.
pub(crate) fn subgraph_schema(supergraph: &Supergraph, subgraph: SubgraphId) -> Valid<Schema> {
    let text = sdl(supergraph, subgraph);
    let document = document::sdl_without_locations(&text).unwrap_or_default();
    Valid::assume_valid(document::schema(&document).0)
}

/// The same as SDL.
fn sdl(supergraph: &Supergraph, subgraph: SubgraphId) -> String {
    let mut printer = Printer { supergraph, subgraph, text: String::new() };
    let mut entities = Vec::new();
    for (id, ty) in supergraph.types.iter() {
        if ty.subgraphs.contains(subgraph) {
            printer.type_definition(id, ty);
            let at = ty.at(subgraph);
            let is_object = ty.kind == TypeKind::Object || ty.interface_object_in.contains(subgraph);
            if is_object && at.is_some_and(|at| !at.keys.is_empty()) {
                entities.push(ty.name.as_str());
            }
        }
    }
    printer.entities(&entities);
    printer.text
}

struct Printer<'a> {
    supergraph: &'a Supergraph,
    subgraph: SubgraphId,
    text: String,
}

impl Printer<'_> {
    fn type_definition(&mut self, id: TypeId, ty: &Type) {
        // Writing to a string cannot fail.
        let _ = match ty.kind {
            TypeKind::Scalar => writeln!(self.text, "scalar {}", ty.name),
            TypeKind::Enum => {
                let values = ty.values.iter().filter(|(_, value)| value.subgraphs.contains(self.subgraph));
                let values: Vec<&str> = values.map(|(name, _)| name.as_str()).collect();
                writeln!(self.text, "enum {} {{ {} }}", ty.name, values.join(" "))
            }
            TypeKind::Union => {
                let members = ty.at(self.subgraph).map(|at| &at.possible);
                let members = members.into_iter().flat_map(|members| members.iter());
                let members: Vec<&str> = members.map(|id| self.supergraph.get_type(id).name.as_str()).collect();
                writeln!(self.text, "union {} = {}", ty.name, members.join(" | "))
            }
            TypeKind::Input => {
                let fields = ty.inputs.iter().map(|(name, input)| {
                    let at = input.at.iter().find(|(subgraph, _)| *subgraph == self.subgraph).map_or(input.ty, |(_, ty)| *ty);
                    let default = input.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
                    format!("{name}: {}{default}", self.type_text(at))
                });
                let fields: Vec<String> = fields.collect();
                writeln!(self.text, "input {} {{ {} }}", ty.name, fields.join(" "))
            }
            TypeKind::Object | TypeKind::Interface => {
                self.fields_definition(id, ty);
                Ok(())
            }
        };
    }

    fn fields_definition(&mut self, id: TypeId, ty: &Type) {
        let is_interface = ty.kind == TypeKind::Interface && !ty.interface_object_in.contains(self.subgraph);
        let keyword = if is_interface { "interface" } else { "type" };
        let interfaces = ty.at(self.subgraph).map_or(&[][..], |at| &at.interfaces);
        let interfaces: Vec<&str> = interfaces.iter().map(|id| self.supergraph.get_type(*id).name.as_str()).collect();
        let implements = if interfaces.is_empty() { String::new() } else { format!(" implements {}", interfaces.join(" & ")) };
        // A query root always has `__typename`, also where the subgraph has only entities.
        let mut fields = String::new();
        for field in ty.fields.values().map(|field| self.supergraph.field(*field)) {
            if let Some(at) = field.at(self.subgraph) {
                let _ = write!(fields, " {}", self.field_definition(field, at));
            }
        }
        if self.supergraph.root(OperationKind::Query) == Some(id) && fields.is_empty() {
            fields.push_str(" _service: Boolean");
        }
        let _ = writeln!(self.text, "{keyword} {}{implements} {{{fields} }}", ty.name);
    }

    fn field_definition(&self, field: &Field, at: &FieldAt) -> String {
        let mut arguments: Vec<String> = Vec::new();
        for (name, argument) in &field.arguments {
            let default = argument.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            arguments.push(format!("{name}: {}{default}", self.type_text(argument.ty)));
        }
        let from_context = at.context_arguments.iter().filter(|argument| !field.arguments.contains_key(&argument.name));
        arguments.extend(from_context.map(|argument| format!("{}: {}", argument.name, argument.ty)));
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        format!("{}{arguments}: {}", field.name, self.type_text(at.ty))
    }

    fn type_text(&self, ty: TypeRef) -> String {
        let mut text = self.supergraph.get_type(ty.named).name.to_string();
        for lists in (0..=u32::from(ty.wrap.lists)).rev() {
            if ty.wrap.non_null.checked_shr(lists).is_some_and(|bits| bits & 1 == 1) {
                text.push('!');
            }
            if lists > 0 {
                text = format!("[{text}]");
            }
        }
        text
    }

    /// `_entities` at the query root.
    fn entities(&mut self, entities: &[&str]) {
        let query = self.supergraph.root(OperationKind::Query).map_or("Query", |id| &self.supergraph.get_type(id).name);
        let is_defined = self
            .supergraph
            .root(OperationKind::Query)
            .is_some_and(|id| self.supergraph.get_type(id).subgraphs.contains(self.subgraph));
        if !is_defined {
            let _ = writeln!(self.text, "type {query} {{ _service: Boolean }}");
        }
        if !entities.is_empty() {
            let _ = writeln!(self.text, "scalar _Any\nunion _Entity = {}", entities.join(" | "));
            let _ = writeln!(self.text, "extend type {query} {{ _entities(representations: [_Any!]!): [_Entity]! }}");
        }
        let roots = [(OperationKind::Mutation, "mutation"), (OperationKind::Subscription, "subscription")];
        let _ = write!(self.text, "schema {{ query: {query}");
        for (kind, keyword) in roots {
            let root = self.supergraph.root(kind).map(|id| self.supergraph.get_type(id));
            if let Some(root) = root.filter(|root| root.subgraphs.contains(self.subgraph)) {
                let _ = write!(self.text, " {keyword}: {}", root.name);
            }
        }
        self.text.push_str(" }\n");
    }
}
