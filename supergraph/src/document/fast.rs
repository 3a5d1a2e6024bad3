//! A parser of type system documents that keeps no locations: composition runs on every poll, and nearly always there is nothing to
//! report. It accepts exactly what the grammar allows; whatever it refuses is parsed again by the parser that knows where things are.
//!
//! Relies on `tokens`. `document` relies on it. Linear; names that repeat share their memory.
//! Spec: <https://spec.graphql.org/draft/#sec-Document-Syntax>

use super::tokens::{Token, Tokens, dedent, unescape};
use super::{MAX_DEPTH, MAX_SDL_TOKENS};
use apollo_compiler::ast::{
    Argument, Definition, Directive, DirectiveDefinition, DirectiveList, DirectiveLocation, Document, EnumTypeDefinition,
    EnumTypeExtension, EnumValueDefinition, FieldDefinition, FloatValue, InputObjectTypeDefinition, InputObjectTypeExtension,
    InputValueDefinition, IntValue, InterfaceTypeDefinition, InterfaceTypeExtension, ObjectTypeDefinition, ObjectTypeExtension,
    OperationType, ScalarTypeDefinition, ScalarTypeExtension, SchemaDefinition, SchemaExtension, Type, UnionTypeDefinition,
    UnionTypeExtension, Value,
};
use apollo_compiler::{Name, Node};
use rustc_hash::FxHashMap;

/// Parses a type system document; `None` if it is not one, or is beyond a limit.
pub fn parse(text: &str) -> Option<Document> {
    let mut parser = Parser { tokens: Tokens::new(text), token: Token::End, names: FxHashMap::default(), count: 0 };
    parser.advance()?;
    let mut definitions = Vec::new();
    while parser.token != Token::End {
        definitions.push(parser.definition()?);
    }
    (!definitions.is_empty()).then(|| Document { sources: std::sync::Arc::default(), definitions })
}

type Description = Option<Node<str>>;
type ObjectParts = (Name, Vec<Name>, DirectiveList, Vec<Node<FieldDefinition>>);

