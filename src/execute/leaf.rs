//! Leaf: result coercion of scalars and enums, on the JSON text as the subgraph wrote it.
//!
//! Relied on by `write`. Spec: <https://spec.graphql.org/September2025/#sec-Scalars.Result-Coercion>

use supergraph::{
    ids::EnumId,
    plan::shape::{LeafKind, Shape},
};

/// Writes `text`, a JSON value other than null, as a leaf of this kind; false (and nothing written) when it is none.
#[inline]
pub fn write(out: &mut Vec<u8>, shape: &Shape, kind: LeafKind, text: &[u8]) -> bool {
    if is_final(shape, kind, text) {
        out.extend_from_slice(text);
        return true;
    }
    match kind {
        LeafKind::Int => write_int(out, text),
        LeafKind::Id => write_id(out, text),
        LeafKind::Enum(id) => write_escaped(out, names(shape, id), text),
        _ => false,
    }
}

/// Whether `text`, a JSON value other than null, is a leaf of this kind and written as it stands. False also for some that are.
#[inline]
pub fn is_final(shape: &Shape, kind: LeafKind, text: &[u8]) -> bool {
    let first = text.first().copied().unwrap_or_default();
    match kind {
        LeafKind::String | LeafKind::Id => first == b'"',
        LeafKind::Any => true,
        LeafKind::Boolean => first == b't' || first == b'f',
        LeafKind::Int => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit)
        }
        LeafKind::Float => is_number(first) && is_finite(text),
        LeafKind::Enum(id) => unquoted(text).is_some_and(|name| is_known(names(shape, id), name)),
    }
}

fn names(shape: &Shape, id: EnumId) -> &[Box<str>] {
    shape.enums.get(id).map_or(&[], Vec::as_slice)
}

fn unquoted(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn is_known(names: &[Box<str>], name: &[u8]) -> bool {
    names.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

/// Writes the name of an enum's value whose letters are escaped.
#[cold]
fn write_escaped(out: &mut Vec<u8>, names: &[Box<str>], text: &[u8]) -> bool {
    let plain = unquoted(text).and_then(|_| serde_json::from_slice::<String>(text).ok());
    let Some(plain) = plain.filter(|plain| is_known(names, plain.as_bytes())) else { return false };
    out.push(b'"');
    out.extend_from_slice(plain.as_bytes());
    out.push(b'"');
    true
}

fn is_number(first: u8) -> bool {
    first == b'-' || first.is_ascii_digit()
}

/// Whether a number has a finite value; only an exponent or hundreds of digits can take it out of range.
fn is_finite(text: &[u8]) -> bool {
    let is_plain = text.len() < 300 && !text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    is_plain || number(text).is_some_and(f64::is_finite)
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A 32-bit integer that has many digits or is written as another number: `1.0` and `1e2` are integers too.
fn write_int(out: &mut Vec<u8>, text: &[u8]) -> bool {
    if !text.first().copied().is_some_and(is_number) {
        return false;
    }
    let Some(value) = number(text).filter(|value| value.fract() == 0.0) else { return false };
    // Every 32-bit integer is exact in a double, so the comparison is exact too.
    if value < f64::from(i32::MIN) || value > f64::from(i32::MAX) {
        return false;
    }
    out.extend_from_slice(format!("{value:.0}").as_bytes());
    true
}

/// An id that is an integer is written as a string.
fn write_id(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
    true
}

#[cfg(test)]
mod tests {
    use supergraph::ids::Id;

    use super::*;

    fn written(kind: LeafKind, text: &str) -> Option<String> {
        let mut shape = Shape::default();
        shape.enums.push(vec!["CAT".into(), "DOG".into()]);
        let mut out = Vec::new();
        let fits = write(&mut out, &shape, kind, text.as_bytes());
        assert!(fits || out.is_empty());
        fits.then(|| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn each_kind_takes_what_the_specification_lets_it_take() {
        let pets = LeafKind::Enum(EnumId::new(0));
        let table = [
            (LeafKind::Int, "2147483647", Some("2147483647")),
            (LeafKind::Int, "2147483648", None),
            (LeafKind::Int, "-2147483648", Some("-2147483648")),
            (LeafKind::Int, "-2147483649", None),
            (LeafKind::Int, "7.0", Some("7")),
            (LeafKind::Int, "7.5", None),
            (LeafKind::Int, "1e3", Some("1000")),
            (LeafKind::Int, "-0.0", Some("-0")),
            (LeafKind::Int, "\"7\"", None),
            (LeafKind::Int, "true", None),
            (LeafKind::Float, "7", Some("7")),
            (LeafKind::Float, "1.25e-3", Some("1.25e-3")),
            (LeafKind::Float, "1e999", None),
            (LeafKind::Float, "\"1\"", None),
            (LeafKind::String, "\"a\\n\"", Some("\"a\\n\"")),
            (LeafKind::String, "1", None),
            (LeafKind::String, "[]", None),
            (LeafKind::Boolean, "false", Some("false")),
            (LeafKind::Boolean, "0", None),
            (LeafKind::Id, "\"a\"", Some("\"a\"")),
            (LeafKind::Id, "12345678901234567890", Some("\"12345678901234567890\"")),
            (LeafKind::Id, "1.5", None),
            (LeafKind::Id, "{}", None),
            (pets, "\"CAT\"", Some("\"CAT\"")),
            (pets, "\"\\u0043AT\"", Some("\"CAT\"")),
            (pets, "\"\\u005cu0043AT\"", None),
            (pets, "\"COW\"", None),
            (pets, "CAT", None),
            (pets, "1", None),
            (LeafKind::Any, "{\"a\":[1]}", Some("{\"a\":[1]}")),
        ];
        for (kind, text, expected) in table {
            assert_eq!(written(kind, text).as_deref(), expected, "{kind:?} of {text}");
        }
    }
}
