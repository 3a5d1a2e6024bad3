//! A reader of type system documents that keeps no locations: composition runs on every poll, and nearly always there is nothing to
//! report.
//!
//! Relies on `reader`. `document` relies on it. Spec: <https://spec.graphql.org/September2025/#sec-Type-System-Definitions>

use super::reader::{Limits, Reader, Variables};
use super::tokens::{Token, dedent, unescape};
use super::{MAX_DEPTH, MAX_SDL_TOKENS};
use apollo_compiler::ast::{
    Definition, DirectiveDefinition, DirectiveList, DirectiveLocation, Document, EnumTypeDefinition, EnumTypeExtension,
    EnumValueDefinition, FieldDefinition, InputObjectTypeDefinition, InputObjectTypeExtension, InputValueDefinition,
    InterfaceTypeDefinition, InterfaceTypeExtension, ObjectTypeDefinition, ObjectTypeExtension, OperationType,
    ScalarTypeDefinition, ScalarTypeExtension, SchemaDefinition, SchemaExtension, UnionTypeDefinition, UnionTypeExtension,
};
use apollo_compiler::{Name, Node};

/// Parses a type system document; `None` if it is not one, or is beyond a limit.
pub fn parse(text: &str) -> Option<Document> {
    let mut reader = Reader::new(text, Limits { tokens: MAX_SDL_TOKENS, depth: MAX_DEPTH })?;
    let mut definitions = Vec::new();
    while reader.token != Token::End {
        definitions.push(reader.definition()?);
    }
    (!definitions.is_empty()).then(|| Document { sources: std::sync::Arc::default(), definitions })
}

type Description = Option<Node<str>>;
type ObjectParts = (Name, Vec<Name>, DirectiveList, Vec<Node<FieldDefinition>>);

