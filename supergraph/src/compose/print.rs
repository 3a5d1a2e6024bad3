//! The merged supergraph as SDL: types and directives sorted by name, members in merged order, so that the text depends on
//! nothing but the set of subgraphs.
//!
//! Relies on `merged`, on `join` for the header and on `values` for constants.

use super::join;
use super::merged::{JoinField, JoinType, Kind, Map, Merged, MergedArgument, MergedField, MergedType, Root};
use super::values;
use apollo_compiler::ast::{Directive, DirectiveDefinition, DirectiveLocation, InputValueDefinition};
use apollo_compiler::{Name, Node};
use std::fmt::Write;

/// Descriptions longer than this many characters get lines of their own.
const LONG_DESCRIPTION: usize = 70;

/// Prints the schema definition and the definitions of link and join.
pub(crate) fn header(merged: &Merged) -> String {
    let mut printer = Printer { merged, out: String::new() };
    printer.schema();
    printer.out.extend(join::directives(merged.join).values().flat_map(|definition| ["\n", definition]));
    printer.out.extend(join::types(merged).values().flat_map(|definition| ["\n", definition]));
    printer.out
}

/// Prints the supergraph.
pub(crate) fn print(merged: &Merged) -> String {
    // About 150 bytes a field: one growth of the buffer at most for usual supergraphs.
    let fields: usize = merged.types.values().map(|ty| ty.fields.len() + ty.values.len() + 1).sum();
    let mut printer = Printer { merged, out: String::with_capacity(4096 + fields * 150) };
    printer.schema();
    printer.directives();
    printer.types();
    printer.out
}

struct Printer<'a> {
    merged: &'a Merged,
    out: String,
}

impl<'a> Printer<'a> {
    fn schema(&mut self) {
        self.description(self.merged.description.as_ref(), "");
        self.out.push_str("schema");
        for link in join::links(self.merged) {
            self.out.push_str("\n  ");
            self.out.push_str(&link);
        }
        for directive in &self.merged.applied {
            self.out.push_str("\n  ");
            self.application(directive);
        }
        self.out.push_str("\n{\n");
        for root in Root::ALL.into_iter().filter(|root| self.merged.roots.contains(root)) {
            let _ = writeln!(self.out, "  {}: {}", root.keyword(), root.type_name());
        }
        self.out.push_str("}\n");
    }

    fn directives(&mut self) {
        let own = join::directives(self.merged.join);
        let mut printed: Vec<(&str, Option<&Node<DirectiveDefinition>>)> = own.keys().map(|name| (*name, None)).collect();
        printed.extend(self.merged.directives.iter().map(|(name, definition)| (name.as_str(), Some(definition))));
        printed.sort_by_key(|(name, _)| *name);
        for (name, definition) in printed {
            self.out.push('\n');
            match definition {
                Some(definition) => self.directive_definition(definition),
                None => self.out.push_str(own.get(name).copied().unwrap_or_default()),
            }
            self.out.push('\n');
        }
    }

    fn directive_definition(&mut self, definition: &DirectiveDefinition) {
        self.description(definition.description.as_ref(), "");
        let _ = write!(self.out, "directive @{}", definition.name);
        let described = definition.arguments.iter().any(|argument| has_text(argument.description.as_ref()));
        for (position, argument) in definition.arguments.iter().enumerate() {
            self.before_argument(position, described, argument.description.as_ref(), "  ");
            self.definition_argument(argument);
        }
        if !definition.arguments.is_empty() {
            self.out.push_str(if described { "\n)" } else { ")" });
        }
        if definition.repeatable {
            self.out.push_str(" repeatable");
        }
        self.out.push_str(" on ");
        for (position, location) in definition.locations.iter().enumerate() {
            if position > 0 {
                self.out.push_str(" | ");
            }
            self.out.push_str(DirectiveLocation::name(*location));
        }
    }

    fn definition_argument(&mut self, argument: &InputValueDefinition) {
        let _ = write!(self.out, "{}: {}", argument.name, argument.ty);
        if let Some(default) = &argument.default_value {
            self.out.push_str(" = ");
            values::print(&mut self.out, default);
        }
        for directive in argument.directives.iter() {
            self.out.push(' ');
            self.application(directive);
        }
    }