struct Parser<'a> {
    tokens: Tokens<'a>,
    token: Token<'a>,
    names: FxHashMap<&'a str, Name>,
    count: usize,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Option<()> {
        self.count += 1;
        self.token = self.tokens.next()?;
        (self.count <= MAX_SDL_TOKENS).then_some(())
    }

    fn is(&self, mark: u8) -> bool {
        self.token == Token::Mark(mark)
    }

    /// Takes the mark if it is next.
    fn accept(&mut self, mark: u8) -> Option<bool> {
        let is_next = self.is(mark);
        if is_next {
            self.advance()?;
        }
        Some(is_next)
    }

    fn expect(&mut self, mark: u8) -> Option<()> {
        self.accept(mark)?.then_some(())
    }

    fn accept_keyword(&mut self, keyword: &str) -> Option<bool> {
        let is_next = self.token == Token::Name(keyword);
        if is_next {
            self.advance()?;
        }
        Some(is_next)
    }

    fn word(&mut self) -> Option<&'a str> {
        let Token::Name(word) = self.token else { return None };
        self.advance()?;
        Some(word)
    }

    fn name(&mut self) -> Option<Name> {
        let word = self.word()?;
        Some(self.intern(word))
    }

    fn intern(&mut self, word: &'a str) -> Name {
        self.names.entry(word).or_insert_with(|| Name::new_unchecked(word)).clone()
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

    /// `open item* close`, with at least one item; nothing at all if `open` is not next.
    fn list<T>(&mut self, open: u8, close: u8, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if !self.accept(open)? {
            return Some(items);
        }
        while !self.accept(close)? {
            items.push(item(self)?);
        }
        (!items.is_empty()).then_some(items)
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
                let directives = self.directives()?;
                let root_operations = self.root_operations()?;
                if root_operations.is_empty() {
                    return None;
                }
                Definition::SchemaDefinition(Node::new(SchemaDefinition { description, directives, root_operations }))
            }
            "directive" => self.directive_definition(description)?,
            "scalar" => {
                let (name, directives) = (self.name()?, self.directives()?);
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
                let (name, directives, members) = (self.name()?, self.directives()?, self.members()?);
                Definition::UnionTypeDefinition(Node::new(UnionTypeDefinition { description, name, directives, members }))
            }
            "enum" => {
                let (name, directives, values) = (self.name()?, self.directives()?, self.enum_values()?);
                Definition::EnumTypeDefinition(Node::new(EnumTypeDefinition { description, name, directives, values }))
            }
            "input" => {
                let (name, directives, fields) = (self.name()?, self.directives()?, self.input_values(b'{', b'}')?);
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
                let (directives, root_operations) = (self.directives()?, self.root_operations()?);
                let is_empty = directives.is_empty() && root_operations.is_empty();
                let extension = Definition::SchemaExtension(Node::new(SchemaExtension { directives, root_operations }));
                (!is_empty).then_some(extension)?
            }
            "scalar" => {
                let (name, directives) = (self.name()?, self.directives()?);
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
                let (name, directives, members) = (self.name()?, self.directives()?, self.members()?);
                let is_empty = directives.is_empty() && members.is_empty();
                (!is_empty)
                    .then(|| Definition::UnionTypeExtension(Node::new(UnionTypeExtension { name, directives, members })))?
            }
            "enum" => {
                let (name, directives, values) = (self.name()?, self.directives()?, self.enum_values()?);
                let is_empty = directives.is_empty() && values.is_empty();
                (!is_empty).then(|| Definition::EnumTypeExtension(Node::new(EnumTypeExtension { name, directives, values })))?
            }
            "input" => {
                let (name, directives, fields) = (self.name()?, self.directives()?, self.input_values(b'{', b'}')?);
                let is_empty = directives.is_empty() && fields.is_empty();
                let extension = InputObjectTypeExtension { name, directives, fields };
                (!is_empty).then(|| Definition::InputObjectTypeExtension(Node::new(extension)))?
            }
            _ => return None,
        })
    }

    fn root_operations(&mut self) -> Option<Vec<Node<(OperationType, Name)>>> {
        self.list(b'{', b'}', |parser| {
            let operation = match parser.word()? {
                "query" => OperationType::Query,
                "mutation" => OperationType::Mutation,
                "subscription" => OperationType::Subscription,
                _ => return None,
            };
            parser.expect(b':')?;
            Some(Node::new((operation, parser.name()?)))
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
        let directives = self.directives()?;
        let fields = self.list(b'{', b'}', |parser| {
            let (description, name) = (parser.description()?, parser.name()?);
            let arguments = parser.input_values(b'(', b')')?;
            parser.expect(b':')?;
            let (ty, directives) = (parser.ty(0)?, parser.directives()?);
            Some(Node::new(FieldDefinition { description, name, arguments, ty, directives }))
        })?;
        Some((name, interfaces, directives, fields))
    }

    fn members(&mut self) -> Option<Vec<Name>> {
        if self.accept(b'=')? { self.names(b'|') } else { Some(Vec::new()) }
    }

    fn enum_values(&mut self) -> Option<Vec<Node<EnumValueDefinition>>> {
        self.list(b'{', b'}', |parser| {
            let description = parser.description()?;
            let is_reserved = matches!(parser.token, Token::Name("true" | "false" | "null"));
            let value = if is_reserved { None } else { parser.name() }?;
            Some(Node::new(EnumValueDefinition { description, value, directives: parser.directives()? }))
        })
    }

    fn input_values(&mut self, open: u8, close: u8) -> Option<Vec<Node<InputValueDefinition>>> {
        self.list(open, close, |parser| {
            let (description, name) = (parser.description()?, parser.name()?);
            parser.expect(b':')?;
            let ty = Node::new(parser.ty(0)?);
            let default_value = if parser.accept(b'=')? { Some(Node::new(parser.value(0)?)) } else { None };
            let directives = parser.directives()?;
            Some(Node::new(InputValueDefinition { description, name, ty, default_value, directives }))
        })
    }

    fn directives(&mut self) -> Option<DirectiveList> {
        let mut directives = DirectiveList::default();
        while self.accept(b'@')? {
            let name = self.name()?;
            let arguments = self.list(b'(', b')', |parser| {
                let name = parser.name()?;
                parser.expect(b':')?;
                Some(Node::new(Argument { name, value: Node::new(parser.value(0)?) }))
            })?;
            directives.0.push(Node::new(Directive { name, arguments }));
        }
        Some(directives)
    }

    /// Recursion is bounded by [`MAX_DEPTH`].
    fn ty(&mut self, depth: usize) -> Option<Type> {
        if depth > MAX_DEPTH {
            return None;
        }
        let ty = if self.accept(b'[')? {
            let item = self.ty(depth + 1)?;
            self.expect(b']')?;
            Type::List(Box::new(item))
        } else {
            Type::Named(self.name()?)
        };
        Some(if self.accept(b'!')? { ty.non_null() } else { ty })
    }

    /// A constant value. Recursion is bounded by [`MAX_DEPTH`].
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let value = match self.token {
            Token::Mark(b'[') => {
                self.advance()?;
                let mut items = Vec::new();
                while !self.accept(b']')? {
                    items.push(Node::new(self.value(depth + 1)?));
                }
                return Some(Value::List(items));
            }
            Token::Mark(b'{') => {
                self.advance()?;
                let mut fields = Vec::new();
                while !self.accept(b'}')? {
                    let name = self.name()?;
                    self.expect(b':')?;
                    fields.push((name, Node::new(self.value(depth + 1)?)));
                }
                return Some(Value::Object(fields));
            }
            Token::Int(text) => Value::Int(IntValue::new_parsed(text)),
            Token::Float(text) => Value::Float(FloatValue::new_parsed(text)),
            Token::String(content) => Value::String(unescape(content)?),
            Token::Block(content) => Value::String(dedent(content)),
            Token::Name("true") => Value::Boolean(true),
            Token::Name("false") => Value::Boolean(false),
            Token::Name("null") => Value::Null,
            Token::Name(word) => Value::Enum(self.intern(word)),
            Token::Mark(_) | Token::Spread | Token::End => return None,
        };
        self.advance()?;
        Some(value)
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
