//! The tokens of a GraphQL document: a strict scanner without locations, for the fast parser.
//!
//! Relied on by `reader` and `type_system`. Spec: <https://spec.graphql.org/September2025/#sec-Appendix-Grammar-Summary.Lexical-Tokens>

/// One token; texts are slices of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// The end of the document.
    End,
    /// A punctuator of one character.
    Mark(u8),
    /// `...`
    Spread,
    /// A name.
    Name(&'a str),
    /// An integer.
    Int(&'a str),
    /// A number with a fraction or an exponent.
    Float(&'a str),
    /// The content of a string, with its escapes.
    String(&'a str),
    /// The content of a block string, with its indentation.
    Block(&'a str),
}

/// Scans a text. Linear.
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The tokens of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or_default()
    }

    fn skip_ignored(&mut self) {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                b'#' => self.skip_while(|byte| byte != b'\n' && byte != b'\r'),
                0xEF if self.text.get(self.at..).is_some_and(|rest| rest.starts_with('\u{feff}')) => self.at += 3,
                _ => return,
            }
        }
    }

    /// Stops at the end of the text too.
    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len());
    }

    fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.at)
    }

    /// The next token; `None` for text that is none.
    pub fn next(&mut self) -> Option<Token<'a>> {
        self.skip_ignored();
        let start = self.at;
        if start >= self.text.len() {
            return Some(Token::End);
        }
        match self.peek(0) {
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Some(Token::Name(self.since(start)?))
            }
            b'0'..=b'9' | b'-' => self.number(),
            b'"' if self.peek(1) == b'"' && self.peek(2) == b'"' => self.block(),
            b'"' => self.string(),
            b'.' if self.peek(1) == b'.' && self.peek(2) == b'.' => {
                self.at += 3;
                Some(Token::Spread)
            }
            mark @ (b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}') => {
                self.at += 1;
                Some(Token::Mark(mark))
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        if self.peek(0) == b'-' {
            self.at += 1;
        }
        match self.peek(0) {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.skip_while(|byte| byte.is_ascii_digit()),
            _ => return None,
        }
        let mut is_float = false;
        if self.peek(0) == b'.' {
            self.at += 1;
            is_float = true;
            self.digits()?;
        }
        if matches!(self.peek(0), b'e' | b'E') {
            self.at += 1;
            is_float = true;
            if matches!(self.peek(0), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        // Neither another digit nor a name may follow at once.
        if matches!(self.peek(0), b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') {
            return None;
        }
        let text = self.since(start)?;
        Some(if is_float { Token::Float(text) } else { Token::Int(text) })
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<Token<'a>> {
        let start = self.at + 1;
        self.at = start;
        loop {
            self.skip_while(|byte| !matches!(byte, b'"' | b'\\' | b'\n' | b'\r'));
            match self.peek(0) {
                b'"' => {
                    let content = self.since(start)?;
                    self.at += 1;
                    return Some(Token::String(content));
                }
                b'\\' => self.at += 2,
                _ => return None,
            }
        }
    }

    fn block(&mut self) -> Option<Token<'a>> {
        let start = self.at + 3;
        self.at = start;
        loop {
            let rest = self.text.get(self.at..)?;
            let quotes = rest.find("\"\"\"")?;
            self.at += quotes;
            if rest.get(..quotes)?.ends_with('\\') {
                self.at += 3;
                continue;
            }
            let content = self.since(start)?;
            self.at += 3;
            return Some(Token::Block(content));
        }
    }
}

/// The meaning of a string's content; `None` if an escape is none.
pub fn unescape(content: &str) -> Option<String> {
    if !content.contains('\\') {
        return Some(content.to_owned());
    }
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('\\') {
        text.push_str(rest.get(..at)?);
        let escape = rest.get(at + 1..)?;
        let mut length = 1;
        text.push(match escape.as_bytes().first()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, used) = unicode(escape)?;
                length = used;
                character
            }
            _ => return None,
        });
        rest = escape.get(length..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// `u1234`, `u{1f600}` or a surrogate pair `ud83d\ude00`: the character and the length.
fn unicode(escape: &str) -> Option<(char, usize)> {
    let hex = |digits: &str| {
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    if let Some(braced) = escape.strip_prefix("u{") {
        let digits = braced.split('}').next()?;
        return Some((char::from_u32(hex(digits)?)?, digits.len() + 3));
    }
    let first = hex(escape.get(1..5)?)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, 5));
    }
    let second = hex(escape.get(5..)?.strip_prefix("\\u")?.get(..4)?)?;
    let is_low = (0xDC00..0xE000).contains(&second);
    let character = is_low.then(|| char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))).flatten()?;
    Some((character, 11))
}

/// The meaning of a block string's content: without common indentation and without blank first and last lines.
/// Spec: <https://spec.graphql.org/September2025/#BlockStringValue()>
pub fn dedent(content: &str) -> String {
    let content = content.replace("\\\"\"\"", "\"\"\"").replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = content.split('\n').collect();
    let indent_of = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let is_blank = |line: &&str| indent_of(line) == line.len();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(|line| indent_of(line)).min().unwrap_or(0);
    let dedented: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| if index == 0 { *line } else { line.get(common..).unwrap_or_default() })
        .collect();
    let first = dedented.iter().position(|line| !is_blank(line)).unwrap_or(dedented.len());
    let last = dedented.iter().rposition(|line| !is_blank(line)).map_or(first, |last| last + 1);
    dedented.get(first..last).unwrap_or_default().join("\n")
}
