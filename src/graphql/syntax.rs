//! Syntax: a fast way from the text of an ordinary document to its tree.
//!
//! It takes what most clients send and gives up at everything else (escapes in strings, block strings, descriptions, deep nesting,
//! errors of any kind): the parser crate then reads the text again, and tells what is wrong and where. Nodes have no places in the text,
//! so whoever finds an error in a tree has to have it parsed again. What both take is the same tree; tests hold them against each
//! other. Relied on by `operation`. Spec: <https://spec.graphql.org/September2025/#sec-Language>

use apollo_compiler::{
    Name, Node,
    ast::{
        Argument, Definition, Directive, DirectiveList, Document, Field, FloatValue, FragmentDefinition, FragmentSpread,
        InlineFragment, IntValue, OperationDefinition, OperationType, Selection, Type, Value, VariableDefinition,
    },
};
use rustc_hash::FxHashMap;

/// Levels of selections, values and types that are read here. The parser crate counts some more for the same nesting.
const MAX_DEPTH: usize = 32;
/// The least limit of recursion with which no document of that depth is over it.
const LEAST_RECURSION: usize = 8 * MAX_DEPTH;

/// Limits of a document.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Number of tokens.
    pub tokens: usize,
    /// Levels of recursion of the parser crate.
    pub recursion: usize,
}

/// The tree of a document that is certainly within its limits; nothing where the parser crate has to look at it.
pub fn parse(text: &str, limits: Limits) -> Option<Document> {
    // No token is shorter than a byte.
    if text.len() >= limits.tokens || limits.recursion < LEAST_RECURSION {
        return None;
    }
    let mut parser = Parser { text, at: 0, depth: 0, names: FxHashMap::default() };
    let mut document = Document::new();
    loop {
        document.definitions.push(parser.definition()?);
        if parser.peek() == END && parser.at == text.len() {
            return Some(document);
        }
    }
}

/// What [`Parser::peek`] gives at the end of the text; no token begins with it.
const END: u8 = 0;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Names met so far: most come more than once.
    names: FxHashMap<&'a str, Name>,
}

