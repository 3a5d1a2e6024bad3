//! Problem: something wrong in `router.yaml`, where it stands, and what to write instead.
//!
//! Relied on by every other file of `config`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A position in the file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, when it is a matter of the file's content.
    pub at: Option<Mark>,
    /// The key, as in `routes[0].match.path`; empty for the whole file.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// Its problems, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl Refused {
    /// The problems of `file`, sorted by place and without repetitions.
    pub fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| (one.at, &one.path).cmp(&(other.at, &other.path)));
        problems.dedup_by(|next, kept| next.at == kept.at && next.message == kept.message);
        Self { file: file.to_owned(), problems }
    }

    /// One line per problem: `router.yaml:12:5: limits.max_dept: …`.
    pub fn lines(&self) -> Vec<String> {
        self.problems.iter().map(|problem| format!("{}{problem}", Prefix(&self.file, problem.at))).collect()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)
    }
}

struct Prefix<'a>(&'a Path, Option<Mark>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.0.display())?;
        if let Some(mark) = self.1 {
            write!(out, "{}:{}:", mark.line, mark.column)?;
        }
        out.write_str(" ")
    }
}

/// The one of `known` that was probably meant by `given`, if any is close.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (given.chars().count() / 3).max(2);
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count().min(given.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `: did you mean X?`, or the names that are known.
pub fn hint<'a>(given: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(name) = nearest(given, known.clone()) {
        return format!("; did you mean `{name}`?");
    }
    let names: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!("; known are {}", names.join(", ")) }
}
