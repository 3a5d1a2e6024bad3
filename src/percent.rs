//! Percent-encoding, as URLs and forms have it.
//!
//! A leaf: everything that looks into a request's target uses it. Spec: <https://www.rfc-editor.org/rfc/rfc3986#section-2.1>

use std::borrow::Cow;

/// The byte that two hexadecimal digits at the start of `text` stand for.
pub fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (high, low) = (digit(text.first()?)?, digit(text.get(1)?)?);
    u8::try_from(high << 4 | low).ok()
}

/// A segment of a path, decoded; what does not decode stays as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains('%') { Cow::Owned(decode(text, b'+')) } else { Cow::Borrowed(text) }
}

/// The same for a query's name or value, in which `+` is a space, as in forms.
pub fn unescape_form(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '+']) { Cow::Owned(decode(text, b' ')) } else { Cow::Borrowed(text) }
}

fn decode(text: &str, plus: u8) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, hex_pair(after)) {
            (b'%', Some(byte)) => (byte, after.get(2..).unwrap_or_default()),
            (b'+', _) => (plus, after),
            _ => (first, after),
        };
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_once() {
        for (text, decoded) in
            [("plain", "plain"), ("a%20b+c", "a b c"), ("%2541", "%41"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz")]
        {
            assert_eq!(unescape_form(text), decoded);
            assert_eq!(unescape(text), decoded.replace("b c", "b+c"));
        }
        assert!(matches!(unescape("plain"), Cow::Borrowed(_)));
    }
}
