//! Scan: a cursor over JSON text that finds where values end and parses nothing.
//!
//! It accepts exactly RFC 8259 with an upper bound on nesting; the text must be UTF-8 already. Relied on by `decode`.
//! Spec: <https://www.rfc-editor.org/rfc/rfc8259>

use super::short::Expected;

/// The text is not JSON (or is nested too deep).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Nesting of arrays and objects inside one skipped value. One bit of a `u128` per level.
const MAX_NESTING: u32 = 127;

/// Bytes looked at together while searching for the end of a string: most strings are short.
const WORD: usize = 8;
/// Bytes looked at together in a long one.
const BLOCK: usize = 32;

/// A cursor over JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// The arrays and objects that a skipped value has open.
#[derive(Default)]
struct Open {
    depth: u32,
    /// A bit per level, 1 for an object, the innermost last.
    objects: u128,
}

impl<'a> Scanner<'a> {
    /// A cursor at the start of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Length of the text.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The position in the text.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes back (or forth) to a position that was valid before.
    #[inline]
    pub fn seek(&mut self, position: usize) {
        self.at = position;
    }

    /// The text between two positions.
    pub fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The next byte that is not white space, without taking it; 0 at the end.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return byte,
                None => return 0,
            }
        }
    }

    /// Takes `byte` if it comes next.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes `byte`, which must come next.
    ///
    /// # Errors
    /// Something else comes next.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(Malformed) }
    }

    /// Takes `"key":` if it comes next, written without escapes.
    #[inline]
    pub fn take_key(&mut self, key: &str) -> bool {
        if self.peek() != b'"' {
            return false;
        }
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        if !rest.starts_with(key.as_bytes()) || rest.get(key.len()) != Some(&b'"') {
            return false;
        }
        let start = self.at;
        self.at += key.len() + 2;
        let is_key = self.take(b':');
        if !is_key {
            self.at = start;
        }
        is_key
    }

    /// Takes a key if it comes next just as most write it. Where it does not, [`Self::take_key`] must tell.
    #[inline]
    pub fn take_expected(&mut self, key: &Expected) -> bool {
        let taken = self.text.get(self.at..).and_then(|rest| key.begins(rest));
        self.at += taken.unwrap_or_default();
        taken.is_some()
    }

    /// Takes `byte` if it is the next one, without white space before it.
    #[inline]
    pub fn take_next(&mut self, byte: u8) -> bool {
        let is_next = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes the digits of a whole number that is not negative; how many, or 0 when what follows is more of a number or none.
    #[inline]
    pub fn take_digits(&mut self) -> usize {
        let start = self.at;
        let is_number = self.digits().is_ok();
        let (is_led, next) = (self.text.get(start) == Some(&b'0'), self.text.get(self.at));
        if !is_number || is_led || matches!(next, Some(b'.' | b'e' | b'E')) {
            return 0;
        }
        self.at - start
    }

    /// Takes any key and its colon; returns what stands between the quotes, escapes included.
    ///
    /// # Errors
    /// No key comes next.
    pub fn key(&mut self) -> Result<&'a [u8], Malformed> {
        self.peek();
        let start = self.at + 1;
        self.string()?;
        let key = self.slice(start, self.at - 1);
        self.expect(b':')?;
        Ok(key)
    }

    /// After an element of an array or object: whether another follows, `end` being taken when not.
    ///
    /// # Errors
    /// Neither a comma nor `end` comes next.
    #[inline]
    pub fn more(&mut self, end: u8) -> Result<bool, Malformed> {
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(end)?;
        Ok(false)
    }

    /// Takes a string.
    ///
    /// # Errors
    /// No string comes next, or one with a bare control character, an unknown escape or half a surrogate pair.
    #[inline]
    pub fn string(&mut self) -> Result<(), Malformed> {
        self.expect(b'"')?;
        self.rest_of_string()
    }

    /// Takes a string whose first quote is taken.
    ///
    /// # Errors
    /// It has no end, a bare control character, an unknown escape or half a surrogate pair.
    #[inline]
    pub fn rest_of_string(&mut self) -> Result<(), Malformed> {
        loop {
            self.skip_plain();
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(Malformed),
            }
        }
    }

    /// Goes to the next quote, backslash or control character.
    #[inline]
    fn skip_plain(&mut self) {
        // Whoever gets past two words is likely to be in a long text.
        if self.skip_words(2) {
            return;
        }
        while let Some((block, _)) = self.rest().split_first_chunk::<BLOCK>() {
            if has_special(block) {
                break;
            }
            self.at += BLOCK;
        }
        if self.skip_words(usize::MAX) {
            return;
        }
        let rest = self.rest();
        self.at += rest.iter().position(|byte| special(*byte) != 0).unwrap_or(rest.len());
    }

    /// Goes over so many words at the most; whether it stands at a quote, backslash or control character then.
    #[inline]
    fn skip_words(&mut self, most: usize) -> bool {
        for _ in 0..most {
            let Some((word, _)) = self.rest().split_first_chunk::<WORD>() else { return false };
            let special = first_special(u64::from_le_bytes(*word));
            self.at += special.unwrap_or(WORD);
            if special.is_some() {
                return true;
            }
        }
        false
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.unit(self.at)? {
                0xD800..=0xDBFF => match self.unit(self.at + 6)? {
                    0xDC00..=0xDFFF => self.at += 12,
                    _ => return Err(Malformed),
                },
                0xDC00..=0xDFFF => return Err(Malformed),
                _ => self.at += 6,
            },
            _ => return Err(Malformed),
        }
        Ok(())
    }

    /// The UTF-16 code unit of the `\uXXXX` at a position.
    fn unit(&self, at: usize) -> Result<u32, Malformed> {
        let Some([b'\\', b'u', digits @ ..]) = self.text.get(at..at + 6) else { return Err(Malformed) };
        digits.iter().try_fold(0, |unit, &digit| Ok(unit * 16 + char::from(digit).to_digit(16).ok_or(Malformed)?))
    }

    /// Takes any value; returns its first byte.
    ///
    /// # Errors
    /// No value comes next, or one nested deeper than the limit.
    #[inline]
    pub fn value(&mut self) -> Result<u8, Malformed> {
        let first = self.peek();
        match first {
            b'"' => self.string()?,
            b'{' | b'[' => self.container()?,
            _ => self.plain(first)?,
        }
        Ok(first)
    }

    /// Takes a number, `true`, `false` or `null`.
    #[inline]
    fn plain(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// Takes at least one digit.
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(Malformed) } else { Ok(()) }
    }

    /// Takes an array or object without recursion.
    fn container(&mut self) -> Result<(), Malformed> {
        let mut open = Open::default();
        loop {
            match self.peek() {
                first @ (b'{' | b'[') => {
                    if self.enter(first, &mut open)? {
                        continue;
                    }
                }
                b'"' => self.string()?,
                first => self.plain(first)?,
            }
            if !self.leave(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Takes the start of an array or object, or all of an empty one; whether a value inside comes next.
    #[inline]
    fn enter(&mut self, first: u8, open: &mut Open) -> Result<bool, Malformed> {
        if open.depth == MAX_NESTING {
            return Err(Malformed);
        }
        self.at += 1;
        let is_object = first == b'{';
        if self.take(first + 2) {
            return Ok(false);
        }
        open.depth += 1;
        open.objects = open.objects << 1 | u128::from(is_object);
        if is_object {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: takes the ends of what ends with it; whether another value comes next.
    #[inline]
    fn leave(&mut self, open: &mut Open) -> Result<bool, Malformed> {
        while open.depth > 0 {
            let is_object = open.objects & 1 == 1;
            if self.more(if is_object { b'}' } else { b']' })? {
                if is_object {
                    self.key()?;
                }
                return Ok(true);
            }
            open.depth -= 1;
            open.objects >>= 1;
        }
        Ok(false)
    }

    /// Nothing but white space may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { Err(Malformed) }
    }
}

/// 1 for a quote, a backslash or a control character: what a string cannot have as it stands.
#[inline]
fn special(byte: u8) -> u8 {
    u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20)
}

/// Whether one of the bytes is special: without a branch, so that the compiler compares all of them at once.
#[inline]
fn has_special(block: &[u8; BLOCK]) -> bool {
    block.iter().fold(0, |found, &byte| found | special(byte)) != 0
}

/// The first byte of a little-endian word that is a quote, a backslash or a control character.
#[inline]
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `bound` (at most 0x80), and maybe of others after the first such one.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let found = below(word, 0x20) | equal(b'"') | equal(b'\\');
    (found != 0).then_some((found.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    #[test]
    fn accepts_what_json_is_and_refuses_what_it_is_not() {
        let good = [
            "null",
            " true ",
            "-0.5e+10",
            "0",
            "\"\"",
            r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
            "[]",
            "{}",
            "[[],{}]",
            r#"{"a":[1,{"b":[]}],"c":{}}"#,
            "[1 , 2\n]",
            "1E5",
        ];
        for text in good {
            assert!(accepts(text), "{text} was refused");
        }
        let bad = [
            "",
            "nul",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "\"",
            "\"\n\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            "[",
            "[1",
            "[1,]",
            "[,1]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "tru",
            "'a'",
        ];
        for text in bad {
            assert!(!accepts(text), "{text} was taken");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(accepts(&nested(127)) && !accepts(&nested(128)) && !accepts(&nested(100_000)));
    }

    #[test]
    fn keys_are_compared_whole() {
        let mut scanner = Scanner::new(br#"{"name" : 1}"#);
        assert!(scanner.take(b'{') && !scanner.take_key("nam") && !scanner.take_key("names") && scanner.take_key("name"));
        assert_eq!(scanner.value(), Ok(b'1'));
    }

    proptest! {
        #[test]
        fn the_first_special_byte_of_a_word_is_found(word in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'a'), Just(0x20), Just(0x1F)], 8)) {
            let expected = word.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            prop_assert_eq!(first_special(u64::from_le_bytes(word.try_into().unwrap())), expected);
        }

        #[test]
        fn agrees_with_serde_json_on_any_text(text in r#"[\[\]{}",:\\ 0-9eEtrufalsn.+\-\u{1}é]{0,24}"#) {
            prop_assert_eq!(accepts(&text), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn finds_the_end_of_any_string(lead in 0_usize..150, text in any::<String>(), rest in any::<String>()) {
            let json = serde_json::to_string(&("x".repeat(lead) + &text)).unwrap();
            let whole = format!("{json}{rest}");
            let mut scanner = Scanner::new(whole.as_bytes());
            prop_assert_eq!(scanner.string(), Ok(()));
            prop_assert_eq!(scanner.position(), json.len());
            let broken = format!("\"{}\n\"", "x".repeat(lead));
            prop_assert_eq!(Scanner::new(broken.as_bytes()).string(), Err(Malformed));
        }
    }
}
