//! Batches: one JSON object a line in, one a line out, in order, whatever single lines are worth.
//!
//! Relied on by `compose` and `plan`.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};

use super::outcome::Outcome;

/// What is answered to a line, beside its id.
pub type Answer = Map<String, Value>;

/// Answers every line of standard input.
///
/// # Errors
/// Input or output fails.
pub fn run(answer: impl Fn(&Value) -> Result<Answer, String>) -> io::Result<Outcome> {
    over(io::stdin().lock(), io::stdout().lock(), answer)?;
    Ok(Outcome::Done)
}

fn over(mut input: impl BufRead, mut output: impl Write, answer: impl Fn(&Value) -> Result<Answer, String>) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let given = serde_json::from_slice::<Value>(&line).map_err(|error| format!("not JSON: {error}"));
            let id = given.as_ref().ok().and_then(|given| given.get("id")).cloned().unwrap_or_default();
            let answered = given.and_then(|given| answer(&given));
            let mut out = Map::from_iter([("id".to_owned(), id)]);
            out.extend(answered.unwrap_or_else(|message| invalid(&message)));
            serde_json::to_writer(&mut output, &out)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

/// The text at `key` of a line.
///
/// # Errors
/// It is not there, or no text.
pub fn text<'a>(given: &'a Value, key: &str) -> Result<&'a str, String> {
    given.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing, or no text"))
}

fn invalid(message: &str) -> Answer {
    Map::from_iter([("errors".to_owned(), json!([{ "code": "INVALID_INPUT", "message": message }]))])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_answered_and_the_rest_goes_on() {
        let long = "x".repeat(300_000);
        let input = format!("{{\"id\":1,\"text\":\"a\"}}\n\nnot json\n{{\"id\":\"b\"}}\n{{\"id\":2,\"text\":\"{long}\"}}");
        let mut output = Vec::new();
        over(input.as_bytes(), &mut output, |given| Ok(Map::from_iter([("size".into(), text(given, "text")?.len().into())])))
            .unwrap();
        let lines: Vec<Value> = output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], json!({ "id": 1, "size": 1 }));
        assert_eq!((&lines[1]["id"], &lines[1]["errors"][0]["code"]), (&Value::Null, &"INVALID_INPUT".into()));
        assert_eq!(lines[2]["id"], "b");
        assert_eq!(lines[3]["size"], 300_000);
    }
}
