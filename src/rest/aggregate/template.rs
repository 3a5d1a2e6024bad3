//! Templates: text with values of the request's path and of earlier answers, none of which can be more than a value.
//!
//! Relied on by `rest::aggregate`.

use std::fmt::Write as _;

use http::{Uri, uri::PathAndQuery};
use serde_json::{Map, Value};

use super::{super::rewrite::segments, unfit};
use crate::error::Error;

/// What the parts have answered so far.
pub type Answers = Vec<Option<Result<Value, Error>>>;

/// Text with places for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// The segment at this position of the request's path.
    Segment(usize),
    /// A value of a part's answer.
    Answer(usize, Box<[Box<str>]>),
}

impl Template {
    /// Reads a template whose names are segments of `pattern` or fields of the parts that are `known`.
    ///
    /// # Errors
    /// A name that is neither, or a brace that does not close.
    pub fn new(text: &str, pattern: &str, known: &[&str]) -> Result<Self, String> {
        let named: Vec<&str> = segments(pattern.trim_start_matches(['=', ' '])).collect();
        let mut pieces = Vec::new();
        let mut left = text;
        while let Some((literal, after)) = left.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { return Err(format!("a brace in `{text}` is not closed")) };
            pieces.push(Piece::Literal(literal.into()));
            let position = named.iter().position(|it| it.strip_prefix('{').and_then(|it| it.strip_suffix('}')) == Some(name));
            let mut path = name.split('.');
            let part = path.next().and_then(|part| known.iter().position(|known| *known == part));
            pieces.push(match (position, part) {
                (Some(position), _) => Piece::Segment(position),
                (None, Some(part)) => Piece::Answer(part, path.map(Into::into).collect()),
                (None, None) => return Err(format!("`{name}` is neither a segment of the route's path nor an earlier part")),
            });
            left = after;
        }
        pieces.push(Piece::Literal(left.into()));
        Ok(Self(pieces))
    }

    /// The parts whose answers it needs.
    pub fn needs(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Answer(part, _) => Some(*part),
            Piece::Literal(_) | Piece::Segment(_) => None,
        })
    }

    /// As a target: values are encoded, so that none can end its segment or parameter, and none can be a dot segment.
    ///
    /// # Errors
    /// A value is missing, or cannot stand in a path.
    pub fn target(&self, uri: &Uri, answers: &Answers) -> Result<Uri, Error> {
        let mut target = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => target.push_str(text),
                // What is only a character in a path may end a parameter.
                Piece::Segment(position) if target.contains('?') => encode(&segment(uri, *position), &mut target),
                Piece::Segment(position) => target.push_str(segments(uri.path()).nth(*position).unwrap_or_default()),
                Piece::Answer(part, path) => {
                    let value = text_of(find(answers, *part, path)?)?;
                    if matches!(&*value, "" | "." | "..") {
                        return Err(unfit("a value cannot stand in a path"));
                    }
                    encode(&value, &mut target);
                }
            }
        }
        let target = PathAndQuery::try_from(target).map_err(|_| unfit("the path of a part is no path"))?;
        Ok(target.into())
    }

    /// As text.
    ///
    /// # Errors
    /// A value is missing or no scalar.
    pub fn text(&self, uri: &Uri, answers: &Answers) -> Result<String, Error> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Segment(position) => text.push_str(&segment(uri, *position)),
                Piece::Answer(part, path) => text.push_str(&text_of(find(answers, *part, path)?)?),
            }
        }
        Ok(text)
    }

    /// As JSON: a place that is all of it keeps the kind of its value, anything else is a string.
    fn json(&self, uri: &Uri, answers: &Answers) -> Result<Value, Error> {
        match self.0.as_slice() {
            [Piece::Literal(before), Piece::Answer(part, path), Piece::Literal(after)]
                if before.is_empty() && after.is_empty() =>
            {
                find(answers, *part, path).cloned()
            }
            _ => self.text(uri, answers).map(Value::String),
        }
    }
}

