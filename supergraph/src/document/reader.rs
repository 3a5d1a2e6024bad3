//! What both grammars share: names, lists, types, values, arguments and directives, read from tokens into nodes without locations.
//!
//! Relies on `tokens`. `type_system` and `executable` add their definitions to it. It accepts exactly what the grammar allows; whatever
//! it refuses is parsed again by the parser that knows where things are. Linear; names that repeat share their memory.
//! Spec: <https://spec.graphql.org/September2025/#sec-Document-Syntax>

use super::tokens::{Token, Tokens, dedent, unescape};
use apollo_compiler::ast::{Argument, Directive, DirectiveList, FloatValue, IntValue, Type, Value};
use apollo_compiler::{Name, Node};
use rustc_hash::FxHashMap;

/// Beyond these a document is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Number of tokens.
    pub tokens: usize,
    /// Levels of types, values and selection sets.
    pub depth: usize,
}

/// Whether variables may be part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variables {
    /// They may.
    Allowed,
    /// The value is a constant.
    Refused,
}

/// Reads a document. Every function that gives an option gives none where the text is not what the grammar wants.
pub struct Reader<'a> {
    tokens: Tokens<'a>,
    /// The next token.
    pub token: Token<'a>,
    names: FxHashMap<&'a str, Name>,
    limits: Limits,
    count: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A reader before the first token of `text`.
    pub fn new(text: &'a str, limits: Limits) -> Option<Self> {
        let (tokens, names) = (Tokens::new(text), FxHashMap::default());
        let mut reader = Self { tokens, token: Token::End, names, limits, count: 0, depth: 0 };
        reader.advance()?;
        Some(reader)
    }

    /// Goes to the next token.
    pub fn advance(&mut self) -> Option<()> {
        self.count += 1;
        self.token = self.tokens.next()?;
        (self.count <= self.limits.tokens).then_some(())
    }

    /// Whether this mark is next.
    pub fn is(&self, mark: u8) -> bool {
        self.token == Token::Mark(mark)
    }

    /// Takes the mark if it is next.
    pub fn accept(&mut self, mark: u8) -> Option<bool> {
        let is_next = self.is(mark);
        if is_next {
            self.advance()?;
        }
        Some(is_next)
    }

    /// Takes the mark, which must be next.
    pub fn expect(&mut self, mark: u8) -> Option<()> {
        self.accept(mark)?.then_some(())
    }

    /// Takes this very name if it is next.
    pub fn accept_keyword(&mut self, keyword: &str) -> Option<bool> {
        let is_next = self.token == Token::Name(keyword);
        if is_next {
            self.advance()?;
        }
        Some(is_next)
    }

    /// Takes a name as it stands in the text.
    pub fn word(&mut self) -> Option<&'a str> {
        let Token::Name(word) = self.token else { return None };
        self.advance()?;
        Some(word)
    }

    /// Takes a name.
    pub fn name(&mut self) -> Option<Name> {
        let word = self.word()?;
        Some(self.intern(word))
    }

    /// The name that a word of the text is.
    pub fn intern(&mut self, word: &'a str) -> Name {
        self.names.entry(word).or_insert_with(|| Name::new_unchecked(word)).clone()
    }

    /// Reads what is one level deeper.
    pub fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let inner = if self.depth > self.limits.depth { None } else { read(self) };
        self.depth -= 1;
        inner
    }

    /// `open item* close`, with at least one item; nothing at all if `open` is not next.
    pub fn list<T>(&mut self, open: u8, close: u8, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        if !self.accept(open)? {
            return Some(Vec::new());
        }
        let items = self.until(close, item)?;
        (!items.is_empty()).then_some(items)
    }

    /// `item* close`
    fn until<T>(&mut self, close: u8, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while !self.accept(close)? {
            items.push(item(self)?);
        }
        Some(items)
    }

    /// Directives, as many as there are.
    pub fn directives(&mut self, variables: Variables) -> Option<DirectiveList> {
        let mut directives = DirectiveList::default();
        while self.accept(b'@')? {
            let name = self.name()?;
            directives.0.push(Node::new(Directive { name, arguments: self.arguments(variables)? }));
        }
        Some(directives)
    }

    /// Arguments with their parentheses, where there are any.
    pub fn arguments(&mut self, variables: Variables) -> Option<Vec<Node<Argument>>> {
        self.list(b'(', b')', |reader| {
            let name = reader.name()?;
            reader.expect(b':')?;
            Some(Node::new(Argument { name, value: Node::new(reader.value(variables)?) }))
        })
    }

    /// A type, as of a field or a variable.
    pub fn ty(&mut self) -> Option<Type> {
        let ty = if self.accept(b'[')? {
            let item = self.deeper(Self::ty)?;
            self.expect(b']')?;
            Type::List(Box::new(item))
        } else {
            Type::Named(self.name()?)
        };
        Some(if self.accept(b'!')? { ty.non_null() } else { ty })
    }

    /// `= value`, where there is one.
    pub fn default_value(&mut self) -> Option<Option<Node<Value>>> {
        Some(if self.accept(b'=')? { Some(Node::new(self.value(Variables::Refused)?)) } else { None })
    }

    /// A value.
    pub fn value(&mut self, variables: Variables) -> Option<Value> {
        let value = match self.token {
            Token::Mark(b'[') => return self.list_value(variables),
            Token::Mark(b'{') => return self.object_value(variables),
            Token::Mark(b'$') if variables == Variables::Allowed => {
                self.advance()?;
                return self.name().map(Value::Variable);
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

    fn list_value(&mut self, variables: Variables) -> Option<Value> {
        self.advance()?;
        self.deeper(|inner| inner.until(b']', |reader| Some(Node::new(reader.value(variables)?)))).map(Value::List)
    }

    fn object_value(&mut self, variables: Variables) -> Option<Value> {
        self.advance()?;
        let fields = self.deeper(|inner| {
            inner.until(b'}', |reader| {
                let name = reader.name()?;
                reader.expect(b':')?;
                Some((name, Node::new(reader.value(variables)?)))
            })
        });
        fields.map(Value::Object)
    }
}
