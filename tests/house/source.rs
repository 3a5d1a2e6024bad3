//! A source file as the house rules see it: code without comments, strings and unit tests; its imports and functions.
//!
//! Relies on nothing but the text; `tests/house.rs` relies on it. It is a scanner, not a parser: it knows as much Rust as the
//! rules need and errs towards finding nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without unit tests; comments and the contents of strings are spaces.
    code: String,
}

/// One function outside tests.
pub struct Function {
    pub name: String,
    /// The line it starts in.
    pub at: usize,
    /// Lines of code from signature to closing brace.
    pub lines: usize,
    /// The deepest nesting of `if`, `match` and loops.
    pub nesting: usize,
    /// Parameters, `self` not counted.
    pub parameters: usize,
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under the folders.
pub fn read_all(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source::read(&path));
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let blanked = blank(&text);
        let code = if is_test { "" } else { blanked.split("#[cfg(test)]").next().unwrap() };
        Self { code: code.to_owned(), path, text }
    }

    /// Lines that hold code.
    pub fn code_lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// Whether the code has that text where no name precedes it.
    pub fn mentions(&self, wanted: &str) -> bool {
        self.code
            .match_indices(wanted)
            .any(|(at, _)| !self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
    }

    /// The path of the module in its crate: `src/a/b.rs` is `a::b`, `src/a/mod.rs` is `a`.
    pub fn module(&self) -> Vec<String> {
        let inside = self.path.rsplit_once("src/").map_or(self.path.as_str(), |(_, inside)| inside);
        let name = inside.trim_end_matches(".rs").trim_end_matches("/mod");
        name.split('/').map(str::to_owned).collect()
    }

    /// Every `crate::` and `super::` path in the code, from the root of the crate; groups are spread out.
    pub fn imports(&self) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        for start in ["crate::", "super::"] {
            for (at, _) in self.code.match_indices(start) {
                let is_inside_a_path = self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                if !is_inside_a_path {
                    spread(&self.code[at..], self.module(), &mut found);
                }
            }
        }
        found
    }

    /// The functions outside tests.
    pub fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.code.lines().collect();
        let mut found = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &str| line.trim_start().starts_with('}') && line.len() - line.trim_start().len() == indent;
            let has_body =
                lines[start..].iter().take_while(|line| !line.trim_end().ends_with(';')).any(|line| line.contains('{'));
            let Some(length) = lines[start..].iter().position(|line| closes(line)).filter(|_| has_body) else { continue };
            let body = &lines[start..=start + length];
            let count = body.iter().filter(|line| !line.trim().is_empty()).count();
            let body = body.join("\n");
            let (nesting, parameters) = (nesting(&body), parameters(&body));
            found.push(Function { name: name.to_owned(), at: start + 1, lines: count, nesting, parameters });
        }
        found
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    for prefix in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async "] {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    let name = words.strip_prefix("fn ")?;
    name.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()
}

/// Resolves one path expression at the start of `code`, relative to `module`, and spreads `{...}` groups at its first level.
fn spread(code: &str, module: Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    let mut path = module;
    let mut rest = code;
    loop {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match name.as_str() {
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            _ => path.push(name.clone()),
        }
        rest = &rest[name.len()..];
        match rest.strip_prefix("::") {
            Some(next) if next.starts_with('{') => {
                for member in members(next) {
                    let name = member.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
                    found.insert(path.iter().cloned().chain([name.to_owned()]).collect());
                }
                return;
            }
            Some(next) if next.starts_with(|c: char| c.is_alphabetic() || c == '_') => rest = next,
            _ => {
                found.insert(path);
                return;
            }
        }
    }
}

/// The comma-separated members of the group that `code` opens with.
fn members(code: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 1;
    let mut found = Vec::new();
    for (at, c) in code.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if (c == ',' && depth == 1) || depth == 0 {
            found.push(code[start..at].trim());
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|member| !member.is_empty());
    found
}

/// The deepest nesting of control flow. `else` continues its `if`; a `match` and its arm's block count as one level.
fn nesting(body: &str) -> usize {
    let mut stack: Vec<bool> = Vec::new();
    let mut statement = String::new();
    let mut deepest = 0;
    for c in body.chars() {
        match c {
            '{' => {
                let words: Vec<&str> = statement.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
                let is_control = words.iter().any(|word| matches!(*word, "if" | "else" | "for" | "while" | "loop" | "match"));
                stack.push(is_control && !words.contains(&"fn") && !words.contains(&"impl"));
                deepest = deepest.max(stack.iter().filter(|is_control| **is_control).count());
                statement.clear();
            }
            '}' => {
                stack.pop();
                statement.clear();
            }
            ';' | ',' => statement.clear(),
            _ => statement.push(c),
        }
    }
    deepest
}