/// JSON with places for values. Its depth is that of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// A value as it is.
    Fixed(Value),
    /// A string with places.
    Text(Template),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a body, whose strings are templates.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn new(body: &Value, read: &impl Fn(&str) -> Result<Template, String>) -> Result<Self, String> {
        Ok(match body {
            Value::String(text) => Self::Text(read(text)?),
            Value::Array(items) => Self::List(items.iter().map(|item| Self::new(item, read)).collect::<Result<_, _>>()?),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok::<_, String>((key.clone(), Self::new(value, read)?)));
                Self::Object(fields.collect::<Result<_, _>>()?)
            }
            other => Self::Fixed(other.clone()),
        })
    }

    /// The parts whose answers it needs.
    pub fn needs(&self) -> Vec<usize> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Text(template) => template.needs().collect(),
            Self::List(items) => items.iter().flat_map(Self::needs).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, value)| value.needs()).collect(),
        }
    }

    /// With its values.
    ///
    /// # Errors
    /// A value is missing.
    pub fn fill(&self, uri: &Uri, answers: &Answers) -> Result<Value, Error> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => template.json(uri, answers)?,
            Self::List(items) => Value::Array(items.iter().map(|item| item.fill(uri, answers)).collect::<Result<_, _>>()?),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), value.fill(uri, answers)?)));
                Value::Object(fields.collect::<Result<Map<_, _>, Error>>()?)
            }
        })
    }
}

fn segment(uri: &Uri, position: usize) -> String {
    crate::percent::unescape(segments(uri.path()).nth(position).unwrap_or_default()).into_owned()
}

fn find<'a>(answers: &'a Answers, part: usize, path: &[Box<str>]) -> Result<&'a Value, Error> {
    let missing = || unfit("a part that another one needs failed");
    let mut value = answers.get(part).and_then(Option::as_ref).and_then(|answer| answer.as_ref().ok()).ok_or_else(missing)?;
    for key in path {
        let next = match value {
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(&**key),
        };
        value = next.ok_or_else(|| unfit(format!("an answer has no `{key}`, which another part needs")))?;
    }
    Ok(value)
}

fn text_of(value: &Value) -> Result<String, Error> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(unfit("a value that another part needs is no scalar")),
    }
}

/// Everything but unreserved characters is escaped (RFC 3986, section 2.3).
fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    fn answers(value: &Value) -> Answers {
        vec![Some(Ok(value.clone()))]
    }

    #[test]
    fn no_value_is_more_than_a_value() {
        let template = Template::new("/users/{user.id}/orders?for={user.id}&of={id}", "/shop/{id}", &["user"]).unwrap();
        let uri: Uri = "/shop/a%2Fb".parse().unwrap();
        for (id, wanted) in [
            (json!(7), Some("7")),
            (json!(true), Some("true")),
            (json!("a/b"), Some("a%2Fb")),
            (json!("../x"), Some("..%2Fx")),
            (json!("a?b=c&d#e"), Some("a%3Fb%3Dc%26d%23e")),
            (json!("a\r\nHost: evil"), Some("a%0D%0AHost%3A%20evil")),
            (json!("\"'<é>"), Some("%22%27%3C%C3%A9%3E")),
            (json!(".."), None),
            (json!("."), None),
            (json!(""), None),
            (json!(null), None),
            (json!([1]), None),
            (json!({ "a": 1 }), None),
        ] {
            let target = template.target(&uri, &answers(&json!({ "id": id })));
            let wanted = wanted.map(|it| format!("/users/{it}/orders?for={it}&of=a%2Fb"));
            assert_eq!(target.ok().map(|uri| uri.to_string()), wanted, "{id}");
        }
        let uri: Uri = "/shop/a&b=c+d;e".parse().unwrap();
        let target = template.target(&uri, &answers(&json!({ "id": 7 }))).unwrap();
        assert_eq!(target.to_string(), "/users/7/orders?for=7&of=a%26b%3Dc%2Bd%3Be");
        assert!(template.target(&uri, &answers(&json!({}))).is_err());
        assert!(template.target(&uri, &vec![None]).is_err());
    }

    #[test]
    fn json_keeps_kinds_and_names_must_be_known() {
        let read = |text: &str| Template::new(text, "/{id}", &["one"]);
        let body = json!({ "a": "{one.n}", "b": ["{one.list}", "x{one.n}y", "{id}"], "c": 1, "{one.n}": null });
        let body = Json::new(&body, &read).unwrap();
        let filled = body.fill(&"/q%22+".parse().unwrap(), &answers(&json!({ "n": 5, "list": [1, "2"] }))).unwrap();
        assert_eq!(filled, json!({ "a": 5, "b": [[1, "2"], "x5y", "q\"+"], "c": 1, "{one.n}": null }));
        assert_eq!(body.needs(), [0, 0, 0]);
        for bad in ["{two.n}", "{one.n", "{}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            read("{one.list.1}").unwrap().text(&"/".parse().unwrap(), &answers(&json!({ "list": [1, "2"] }))).unwrap(),
            "2"
        );
    }
}
