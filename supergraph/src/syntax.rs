//! What the parser lets pass although the grammar does not: arguments without a value, line breaks inside strings, schema definitions
//! without root types.
//!
//! One linear scan over the tokens of a document that the parser accepted. Relied on by `document`.
//! Spec: <https://spec.graphql.org/draft/#sec-Appendix-Grammar-Summary.Lexical-Tokens>

use crate::document::Fault;
use apollo_compiler::ast::{Definition, Document};

/// The first such place, if any.
#[must_use]
pub fn check(text: &str, document: &Document) -> Option<Fault> {
    for definition in &document.definitions {
        if let Definition::SchemaDefinition(schema) = definition
            && schema.root_operations.is_empty()
        {
            let at = schema.line_column_range(&document.sources).map(|range| (range.start.line, range.start.column));
            let message = "a schema definition must name its root types, as in \"schema { query: Query }\"; write \"extend schema\" otherwise";
            return Some(Fault { message: message.to_owned(), at });
        }
    }
    let (offset, message) = scan(text)?;
    Some(Fault { message: message.to_owned(), at: Some(line_column(text, offset)) })
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, before.get(start..).unwrap_or_default().chars().count() + 1)
}

/// A token that matters here: a bracket or another single character, a name, or anything else.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Mark(u8),
    Name,
    Other,
}

/// Looks for a name inside parentheses that is neither the name of a value (before `:`) nor the value of one.
fn scan(text: &str) -> Option<(usize, &'static str)> {
    let (mut rest, mut open): (usize, Vec<u8>) = (0, Vec::new());
    let (mut previous, mut pending) = (Token::Other, None);
    while let Some((start, token, end)) = next(text, rest) {
        let Ok(token) = token else {
            return Some((start, "a string between single quotation marks cannot contain a line break"));
        };
        if let Some(at) = pending.take().filter(|_| token != Token::Mark(b':')) {
            return Some((at, "this name has no value: an argument is written as \"name: value\""));
        }
        match token {
            Token::Mark(mark @ (b'(' | b'[' | b'{')) => open.push(mark),
            Token::Mark(b')' | b']' | b'}') => drop(open.pop()),
            Token::Name => {
                let is_inside = open.contains(&b'(') && open.last() != Some(&b'[');
                let is_value = matches!(previous, Token::Mark(b':' | b'=' | b'@' | b'$'));
                pending = (is_inside && !is_value).then_some(start);
            }
            Token::Mark(_) | Token::Other => {}
        }
        previous = token;
        rest = end;
    }
    None
}

type Scanned = (usize, Result<Token, ()>, usize);

/// The next token from `from`: its start, the token (an error for a string with a line break) and its end.
fn next(text: &str, from: usize) -> Option<Scanned> {
    let bytes = text.as_bytes();
    let start = skip_ignored(bytes, from);
    let first = *bytes.get(start)?;
    let end_of = |keep: fn(&u8) -> bool| start + bytes.iter().skip(start).take_while(|byte| keep(byte)).count();
    Some(match first {
        b'"' if bytes.get(start..start + 3) == Some(b"\"\"\"") => (start, Ok(Token::Other), end_of_block(bytes, start + 3)),
        b'"' => match end_of_string(bytes, start + 1) {
            Some(end) => (start, Ok(Token::Other), end),
            None => (start, Err(()), start + 1),
        },
        b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
            (start, Ok(Token::Name), end_of(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
        }
        b'0'..=b'9' => {
            (start, Ok(Token::Other), end_of(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')))
        }
        mark => (start, Ok(Token::Mark(mark)), start + 1),
    })
}

fn skip_ignored(bytes: &[u8], from: usize) -> usize {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => at += 1,
            b'#' => at += bytes.iter().skip(at).take_while(|byte| !matches!(byte, b'\n' | b'\r')).count(),
            _ if bytes.get(at..at + BYTE_ORDER_MARK.len()) == Some(BYTE_ORDER_MARK) => at += BYTE_ORDER_MARK.len(),
            _ => break,
        }
    }
    at
}

/// The end of a string whose content starts at `from`; `None` when the line ends first.
fn end_of_string(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' | b'\r' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of a block string whose content starts at `from`.
fn end_of_block(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes.get(at..at + 4) == Some(b"\\\"\"\"") {
            at += 4;
        } else if bytes.get(at..at + 3) == Some(b"\"\"\"") {
            return at + 3;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn arguments_have_values() {
        for good in [
            "type A @a(b: c, d: [e f], g: { h: i }) { a(b: C = d @e, f: [G!]! = [h]): I }",
            "directive @a(\"text (x y)\" b: C \"\"\"more \\\"\"\" (x y)\"\"\" d: E) on F | G # (x y)\n",
            "type A @a(b\u{feff}: \"x y\") { a: Int }",
        ] {
            assert_eq!(scan(good), None, "{good}");
        }
        for bad in [
            "type A @a(b) { a: Int }",
            "type A @a(b c: 1) { a: Int }",
            "type A @a(b: 1 c) { a: Int }",
            "type A @a(b: { c }) { a: Int }",
            "type A @a(b: \"x\ny\") { a: Int }",
        ] {
            assert!(scan(bad).is_some(), "{bad}");
        }
    }
}