/// The number of parameters of the function that `code` opens with. Commas inside brackets of any kind do not count.
fn parameters(code: &str) -> usize {
    let (mut depth, mut is_in_list, mut found, mut current) = (0, false, Vec::new(), String::new());
    let code = code[code.find("fn ").unwrap_or(0)..].replace("->", "  ");
    for c in code.chars() {
        match c {
            '(' if depth == 0 && !is_in_list => is_in_list = true,
            '<' | '(' | '[' => depth += 1,
            ')' if depth == 0 => break,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => found.push(std::mem::take(&mut current)),
            _ if is_in_list => current.push(c),
            _ => {}
        }
    }
    found.push(current);
    let is_own =
        |parameter: &&String| !parameter.trim().is_empty() && !parameter.trim().trim_start_matches("mut ").ends_with("self");
    found.iter().filter(is_own).count()
}

/// Replaces comments and the contents of strings and characters by spaces; line breaks stay.
fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            '/' if bytes.get(at + 1) == Some(&'/') => find(&bytes, at, |rest| rest[0] == '\n').unwrap_or(bytes.len()),
            '/' if bytes.get(at + 1) == Some(&'*') => {
                find(&bytes, at + 2, |rest| rest.starts_with(&['*', '/'])).map_or(bytes.len(), |end| end + 2)
            }
            'r' if is_raw_string(&bytes, at) => raw_string_end(&bytes, at),
            '"' => string_end(&bytes, at),
            '\'' if is_character(&bytes, at) => character_end(&bytes, at),
            other => {
                out.push(other);
                at += 1;
                continue;
            }
        };
        out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn find(bytes: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> Option<usize> {
    (from..bytes.len()).find(|at| is_end(&bytes[*at..]))
}

fn is_raw_string(bytes: &[char], at: usize) -> bool {
    let after = bytes[at + 1..].iter().find(|c| **c != '#');
    let starts_a_word = at == 0 || !bytes[at - 1].is_alphanumeric() && bytes[at - 1] != '_' || bytes[at - 1] == 'b';
    after == Some(&'"') && starts_a_word
}

fn raw_string_end(bytes: &[char], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|c| **c == '#').count();
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    find(bytes, at + hashes + 2, |rest| rest.starts_with(&end)).map_or(bytes.len(), |found| found + end.len())
}

fn string_end(bytes: &[char], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != '"' {
        end += if bytes[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// A lifetime has no second quote: `'a'` is a character, `'a` is not.
fn is_character(bytes: &[char], at: usize) -> bool {
    bytes.get(at + 1) == Some(&'\\') || bytes.get(at + 2) == Some(&'\'')
}

fn character_end(bytes: &[char], at: usize) -> usize {
    let start = if bytes.get(at + 1) == Some(&'\\') { at + 3 } else { at + 2 };
    find(bytes, start, |rest| rest[0] == '\'').map_or(bytes.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "src/a/b.rs".to_owned(), text: text.to_owned(), code: blank(text) }
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        let blanked = blank("a(\"crate::x \\\" y\", 'c', '\\'', r#\"\"q\"#) // crate::z\nlet b: &'static str; /* { */");
        assert!(!blanked.contains("crate") && !blanked.contains('q') && !blanked.contains('{'), "{blanked}");
        assert!(blanked.contains("let b: &'static str;"), "{blanked}");
    }

    #[test]
    fn imports_are_resolved_and_spread() {
        let found = source("use crate::{c::D, e};\nuse super::f::G;\nlet x = super::super::h::i();").imports();
        let found: Vec<String> = found.into_iter().map(|path| path.join("::")).collect();
        assert_eq!(found, ["a::f::G", "c", "e", "h::i"]);
    }

    #[test]
    fn functions_are_measured() {
        let text = "impl X {\n    pub(crate) async fn f<T: Into<Vec<(A, B)>>>(&'a mut self, a: &[u8; 2], b: impl Fn(A, B) -> C) {\n        if a {\n            for b in c {\n                match d {\n                    _ => {}\n                }\n            }\n        } else {\n        }\n    }\n    fn g();\n}\n";
        let found = source(text).functions();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].parameters, 2);
        assert_eq!((found[0].name.as_str(), found[0].at, found[0].lines, found[0].nesting), ("f", 2, 10, 3));
    }
}