impl<'a> Parser<'a> {
    /// The first byte of the next token, without taking it.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t' | b',') => self.at += 1,
                Some(b'#') => self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len()),
                Some(byte) => return *byte,
                None => return END,
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes a punctuator of one byte, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Takes everything between two punctuators, at least one.
    fn many<T>(&mut self, (open, close): (u8, u8), mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.expect(open)?;
        let mut all = vec![one(self)?];
        while !self.take(close) {
            all.push(one(self)?);
        }
        Some(all)
    }

    /// Reads what is one level deeper.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let inner = if self.depth > MAX_DEPTH { None } else { read(self) };
        self.depth -= 1;
        inner
    }

    /// Takes a name as it stands in the text.
    fn word(&mut self) -> Option<&'a str> {
        let first = self.peek();
        if !(first.is_ascii_alphabetic() || first == b'_') {
            return None;
        }
        let rest = self.rest();
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let len = rest.as_bytes().iter().position(|byte| !is_inside(byte)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len)
    }

    fn name(&mut self) -> Option<Name> {
        let word = self.word()?;
        Some(self.named(word))
    }

    fn named(&mut self, word: &'a str) -> Name {
        self.names.entry(word).or_insert_with(|| Name::new_unchecked(word)).clone()
    }

    fn definition(&mut self) -> Option<Definition> {
        if self.peek() == b'{' {
            return self.operation(OperationType::Query, None, Vec::new());
        }
        match self.word()? {
            "query" => self.named_operation(OperationType::Query),
            "mutation" => self.named_operation(OperationType::Mutation),
            "subscription" => self.named_operation(OperationType::Subscription),
            "fragment" => self.fragment(),
            _ => None,
        }
    }

    fn named_operation(&mut self, operation_type: OperationType) -> Option<Definition> {
        let name = if matches!(self.peek(), b'(' | b'@' | b'{') { None } else { Some(self.name()?) };
        let variables = if self.peek() == b'(' { self.many((b'(', b')'), Self::variable_definition)? } else { Vec::new() };
        self.operation(operation_type, name, variables)
    }

    fn operation(
        &mut self,
        operation_type: OperationType,
        name: Option<Name>,
        variables: Vec<Node<VariableDefinition>>,
    ) -> Option<Definition> {
        let directives = self.directives()?;
        let selection_set = self.selections()?;
        let operation = OperationDefinition { operation_type, name, variables, directives, selection_set };
        Some(Definition::OperationDefinition(Node::new(operation)))
    }

    fn fragment(&mut self) -> Option<Definition> {
        let name = self.fragment_name()?;
        let type_condition = (self.word()? == "on").then(|| self.name())??;
        let directives = self.directives()?;
        let selection_set = self.selections()?;
        let fragment = FragmentDefinition { name, type_condition, directives, selection_set };
        Some(Definition::FragmentDefinition(Node::new(fragment)))
    }

    fn fragment_name(&mut self) -> Option<Name> {
        let word = self.word().filter(|word| *word != "on")?;
        Some(self.named(word))
    }

    fn variable_definition(&mut self) -> Option<Node<VariableDefinition>> {
        self.expect(b'$')?;
        let name = self.name()?;
        self.expect(b':')?;
        let ty = Node::new(self.ty()?);
        let default_value = if self.take(b'=') { Some(Node::new(self.value(false)?)) } else { None };
        // Directives of variables are rare.
        (self.peek() != b'@').then(|| Node::new(VariableDefinition { name, ty, default_value, directives: DirectiveList::new() }))
    }

    fn ty(&mut self) -> Option<Type> {
        if self.take(b'[') {
            let item = Box::new(self.deeper(Self::ty)?);
            self.expect(b']')?;
            return Some(if self.take(b'!') { Type::NonNullList(item) } else { Type::List(item) });
        }
        let name = self.name()?;
        Some(if self.take(b'!') { Type::NonNullNamed(name) } else { Type::Named(name) })
    }

    fn selections(&mut self) -> Option<Vec<Selection>> {
        self.deeper(|inner| inner.many((b'{', b'}'), Self::selection))
    }

    /// A selection set, where there is one.
    fn below(&mut self) -> Option<Vec<Selection>> {
        if self.peek() == b'{' { self.selections() } else { Some(Vec::new()) }
    }

    fn selection(&mut self) -> Option<Selection> {
        if self.peek() == b'.' {
            return self.spread();
        }
        let first = self.name()?;
        let (alias, name) = if self.take(b':') { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selection_set = self.below()?;
        Some(Selection::Field(Node::new(Field { alias, name, arguments, directives, selection_set })))
    }

    fn spread(&mut self) -> Option<Selection> {
        self.rest().starts_with("...").then(|| self.at += 3)?;
        let type_condition = match self.peek() {
            b'@' | b'{' => None,
            _ => match self.word()? {
                "on" => Some(self.name()?),
                word => {
                    let fragment_name = self.named(word);
                    let directives = self.directives()?;
                    return Some(Selection::FragmentSpread(Node::new(FragmentSpread { fragment_name, directives })));
                }
            },
        };
        let directives = self.directives()?;
        let selection_set = self.selections()?;
        Some(Selection::InlineFragment(Node::new(InlineFragment { type_condition, directives, selection_set })))
    }

    fn directives(&mut self) -> Option<DirectiveList> {
        let mut all = DirectiveList::new();
        while self.take(b'@') {
            let name = self.name()?;
            all.push(Node::new(Directive { name, arguments: self.arguments()? }));
        }
        Some(all)
    }

    fn arguments(&mut self) -> Option<Vec<Node<Argument>>> {
        if self.peek() == b'(' { self.many((b'(', b')'), Self::argument) } else { Some(Vec::new()) }
    }

    fn argument(&mut self) -> Option<Node<Argument>> {
        let name = self.name()?;
        self.expect(b':')?;
        Some(Node::new(Argument { name, value: Node::new(self.value(true)?) }))
    }

    /// A value, of which variables may be part where `has_variables`.
    fn value(&mut self, has_variables: bool) -> Option<Value> {
        match self.peek() {
            b'$' if has_variables => {
                self.at += 1;
                self.name().map(Value::Variable)
            }
            b'"' => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => self.deeper(|inner| inner.list(has_variables)),
            b'{' => self.deeper(|inner| inner.object(has_variables)),
            _ => Some(match self.word()? {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                "null" => Value::Null,
                word => Value::Enum(self.named(word)),
            }),
        }
    }

    fn list(&mut self, has_variables: bool) -> Option<Value> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        while !self.take(b']') {
            items.push(Node::new(self.value(has_variables)?));
        }
        Some(Value::List(items))
    }

    fn object(&mut self, has_variables: bool) -> Option<Value> {
        self.expect(b'{')?;
        let mut fields = Vec::new();
        while !self.take(b'}') {
            let name = self.name()?;
            self.expect(b':')?;
            fields.push((name, Node::new(self.value(has_variables)?)));
        }
        Some(Value::Object(fields))
    }

    /// Takes a string of one line without escapes.
    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let text = self.rest();
        let len = text.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        let (inside, after) = (text.get(..len)?, text.get(len..)?);
        // Two quotes and a third begin a block.
        if !after.starts_with('"') || (len == 0 && after.starts_with("\"\"")) {
            return None;
        }
        self.at += len + 1;
        Some(inside.to_owned())
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_');
        let len = rest.as_bytes().iter().position(|byte| !is_inside(byte)).unwrap_or(rest.len());
        let text = rest.get(..len)?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Exponents are rare.
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !fraction.is_none_or(is_digits) {
            return None;
        }
        self.at += len;
        Some(match fraction {
            None => Value::Int(IntValue::new_parsed(text)),
            Some(_) => Value::Float(FloatValue::new_parsed(text)),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]
mod tests {
    use apollo_compiler::parser::Parser as Reference;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { tokens: 10_000, recursion: 500 };

    /// Holds a tree against the parser crate's; whether there was one.
    fn agrees(text: &str) -> bool {
        let Some(tree) = parse(text, LIMITS) else { return false };
        let mut reference = Reference::new().token_limit(LIMITS.tokens).recursion_limit(LIMITS.recursion);
        let expected = reference.parse_ast(text, "operation");
        assert!(reference.tokens_reached() <= LIMITS.tokens && reference.recursion_reached() <= LEAST_RECURSION, "{text}");
        let expected = expected.unwrap_or_else(|failed| panic!("{text}: {}", failed.errors));
        assert_eq!(tree.definitions, expected.definitions, "{text}");
        true
    }

    const WHOLE: &str = r#"query Q($a: [ID!]! = ["x", "y z"], $b: In = { c: 1.5, d: [-2, true, null, RED] }, $e: Int) @live(if: true) {
        # What follows, with "quotes" and {braces} in a comment.
        one: field(a: $a, b: { c: $b, d: [$e, 0, ""] }) @include(if: $e) { id, ...F @skip(if: false) ... on T { x } ... @d { y } ... { z } }
        two
    }
    mutation { on fragment query: null }
    subscription S { true }
    fragment F on Query @d(of: "é") { type }"#;

    #[test]
    fn ordinary_documents_are_read_as_the_parser_crate_reads_them() {
        assert!(agrees(WHOLE));
        assert!(agrees("{a}") && agrees("\t{ a(b:-0.25,c:[],d:{}) }\r\n#end"));
        let nested = |depth: usize| format!("{}a{}", "{ a ".repeat(depth), " }".repeat(depth));
        assert!(agrees(&nested(MAX_DEPTH)) && !agrees(&nested(MAX_DEPTH + 1)));
        let listed = |depth: usize| format!("{{ a(b: {}{}) }}", "[".repeat(depth), "]".repeat(depth));
        assert!(agrees(&listed(MAX_DEPTH - 1)) && !agrees(&listed(MAX_DEPTH)));
    }

    #[test]
    fn commas_mean_nothing() {
        let tree = |text| parse(text, LIMITS).unwrap();
        assert_eq!(tree("{ a , : b(c: [1,,2]) ,, d }").definitions, tree("{ a: b(c: [1 2]) d }").definitions);
    }

    #[test]
    fn what_is_not_ordinary_is_left_to_the_parser_crate() {
        let texts = [
            "",
            " ",
            "{",
            "{}",
            "}",
            "{a",
            "{a}}",
            "{a()}",
            "{a(b)}",
            "{a(b:)}",
            "{a{}}",
            "{..F}",
            "{...on}",
            "query(){a}",
            "query Q",
            "{a @}",
            "fragment on on T {a}",
            "fragment F {a}",
            "fragment F on {a}",
            "{a(b:01)}",
            "{a(b:1e3)}",
            "{a(b:1.)}",
            "{a(b:.5)}",
            "{a(b:1a)}",
            "{a(b:-)}",
            "{a(b:\"\\n\")}",
            "{a(b:\"\"\"x\"\"\")}",
            "{a(b:\"x\ny\")}",
            "{a(b:\"x)}",
            "query($a: Int = $b){a}",
            "query($a){a}",
            "query($a: [Int){a}",
            "type T {a: Int}",
            "\"said\" query {a}",
            "query($a: Int @d){a}",
            "{é}",
            "\u{feff}{a}",
            "{a}\0",
            "{a:}",
            "{$a}",
            "{a(b:$)}",
            "query Q Q {a}",
            "{a;}",
            "{ a(b: !) }",
        ];
        for text in texts {
            assert_eq!(parse(text, LIMITS), None, "{text}");
        }
        assert_eq!(parse("{a}", Limits { tokens: 3, ..LIMITS }), None);
        assert_eq!(parse("{a}", Limits { recursion: 100, ..LIMITS }), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A whole document with a piece of it cut out or put in elsewhere, which breaks it in every way.
        #[test]
        fn broken_documents_are_never_read_as_something_else(from in 0..WHOLE.len(), len in 0..12_usize, to in 0..WHOLE.len(), is_moved in any::<bool>()) {
            let piece = WHOLE.get(from..from + len).unwrap_or_default();
            let without = if is_moved { WHOLE.to_owned() } else { WHOLE.replacen(piece, "", 1) };
            let Some((before, after)) = without.split_at_checked(to.min(without.len())) else { return Ok(()) };
            // The parser crate wants no comma between an alias and its colon, though commas mean nothing.
            agrees(&format!("{before}{piece}{after}").replace(',', " "));
        }

        #[test]
        fn texts_of_tokens_are_never_read_as_something_else(tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", "[", "]", ":", "=", "!", "$", "@", "...", "a", "on", "query", "fragment", "null", "0", "-1.5", "\"x\"", "\"\"", "#\n",
        ]), 0..24)) {
            agrees(&tokens.join(" "));
            agrees(&tokens.concat());
            agrees(&format!("{{ a {} }}", tokens.join(" ")));
        }
    }
}
