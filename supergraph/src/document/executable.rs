//! A reader of executable documents that keeps no locations: most operations that clients send are right, and one that is not is parsed
//! again by the parser that knows where things are.
//!
//! Relies on `reader`. `document` relies on it. Spec: <https://spec.graphql.org/September2025/#sec-Executable-Definitions>

use super::reader::{Limits, Reader, Variables};
use super::tokens::Token;
use apollo_compiler::ast::{
    Definition, DirectiveList, Document, Field, FragmentDefinition, FragmentSpread, InlineFragment, OperationDefinition,
    OperationType, Selection, VariableDefinition,
};
use apollo_compiler::{Name, Node};

/// Parses an executable document; `None` if it is not one, or is beyond a limit. Descriptions are rare, and left to the other parser.
pub fn parse(text: &str, limits: Limits) -> Option<Document> {
    let mut reader = Reader::new(text, limits)?;
    let mut document = Document::new();
    while reader.token != Token::End {
        document.definitions.push(reader.executable()?);
    }
    (!document.definitions.is_empty()).then_some(document)
}

impl Reader<'_> {
    fn executable(&mut self) -> Option<Definition> {
        if self.is(b'{') {
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
        let name = if matches!(self.token, Token::Name(_)) { Some(self.name()?) } else { None };
        let variables = self.list(b'(', b')', Self::variable_definition)?;
        self.operation(operation_type, name, variables)
    }

    fn operation(
        &mut self,
        operation_type: OperationType,
        name: Option<Name>,
        variables: Vec<Node<VariableDefinition>>,
    ) -> Option<Definition> {
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = self.selections()?;
        let operation = OperationDefinition { operation_type, name, variables, directives, selection_set };
        Some(Definition::OperationDefinition(Node::new(operation)))
    }

    fn fragment(&mut self) -> Option<Definition> {
        let name = self.word().filter(|word| *word != "on")?;
        let name = self.intern(name);
        let type_condition = self.accept_keyword("on")?.then(|| self.name())??;
        let (directives, selection_set) = self.directives_and_selections()?;
        let fragment = FragmentDefinition { name, type_condition, directives, selection_set };
        Some(Definition::FragmentDefinition(Node::new(fragment)))
    }

    fn directives_and_selections(&mut self) -> Option<(DirectiveList, Vec<Selection>)> {
        Some((self.directives(Variables::Allowed)?, self.selections()?))
    }

    fn variable_definition(&mut self) -> Option<Node<VariableDefinition>> {
        self.expect(b'$')?;
        let name = self.name()?;
        self.expect(b':')?;
        let (ty, default_value) = (Node::new(self.ty()?), self.default_value()?);
        let directives = self.directives(Variables::Refused)?;
        Some(Node::new(VariableDefinition { name, ty, default_value, directives }))
    }

    fn selections(&mut self) -> Option<Vec<Selection>> {
        let selections = self.deeper(|inner| inner.list(b'{', b'}', Self::selection))?;
        (!selections.is_empty()).then_some(selections)
    }

    fn selection(&mut self) -> Option<Selection> {
        if self.token == Token::Spread {
            return self.spread();
        }
        let first = self.name()?;
        let (alias, name) = if self.accept(b':')? { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments(Variables::Allowed)?;
        let directives = self.directives(Variables::Allowed)?;
        let selection_set = if self.is(b'{') { self.selections()? } else { Vec::new() };
        Some(Selection::Field(Node::new(Field { alias, name, arguments, directives, selection_set })))
    }

    fn spread(&mut self) -> Option<Selection> {
        self.advance()?;
        let type_condition = match self.token {
            Token::Name("on") => {
                self.advance()?;
                Some(self.name()?)
            }
            Token::Name(_) => {
                let (fragment_name, directives) = (self.name()?, self.directives(Variables::Allowed)?);
                return Some(Selection::FragmentSpread(Node::new(FragmentSpread { fragment_name, directives })));
            }
            _ => None,
        };
        let (directives, selection_set) = self.directives_and_selections()?;
        Some(Selection::InlineFragment(Node::new(InlineFragment { type_condition, directives, selection_set })))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]
    use super::*;
    use apollo_compiler::parser::Parser;
    use proptest::prelude::*;

    /// Recursions that the other parser counts for one level here, at the most.
    const RECURSIONS_OF_LEVEL: usize = 8;
    const LIMITS: Limits = Limits { tokens: 10_000, depth: 60 };

    /// Holds a tree against the other parser's; whether there was one.
    fn agrees(text: &str) -> bool {
        let Some(tree) = parse(text, LIMITS) else { return false };
        let mut reference = Parser::new().token_limit(LIMITS.tokens).recursion_limit(LIMITS.depth * RECURSIONS_OF_LEVEL);
        let expected = reference.parse_ast(text, "operation").unwrap_or_else(|failed| panic!("{text}: {}", failed.errors));
        assert_eq!(tree.definitions, expected.definitions, "{text}");
        assert!(reference.tokens_reached() <= text.len() + 1, "{text}");
        for depth in 1..6 {
            let is_read = parse(text, Limits { depth, ..LIMITS }).is_some();
            assert!(!is_read || reference.recursion_reached() <= depth * RECURSIONS_OF_LEVEL, "{text}");
        }
        true
    }

    const WHOLE: &str = r#"query Q($a: [ID!]! = ["x", "y z"] @d(b: 1), $b: In = { c: 1.5e-3, d: [-2, true, null, RED] }, $e: Int) @live(if: true) {
        # What follows, with "quotes" and {braces} in a comment.
        one: field(a: $a, b: { c: $b, d: [$e, 0, ""] }) @include(if: $e) { id, ...F @skip(if: false) ... on T { x } ... @d { y } ... { z } }
        two(text: "a \"b\" \u00e9 \n", block: """
            first "line"
              second \""" line
        """)
    }
    mutation { on fragment query: null }
    subscription S { true }
    fragment F on Query @d(of: "é") { type }"#;

    #[test]
    fn it_agrees_with_the_other_parser() {
        assert!(agrees(WHOLE));
        assert!(agrees("{a}") && agrees("\t{ a(b:-0.25,c:[],d:{}) }\r\n#end") && agrees("\u{feff}{a}"));
        let nested = |depth: usize| format!("{}a{}", "{ a ".repeat(depth), " }".repeat(depth));
        assert!(agrees(&nested(LIMITS.depth)) && !agrees(&nested(LIMITS.depth + 1)));
        let listed = |depth: usize| format!("{{ a(b: {}{}) }}", "[".repeat(depth), "]".repeat(depth));
        assert!(agrees(&listed(LIMITS.depth - 1)) && !agrees(&listed(LIMITS.depth)));
        assert!(parse(&nested(100_000), Limits { tokens: 1_000_000, ..LIMITS }).is_none());
        assert!(parse("{a}", Limits { tokens: 3, ..LIMITS }).is_none());
    }

    #[test]
    fn commas_mean_nothing() {
        let tree = |text| parse(text, LIMITS).unwrap();
        assert_eq!(tree("{ a , : b(c: [1,,2]) ,, d }").definitions, tree("{ a: b(c: [1 2]) d }").definitions);
    }

    #[test]
    fn what_the_grammar_refuses_is_refused() {
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
            "{a(b:1.)}",
            "{a(b:.5)}",
            "{a(b:1a)}",
            "{a(b:-)}",
            "{a(b:\"x\ny\")}",
            "{a(b:\"x)}",
            "{a(b:\"\\x\")}",
            "{a(b:\"\"\"x\")}",
            "query($a: Int = $b){a}",
            "query($a: Int @d(b: $c)){a}",
            "query($a){a}",
            "query($a: [Int){a}",
            "type T {a: Int}",
            "{é}",
            "{a}\0",
            "{a:}",
            "{$a}",
            "{a(b:$)}",
            "query Q Q {a}",
            "{a;}",
            "{ a(b: !) }",
            "query { a } {",
        ];
        for text in texts {
            assert_eq!(parse(text, LIMITS), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A whole document with a piece of it cut out or put in elsewhere, which breaks it in every way.
        #[test]
        fn broken_documents_are_never_read_as_something_else(from in 0..WHOLE.len(), len in 0..12_usize, to in 0..WHOLE.len(), is_moved in any::<bool>()) {
            let piece = WHOLE.get(from..from + len).unwrap_or_default();
            let without = if is_moved { WHOLE.to_owned() } else { WHOLE.replacen(piece, "", 1) };
            let Some((before, after)) = without.split_at_checked(to.min(without.len())) else { return Ok(()) };
            // The other parser wants no comma between an alias and its colon, though commas mean nothing.
            agrees(&format!("{before}{piece}{after}").replace(',', " "));
        }

        #[test]
        fn texts_of_tokens_are_never_read_as_something_else(tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", "[", "]", ":", "=", "!", "$", "@", "...", "a", "on", "query", "fragment", "null", "0", "-1.5", "\"x\"", "\"\"", "#\n",
            "\"\\u{1f600}\"", "\"\"\" b \"\"\"",
        ]), 0..24)) {
            agrees(&tokens.join(" "));
            agrees(&tokens.concat());
            agrees(&format!("{{ a {} }}", tokens.join(" ")));
        }

        #[test]
        fn strings_mean_the_same(content in r#"[ab "\\\n\r\t u{}0-9éD]{0,16}"#, is_block in any::<bool>()) {
            let quotes = if is_block { "\"\"\"" } else { "\"" };
            agrees(&format!("{{ a(b: {quotes}{content}{quotes}) }}"));
        }
    }
}