impl Reader<'_> {
    /// Directives of type system definitions: no variables.
    fn constant_directives(&mut self) -> Option<DirectiveList> {
        self.directives(Variables::Refused)
    }

    fn description(&mut self) -> Option<Description> {
        let text = match self.token {
            Token::String(content) => unescape(content)?,
            Token::Block(content) => dedent(content),
            _ => return Some(None),
        };
        self.advance()?;
        Some(Some(Node::new_str(&text)))
    }

    /// `separator? name (separator name)*`
    fn names(&mut self, separator: u8) -> Option<Vec<Name>> {
        self.accept(separator)?;
        let mut names = vec![self.name()?];
        while self.accept(separator)? {
            names.push(self.name()?);
        }
        Some(names)
    }

    fn definition(&mut self) -> Option<Definition> {
        let description = self.description()?;
        let keyword = self.word()?;
        if keyword == "extend" && description.is_none() {
            return self.extension();
        }
        Some(match keyword {
            "schema" => {
                let directives = self.constant_directives()?;
                let root_operations = self.root_operations()?;
                if root_operations.is_empty() {
                    return None;
                }
                Definition::SchemaDefinition(Node::new(SchemaDefinition { description, directives, root_operations }))
            }
            "directive" => self.directive_definition(description)?,
            "scalar" => {
                let (name, directives) = (self.name()?, self.constant_directives()?);
                Definition::ScalarTypeDefinition(Node::new(ScalarTypeDefinition { description, name, directives }))
            }
            "type" => {
                let (name, implements_interfaces, directives, fields) = self.object()?;
                let definition = ObjectTypeDefinition { description, name, implements_interfaces, directives, fields };
                Definition::ObjectTypeDefinition(Node::new(definition))
            }
            "interface" => {
                let (name, implements_interfaces, directives, fields) = self.object()?;
                let definition = InterfaceTypeDefinition { description, name, implements_interfaces, directives, fields };
                Definition::InterfaceTypeDefinition(Node::new(definition))
            }
            "union" => {
                let (name, directives, members) = (self.name()?, self.constant_directives()?, self.members()?);
                Definition::UnionTypeDefinition(Node::new(UnionTypeDefinition { description, name, directives, members }))
            }
            "enum" => {
                let (name, directives, values) = (self.name()?, self.constant_directives()?, self.enum_values()?);
                Definition::EnumTypeDefinition(Node::new(EnumTypeDefinition { description, name, directives, values }))
            }
            "input" => {
                let (name, directives, fields) = (self.name()?, self.constant_directives()?, self.input_values(b'{', b'}')?);
                let definition = InputObjectTypeDefinition { description, name, directives, fields };
                Definition::InputObjectTypeDefinition(Node::new(definition))
            }
            _ => return None,
        })
    }

    /// An extension must extend something.
    fn extension(&mut self) -> Option<Definition> {
        Some(match self.word()? {
            "schema" => {
                let (directives, root_operations) = (self.constant_directives()?, self.root_operations()?);
                let is_empty = directives.is_empty() && root_operations.is_empty();
                let extension = Definition::SchemaExtension(Node::new(SchemaExtension { directives, root_operations }));
                (!is_empty).then_some(extension)?
            }
            "scalar" => {
                let (name, directives) = (self.name()?, self.constant_directives()?);
                let is_empty = directives.is_empty();
                (!is_empty).then(|| Definition::ScalarTypeExtension(Node::new(ScalarTypeExtension { name, directives })))?
            }
            "type" => {
                let (name, implements_interfaces, directives, fields) = self.object()?;
                let is_empty = implements_interfaces.is_empty() && directives.is_empty() && fields.is_empty();
                let extension = ObjectTypeExtension { name, implements_interfaces, directives, fields };
                (!is_empty).then(|| Definition::ObjectTypeExtension(Node::new(extension)))?
            }
            "interface" => {
                let (name, implements_interfaces, directives, fields) = self.object()?;
                let is_empty = implements_interfaces.is_empty() && directives.is_empty() && fields.is_empty();
                let extension = InterfaceTypeExtension { name, implements_interfaces, directives, fields };
                (!is_empty).then(|| Definition::InterfaceTypeExtension(Node::new(extension)))?
            }
            "union" => {
                let (name, directives, members) = (self.name()?, self.constant_directives()?, self.members()?);
                let is_empty = directives.is_empty() && members.is_empty();
                (!is_empty)
                    .then(|| Definition::UnionTypeExtension(Node::new(UnionTypeExtension { name, directives, members })))?
            }
            "enum" => {
                let (name, directives, values) = (self.name()?, self.constant_directives()?, self.enum_values()?);
                let is_empty = directives.is_empty() && values.is_empty();
                (!is_empty).then(|| Definition::EnumTypeExtension(Node::new(EnumTypeExtension { name, directives, values })))?
            }
            "input" => {
                let (name, directives, fields) = (self.name()?, self.constant_directives()?, self.input_values(b'{', b'}')?);
                let is_empty = directives.is_empty() && fields.is_empty();
                let extension = InputObjectTypeExtension { name, directives, fields };
                (!is_empty).then(|| Definition::InputObjectTypeExtension(Node::new(extension)))?
            }
            _ => return None,
        })
    }

    fn root_operations(&mut self) -> Option<Vec<Node<(OperationType, Name)>>> {
        self.list(b'{', b'}', |reader| {
            let operation = match reader.word()? {
                "query" => OperationType::Query,
                "mutation" => OperationType::Mutation,
                "subscription" => OperationType::Subscription,
                _ => return None,
            };
            reader.expect(b':')?;
            Some(Node::new((operation, reader.name()?)))
        })
    }

    fn directive_definition(&mut self, description: Description) -> Option<Definition> {
        self.expect(b'@')?;
        let (name, arguments) = (self.name()?, self.input_values(b'(', b')')?);
        let repeatable = self.accept_keyword("repeatable")?;
        self.accept_keyword("on")?.then_some(())?;
        self.accept(b'|')?;
        let mut locations = vec![location(self.word()?)?];
        while self.accept(b'|')? {
            locations.push(location(self.word()?)?);
        }
        let definition = DirectiveDefinition { description, name, arguments, repeatable, locations };
        Some(Definition::DirectiveDefinition(Node::new(definition)))
    }

    /// Name, interfaces, directives and fields of an object type or interface.
    fn object(&mut self) -> Option<ObjectParts> {
        let name = self.name()?;
        let interfaces = if self.accept_keyword("implements")? { self.names(b'&')? } else { Vec::new() };
        let directives = self.constant_directives()?;
        let fields = self.list(b'{', b'}', |reader| {
            let (description, name) = (reader.description()?, reader.name()?);
            let arguments = reader.input_values(b'(', b')')?;
            reader.expect(b':')?;
            let (ty, directives) = (reader.ty()?, reader.constant_directives()?);
            Some(Node::new(FieldDefinition { description, name, arguments, ty, directives }))
        })?;
        Some((name, interfaces, directives, fields))
    }

    fn members(&mut self) -> Option<Vec<Name>> {
        if self.accept(b'=')? { self.names(b'|') } else { Some(Vec::new()) }
    }

    fn enum_values(&mut self) -> Option<Vec<Node<EnumValueDefinition>>> {
        self.list(b'{', b'}', |reader| {
            let description = reader.description()?;
            let is_reserved = matches!(reader.token, Token::Name("true" | "false" | "null"));
            let value = if is_reserved { None } else { reader.name() }?;
            Some(Node::new(EnumValueDefinition { description, value, directives: reader.constant_directives()? }))
        })
    }

    fn input_values(&mut self, open: u8, close: u8) -> Option<Vec<Node<InputValueDefinition>>> {
        self.list(open, close, |reader| {
            let (description, name) = (reader.description()?, reader.name()?);
            reader.expect(b':')?;
            let ty = Node::new(reader.ty()?);
            let default_value = reader.default_value()?;
            let directives = reader.constant_directives()?;
            Some(Node::new(InputValueDefinition { description, name, ty, default_value, directives }))
        })
    }
}