    fn types(&mut self) {
        let own = join::types(self.merged);
        let mut printed: Vec<(&str, Option<&MergedType>)> = own.keys().map(|name| (name.as_str(), None)).collect();
        printed.extend(self.merged.types.iter().map(|(name, ty)| (name.as_str(), Some(ty))));
        printed.sort_by_key(|(name, _)| *name);
        for (name, ty) in printed {
            self.out.push('\n');
            match ty {
                Some(ty) => self.ty(name, ty),
                None => self.out.push_str(own.get(name).map_or("", String::as_str)),
            }
            self.out.push('\n');
        }
    }

    fn ty(&mut self, name: &str, ty: &MergedType) {
        self.description(ty.description.as_ref(), "");
        let keyword = match ty.kind {
            Kind::Scalar => "scalar",
            Kind::Object => "type",
            Kind::Interface => "interface",
            Kind::Union => "union",
            Kind::Enum => "enum",
            Kind::Input => "input",
        };
        let _ = write!(self.out, "{keyword} {name}");
        for (position, interface) in ty.interfaces.iter().enumerate() {
            self.out.push_str(if position == 0 { " implements " } else { " & " });
            self.out.push_str(interface);
        }
        self.type_directives(ty);
        for (position, member) in ty.members.iter().enumerate() {
            self.out.push_str(if position == 0 { "\n  = " } else { " | " });
            self.out.push_str(member);
        }
        if matches!(ty.kind, Kind::Object | Kind::Interface | Kind::Input) {
            self.out.push_str("\n{");
            for (name, field) in &ty.fields {
                self.field(name, field);
            }
            self.out.push_str("\n}");
        }
        if ty.kind == Kind::Enum {
            self.enum_values(ty);
        }
    }

    fn enum_values(&mut self, ty: &MergedType) {
        self.out.push_str("\n{");
        for (name, value) in &ty.values {
            self.out.push('\n');
            self.description(value.description.as_ref(), "  ");
            let _ = write!(self.out, "  {name}");
            for graph in &value.joins {
                let graph = self.graph(*graph);
                let _ = write!(self.out, " @join__enumValue(graph: {graph})");
            }
            self.inline(&value.applied);
        }
        self.out.push_str("\n}");
    }

    fn type_directives(&mut self, ty: &MergedType) {
        for (graph, interface) in &ty.implements {
            let graph = self.graph(*graph);
            let _ = write!(self.out, "\n  @join__implements(graph: {graph}, interface: \"{interface}\")");
        }
        for join in &ty.joins {
            self.join_type(join);
        }
        for (graph, member) in &ty.member_joins {
            let graph = self.graph(*graph);
            let _ = write!(self.out, "\n  @join__unionMember(graph: {graph}, member: \"{member}\")");
        }
        for directive in &ty.applied {
            self.out.push_str("\n  ");
            self.application(directive);
        }
    }

    fn join_type(&mut self, join: &JoinType) {
        let graph = self.graph(join.graph);
        let _ = write!(self.out, "\n  @join__type(graph: {graph}");
        self.text_argument("key", join.key.as_deref());
        if join.is_extension {
            self.out.push_str(", extension: true");
        }
        if let Some(resolvable) = join.resolvable {
            let _ = write!(self.out, ", resolvable: {resolvable}");
        }
        if join.is_interface_object {
            self.out.push_str(", isInterfaceObject: true");
        }
        self.out.push(')');
    }

    fn field(&mut self, name: &Name, field: &MergedField) {
        self.out.push('\n');
        self.description(field.description.as_ref(), "  ");
        let _ = write!(self.out, "  {name}");
        self.arguments(&field.arguments);
        let _ = write!(self.out, ": {}", field.ty);
        if let Some(default) = &field.default {
            self.out.push_str(" = ");
            values::print(&mut self.out, default);
        }
        for join in &field.joins {
            self.join_field(join);
        }
        self.inline(&field.applied);
    }

    fn arguments(&mut self, arguments: &Map<Name, MergedArgument>) {
        let described = arguments.values().any(|argument| has_text(argument.description.as_ref()));
        for (position, (name, argument)) in arguments.iter().enumerate() {
            self.before_argument(position, described, argument.description.as_ref(), "    ");
            let _ = write!(self.out, "{name}: {}", argument.ty);
            if let Some(default) = &argument.default {
                self.out.push_str(" = ");
                values::print(&mut self.out, default);
            }
            self.inline(&argument.applied);
        }
        if !arguments.is_empty() {
            self.out.push_str(if described { "\n  )" } else { ")" });
        }
    }

