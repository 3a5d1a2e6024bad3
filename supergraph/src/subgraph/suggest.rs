//! "Did you mean": names close to a mistyped one, for error messages.
//!
//! Relied on by the checks that meet unknown names.

/// A sentence that proposes the closest names, with a space in front; empty when none is close.
pub fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    let limit = wrong.len() * 2 / 5 + 1;
    let mut close: Vec<(usize, &str)> = known.filter_map(|name| Some((distance(wrong, name, limit)?, name))).collect();
    close.sort_unstable();
    close.dedup();
    match close.as_slice() {
        [] => String::new(),
        [(_, only)] => format!(" Did you mean \"{only}\"?"),
        [(_, first), (_, second), ..] => format!(" Did you mean \"{first}\" or \"{second}\"?"),
    }
}

/// The Levenshtein distance of two names without regard to case, if it is at most `limit`. Quadratic in their lengths, so long ones
/// are not compared.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    const MAX_LENGTH: usize = 64;
    if a.len() > MAX_LENGTH || b.len() > MAX_LENGTH || a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = usize::from(!x.eq_ignore_ascii_case(&y));
            let best = (diagonal + cost).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn close_names_are_proposed() {
        let known = ["@key", "@requires", "@provides"];
        assert_eq!(did_you_mean("@kye", known.into_iter()), " Did you mean \"@key\"?");
        assert_eq!(did_you_mean("@Requires", known.into_iter()), " Did you mean \"@requires\"?");
        assert_eq!(did_you_mean("@somethingElse", known.into_iter()), "");
    }
}
