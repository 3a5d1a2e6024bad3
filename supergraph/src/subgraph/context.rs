//! `@context` and `@fromContext`: the grammar of the value `$context selection`.
//!
//! Relied on by the facts about fields and by the context rule.

/// Splits `$name selection`: the name without `$`, if the value starts with one, and the selection behind it.
#[must_use]
pub fn split(value: &str) -> (Option<String>, String) {
    let Some(rest) = skip_ignored(value).strip_prefix('$') else { return (None, String::new()) };
    let rest = skip_ignored(rest);
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let (name, selection) = rest.split_at(end);
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => (Some(name.to_owned()), selection.to_owned()),
        _ => (None, String::new()),
    }
}

/// Skips white space, commas and comments.
fn skip_ignored(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches(['\n', '\r', '\t', ' ', ',']);
        let Some(comment) = text.strip_prefix('#') else { return text };
        text = comment.find(['\n', '\r']).map_or("", |end| comment.get(end..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_value_is_a_context_and_a_selection() {
        assert_eq!(split("$user { name }"), (Some("user".to_owned()), " { name }".to_owned()));
        assert_eq!(split(" # note\n $ user name"), (Some("user".to_owned()), " name".to_owned()));
        assert_eq!(split("user { name }").0, None);
        assert_eq!(split("$1 { name }").0, None);
    }
}
