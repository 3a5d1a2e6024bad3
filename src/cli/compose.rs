//! `supergate compose`: subgraphs to a supergraph, or every reason why there is none.

use std::{io, path::Path};

use serde_json::{Map, Value, json};
use supergraph::{
    compose::{Composition, Source, compose, compose_with_places},
    diagnostics::{Diagnostic, Level},
};

use super::{
    ComposeArgs, ComposeFormat, batch,
    outcome::{Outcome, complain, print},
    rover::Rover,
};
use crate::{
    config::{self, Config, problem::Refused},
    reload::sources::Sources,
};

/// Composes as the arguments ask.
pub fn run(args: &ComposeArgs) -> io::Result<Outcome> {
    if args.batch {
        return batch::run(line);
    }
    let config = match load(&args.config) {
        Ok(config) => config,
        Err(refused) => return Ok(Outcome::wrong(refused)),
    };
    if config.subgraphs.is_empty() {
        return Ok(Outcome::wrong(format_args!("{}: there are no subgraphs to compose", args.config.display())));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut sources = Vec::new();
    let mut is_complete = true;
    for (name, fetched) in runtime.block_on(Sources::default().fetch_all(&config)) {
        match fetched {
            Ok(source) => sources.push(source),
            Err(error) => {
                is_complete = false;
                complain(format_args!("subgraph `{name}`: {error}"));
            }
        }
    }
    if !is_complete {
        return Ok(Outcome::Failed);
    }
    // Who reads the hints of one composition wants to know where; a batch and a poll do without, which is several times faster.
    let result = match compose(&sources) {
        Ok(composition) if !composition.hints.is_empty() => compose_with_places(&sources),
        result => result,
    };
    let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Wrong };
    match args.format {
        ComposeFormat::Json => print(serde_json::to_string_pretty(&answer(result))?)?,
        ComposeFormat::Sdl => {
            let (text, diagnostics) = match result {
                Ok(composition) => (Some(composition.supergraph), composition.hints),
                Err(errors) => (None, errors),
            };
            for diagnostic in diagnostics {
                complain(told(&diagnostic));
            }
            if let Some(text) = text {
                print(text.trim_end())?;
            }
        }
    }
    Ok(outcome)
}

/// rover's file is told apart by what only it has.
fn load(path: &Path) -> Result<Config, Refused> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let is_rover = text.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("federation_version:") || line.starts_with("routing_url:")
    });
    if is_rover { config::load_as::<Rover>(path).map(Config::from) } else { Config::load(path) }
}

/// One line of a batch.
fn line(given: &Value) -> Result<batch::Answer, String> {
    let subgraphs = given.get("subgraphs").and_then(Value::as_array).ok_or("`subgraphs` is missing, or no list")?;
    let source = |subgraph: &Value| -> Result<Source, String> {
        Ok(Source {
            name: batch::text(subgraph, "name")?.to_owned(),
            url: subgraph.get("url").and_then(Value::as_str).unwrap_or_default().to_owned(),
            sdl: batch::text(subgraph, "sdl")?.to_owned(),
        })
    };
    let sources = subgraphs.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(compose(&sources)))
}

/// The JSON of a composition.
fn answer(result: Result<Composition, Vec<Diagnostic>>) -> batch::Answer {
    let entries = match result {
        Ok(Composition { supergraph, api_schema, hints }) => vec![
            ("supergraph", supergraph.into()),
            ("api_schema", api_schema.into()),
            ("hints", hints.iter().map(entry).collect()),
        ],
        Err(errors) => vec![("errors", errors.iter().map(entry).collect())],
    };
    Map::from_iter(entries.into_iter().map(|(key, value)| (key.to_owned(), value)))
}

/// An error or a hint: what, which subgraphs, and where in their SDL.
fn entry(diagnostic: &Diagnostic) -> Value {
    let mut subgraphs: Vec<_> = diagnostic.places.iter().filter_map(|place| place.subgraph.as_deref()).collect();
    subgraphs.sort_unstable();
    subgraphs.dedup();
    let locations: Vec<Value> = diagnostic
        .places
        .iter()
        .filter_map(|place| {
            let (line, column) = place.at?;
            Some(json!({ "subgraph": place.subgraph, "line": line, "column": column }))
        })
        .collect();
    json!({ "code": diagnostic.code, "message": diagnostic.message, "subgraphs": subgraphs, "locations": locations })
}

/// A diagnostic for people: `error KEY_INVALID_FIELDS: …` and a line for each place.
fn told(diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info | Level::Debug => "hint",
    };
    let mut out = format!("{level} {}: {}", diagnostic.code, diagnostic.message);
    for place in &diagnostic.places {
        match (&place.subgraph, place.at) {
            (Some(subgraph), Some((line, column))) => out.push_str(&format!("\n  in subgraph {subgraph}, {line}:{column}")),
            (Some(subgraph), None) => out.push_str(&format!("\n  in subgraph {subgraph}")),
            (None, _) => {}
        }
    }
    out
}
