//! The federations of `supergraph/tests/compose`, with tokens deleted, repeated, swapped and replaced as the bytes say.
#![no_main]

mod check;

use std::{fs, path::Path, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use supergraph::compose::Source;

/// The subgraphs of each case, in the order of the cases' names.
static FEDERATIONS: LazyLock<Vec<Vec<Source>>> = LazyLock::new(|| {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../supergraph/tests/compose");
    children(&cases).iter().map(|case| sources(&case.join("subgraphs"))).filter(|case| !case.is_empty()).collect()
});

/// Every distinct token of all cases: what a token may be replaced with.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all: Vec<String> = FEDERATIONS.iter().flatten().flat_map(|source| tokens(&source.sdl)).collect();
    all.sort();
    all.dedup();
    all
});

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.iter().copied();
    let Some(federation) = pick(&FEDERATIONS, &mut bytes) else { return };
    let mut texts: Vec<Vec<String>> = federation.iter().map(|source| tokens(&source.sdl)).collect();
    while let Some(kind) = bytes.next() {
        mutate(&mut texts, kind, &mut bytes);
    }
    let sources = federation.iter().zip(texts);
    check::check(sources.map(|(source, text)| Source { sdl: text.join(" "), ..source.clone() }).collect());
});

/// One change of one token (or of a short run of tokens) of one subgraph.
fn mutate(texts: &mut [Vec<String>], kind: u8, bytes: &mut impl Iterator<Item = u8>) {
    let count = texts.len();
    let Some(text) = texts.get_mut(number(bytes) % count) else { return };
    if text.is_empty() {
        return;
    }
    let (at, length) = (number(bytes) % text.len(), 1 + usize::from(kind >> 4));
    let end = (at + length).min(text.len());
    match kind % 5 {
        0 => drop(text.drain(at..end)),
        1 => {
            let copied = text[at..end].to_vec();
            let to = number(bytes) % (text.len() + 1);
            text.splice(to..to, copied);
        }
        2 => {
            let other = number(bytes) % text.len();
            text.swap(at, other);
        }
        3 => text[at] = text[number(bytes) % text.len()].clone(),
        _ => text[at] = pick(&TOKENS, bytes).cloned().unwrap_or_default(),
    }
}

fn number(bytes: &mut impl Iterator<Item = u8>) -> usize {
    usize::from(bytes.next().unwrap_or(0)) << 8 | usize::from(bytes.next().unwrap_or(0))
}

fn pick<'list, T>(list: &'list [T], bytes: &mut impl Iterator<Item = u8>) -> Option<&'list T> {
    list.get(number(bytes) % list.len().max(1))
}

/// Words, strings, and single characters; comments and the space between are left out.
fn tokens(sdl: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = sdl.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' if rest.starts_with("\"\"\"") => rest[3..].find("\"\"\"").map_or(rest.len(), |end| end + 6),
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            _ if is_word(first) => rest.find(|next| !is_word(next)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        if first != '#' {
            tokens.push(rest[..length].to_owned());
        }
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || "_-.".contains(character)
}

fn children(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn sources(folder: &Path) -> Vec<Source> {
    let source = |path: &std::path::PathBuf| {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some(Source { name, url: String::new(), sdl: fs::read_to_string(path).ok()? })
    };
    children(folder).iter().filter_map(source).collect()
}
