//! Constant values while composing: when two are the same, and how one is printed at a place of a known type.
//!
//! Values are compared as the released composition compares them, after coercion to plain data: an enum value equals the
//! string of its name, `1` equals `1.0`, and the order of an object's fields does not matter.
//! Relied on by the merging files and by `print`.

use apollo_compiler::ast::{Argument, Directive, DirectiveDefinition, Value};
use apollo_compiler::{Name, Node};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Whether two values are the same data.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(a), Value::Boolean(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b || a.try_to_f64() == b.try_to_f64(),
        (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => {
            matches!((int.try_to_f64(), float.try_to_f64()), (Ok(a), Ok(b)) if a == b)
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, value)| has_field(b, name, value)),
        _ => matches!((text(a), text(b)), (Some(a), Some(b)) if a == b),
    }
}

fn has_field(fields: &[(Name, Node<Value>)], name: &Name, value: &Value) -> bool {
    fields.iter().any(|(other, theirs)| other == name && same(theirs, value))
}

/// The text of a string or of an enum value.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Enum(name) => Some(name),
        _ => None,
    }
}

/// Whether two optional values are the same; absent equals only absent.
pub(crate) fn same_default(a: Option<&Node<Value>>, b: Option<&Node<Value>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}

/// The argument of an application, as written.
pub(crate) fn written<'a>(directive: &'a Directive, name: &str) -> Option<&'a Node<Value>> {
    directive.arguments.iter().find(|argument| argument.name == name).map(|argument| &argument.value)
}

/// The argument of an application, or the default that its definition gives it.
pub(crate) fn effective<'a>(
    directive: &'a Directive,
    definition: Option<&'a DirectiveDefinition>,
    name: &str,
) -> Option<&'a Node<Value>> {
    written(directive, name).or_else(|| {
        let argument = definition?.arguments.iter().find(|argument| argument.name == name)?;
        argument.default_value.as_ref()
    })
}

/// A text that two applications have in common when they say the same once the defaults of their definitions are filled in.
pub(crate) fn key_of(directive: &Directive, definition: Option<&DirectiveDefinition>) -> String {
    let mut arguments: BTreeMap<&Name, &Value> = BTreeMap::new();
    for argument in definition.into_iter().flat_map(|definition| &definition.arguments) {
        arguments.extend(argument.default_value.as_deref().map(|value| (&argument.name, value)));
    }
    // The first value counts where an argument is given twice.
    arguments.extend(directive.arguments.iter().rev().map(|argument| (&argument.name, argument.value.as_ref())));
    let mut key = String::new();
    for (name, value) in arguments {
        let _ = write!(key, "{name}:");
        write_key(&mut key, value);
    }
    key
}

/// Writes a value so that two texts are equal when the values are the same data.
fn write_key(key: &mut String, value: &Value) {
    match value {
        Value::Int(int) => match int.try_to_f64() {
            Ok(number) if number.abs() < MAX_EXACT => drop(write!(key, "{number:?} ")),
            _ => drop(write!(key, "{} ", int.as_str())),
        },
        Value::Float(float) => match float.try_to_f64() {
            Ok(number) => drop(write!(key, "{number:?} ")),
            Err(_) => drop(write!(key, "{} ", float.as_str())),
        },
        Value::List(items) => {
            key.push('[');
            items.iter().for_each(|item| write_key(key, item));
            key.push(']');
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<&Name, &Node<Value>> = fields.iter().map(|(name, field)| (name, field)).collect();
            key.push('{');
            for (name, field) in sorted {
                let _ = write!(key, "{name}:");
                write_key(key, field);
            }
            key.push('}');
        }
        _ => match text(value) {
            Some(text) => quote(key, text),
            None => print(key, value),
        },
    }
}

/// The largest whole number below which all are exact as 64-bit floating point numbers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A string value.
pub(crate) fn string(text: impl Into<String>) -> Node<Value> {
    Node::new(Value::String(text.into()))
}

/// An application with these arguments.
pub(crate) fn application(name: Name, arguments: Vec<(Name, Node<Value>)>) -> Node<Directive> {
    let arguments = arguments.into_iter().map(|(name, value)| Node::new(Argument { name, value })).collect();
    Node::new(Directive { name, arguments })
}

/// Prints a value on one line.
pub(crate) fn print(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(true) => out.push_str("true"),
        Value::Boolean(false) => out.push_str("false"),
        Value::Int(int) => out.push_str(int.as_str()),
        Value::Float(float) => out.push_str(float.as_str()),
        Value::Enum(name) => out.push_str(name),
        Value::String(text) => quote(out, text),
        Value::Variable(name) => {
            out.push('$');
            out.push_str(name);
        }
        Value::List(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                out.push_str(if position > 0 { ", " } else { "" });
                print(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (position, (name, field)) in fields.iter().enumerate() {
                out.push_str(if position > 0 { ", " } else { "" });
                out.push_str(name);
                out.push_str(": ");
                print(out, field);
            }
            out.push('}');
        }
    }
}

/// Prints a string literal on one line.
pub(crate) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
