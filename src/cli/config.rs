//! `supergate config`: the schema of router.yaml, and whether one is right.

use std::{io, path::Path};

use super::outcome::{Outcome, print};
use crate::{
    app::{self, Failure},
    config::{self, Config},
};

/// Prints the JSON Schema.
pub fn schema() -> io::Result<Outcome> {
    let text = serde_json::to_string_pretty(&config::schema::schema()).map_err(io::Error::other)?;
    print(text).map(|()| Outcome::Done)
}

/// Checks a file: what is written in it, and that everything it describes can be made.
pub fn validate(path: &Path) -> io::Result<Outcome> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(refused) => return Ok(Outcome::wrong(refused)),
    };
    // Nothing that is made here gets to run: the runtime is entered, but never waits for anything.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    match app::check(&config) {
        Ok(()) => print(format_args!("{} is valid", path.display())).map(|()| Outcome::Done),
        Err(Failure::Input(message) | Failure::Start(message)) => Ok(Outcome::wrong(format!("{}: {message}", path.display()))),
    }
}