fn location(word: &str) -> Option<DirectiveLocation> {
    Some(match word {
        "QUERY" => DirectiveLocation::Query,
        "MUTATION" => DirectiveLocation::Mutation,
        "SUBSCRIPTION" => DirectiveLocation::Subscription,
        "FIELD" => DirectiveLocation::Field,
        "FRAGMENT_DEFINITION" => DirectiveLocation::FragmentDefinition,
        "FRAGMENT_SPREAD" => DirectiveLocation::FragmentSpread,
        "INLINE_FRAGMENT" => DirectiveLocation::InlineFragment,
        "VARIABLE_DEFINITION" => DirectiveLocation::VariableDefinition,
        "SCHEMA" => DirectiveLocation::Schema,
        "SCALAR" => DirectiveLocation::Scalar,
        "OBJECT" => DirectiveLocation::Object,
        "FIELD_DEFINITION" => DirectiveLocation::FieldDefinition,
        "ARGUMENT_DEFINITION" => DirectiveLocation::ArgumentDefinition,
        "INTERFACE" => DirectiveLocation::Interface,
        "UNION" => DirectiveLocation::Union,
        "ENUM" => DirectiveLocation::Enum,
        "ENUM_VALUE" => DirectiveLocation::EnumValue,
        "INPUT_OBJECT" => DirectiveLocation::InputObject,
        "INPUT_FIELD_DEFINITION" => DirectiveLocation::InputFieldDefinition,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test may panic")]
    use super::parse;
    use crate::document;

    /// Both parsers agree on the document; locations are no part of it.
    fn agree(text: &str) {
        let fast = parse(text).map(|document| document.definitions);
        assert_eq!(fast, document::sdl(text, "test").ok().map(|document| document.definitions), "{text}");
    }

    #[test]
    fn it_agrees_with_the_other_parser() {
        agree(
            r#"
            """
              A schema
                with "quotes" and \""" in it
            """
            schema @a(b: [1, -2.5e3, "\u0041\n", enum_more, { c: null, d: [true false] }]) { query: Query }
            "#,
        );
        agree(
            r#"
            "described \"twice\"" type Query implements & A & B @a { "f" f(a: [Int!]! = [1] @d, "b" b: String = """ x """): [[T!]]! @e, type: on }
            extend type Query { g: Int } interface A implements B { f: Int } extend interface A @a
            union U @a = | A | B extend union U = C enum E { A @a "b" B } extend enum E { C }
            input I @a { a: Int = 1 @b } extend input I { b: I } scalar S @a extend scalar S @b extend schema { mutation: M }
            directive @a(b: C = d @e) repeatable on | FIELD | OBJECT # comment
            "#,
        );
    }

    #[test]
    fn what_the_grammar_refuses_is_refused() {
        for bad in [
            "",
            "type",
            "type A {}",
            "type A { a: }",
            "extend type A",
            "schema { }",
            "enum E { true }",
            "scalar S { a }",
            "type A { a: Int!! }",
            "directive @a on FOO",
            "{ a }",
            "type A @a(b: 01) { a: Int }",
            "type A @a(b: $c) { a: Int }",
            "\"d\" extend type A { a: Int }",
            "type A { a: Int } }",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse(&format!("type A {{ a: {}Int{} }}", "[".repeat(100_000), "]".repeat(100_000))).is_none());
    }
}