    /// What stands in front of an argument: a bracket or comma, or, when any argument is described, a line of its own.
    fn before_argument(&mut self, position: usize, described: bool, description: Option<&Node<str>>, indent: &str) {
        match (position, described) {
            (0, false) => self.out.push('('),
            (_, false) => self.out.push_str(", "),
            (_, true) => {
                self.out.push_str(if position == 0 { "(\n" } else { "\n" });
                self.description(description, indent);
                self.out.push_str(indent);
            }
        }
    }

    fn join_field(&mut self, join: &JoinField) {
        self.out.push_str(" @join__field");
        let Some(graph) = join.graph else { return };
        let graph = self.graph(graph);
        let _ = write!(self.out, "(graph: {graph}");
        self.text_argument("requires", join.requires.as_deref());
        self.text_argument("provides", join.provides.as_deref());
        if let Some(ty) = &join.ty {
            let _ = write!(self.out, ", type: \"{ty}\"");
        }
        if join.is_external {
            self.out.push_str(", external: true");
        }
        self.text_argument("override", join.overrides.as_deref());
        if join.is_used_overridden {
            self.out.push_str(", usedOverridden: true");
        }
        self.text_argument("overrideLabel", join.override_label.as_deref());
        for (position, argument) in join.context_arguments.iter().enumerate() {
            self.out.push_str(if position == 0 { ", contextArguments: [" } else { ", " });
            let _ = write!(self.out, "{{context: ");
            values::quote(&mut self.out, &argument.context);
            let _ = write!(self.out, ", name: \"{}\", type: \"{}\", selection: ", argument.name, argument.ty);
            values::quote(&mut self.out, &argument.selection);
            self.out.push('}');
        }
        self.out.push_str(if join.context_arguments.is_empty() { ")" } else { "])" });
    }

    fn text_argument(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            let _ = write!(self.out, ", {name}: ");
            values::quote(&mut self.out, text);
        }
    }

    fn inline(&mut self, directives: &[Node<Directive>]) {
        for directive in directives {
            self.out.push(' ');
            self.application(directive);
        }
    }

    fn application(&mut self, directive: &Directive) {
        let _ = write!(self.out, "@{}", directive.name);
        for (position, argument) in directive.arguments.iter().enumerate() {
            let _ = write!(self.out, "{}{}: ", if position == 0 { "(" } else { ", " }, argument.name);
            values::print(&mut self.out, &argument.value);
        }
        if !directive.arguments.is_empty() {
            self.out.push(')');
        }
    }

    fn graph(&self, graph: usize) -> &'a str {
        self.merged.graphs.get(graph).map_or("", |graph| graph.value.as_str())
    }

    fn description(&mut self, description: Option<&Node<str>>, indent: &str) {
        if let Some(text) = description {
            block_string(&mut self.out, text, indent);
            self.out.push('\n');
        }
    }
}

fn has_text(description: Option<&Node<str>>) -> bool {
    description.is_some_and(|text| !text.is_empty())
}

/// Prints `text` as a description that reads back as the same text: a block string where that is possible, else one line.
fn block_string(out: &mut String, text: &str, indent: &str) {
    out.push_str(indent);
    if !survives_block(text) {
        return values::quote(out, text);
    }
    let is_one_line = !text.contains('\n');
    let own_lines = !is_one_line || text.ends_with(['"', '\\']) || text.chars().count() > LONG_DESCRIPTION;
    out.push_str("\"\"\"");
    if own_lines {
        for line in text.replace("\"\"\"", "\\\"\"\"").split('\n') {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(indent);
                out.push_str(line);
            }
        }
        out.push('\n');
        out.push_str(indent);
    } else {
        out.push_str(&text.replace("\"\"\"", "\\\"\"\""));
    }
    out.push_str("\"\"\"");
}

/// A block string drops blank lines at both ends and the common indentation of its lines, and knows no escapes.
fn survives_block(text: &str) -> bool {
    let has_control = text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'));
    let is_blank = |line: &str| line.chars().all(|character| matches!(character, ' ' | '\t'));
    let is_indented = |line: &str| line.starts_with([' ', '\t']);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let last = text.split('\n').next_back().unwrap_or_default();
    !has_control && !is_blank(first) && !is_blank(last) && !is_indented(first)
}
