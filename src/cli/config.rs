//! `supergate config`: the schema of router.yaml, and whether one is right.

use std::{io, path::Path};

use super::outcome::{Outcome, print};
use crate::config::{self, Config};

/// Prints the JSON Schema.
pub fn schema() -> io::Result<Outcome> {
    let text = serde_json::to_string_pretty(&config::schema::schema()).map_err(io::Error::other)?;
    print(text).map(|()| Outcome::Done)
}

/// Checks a file.
pub fn validate(path: &Path) -> io::Result<Outcome> {
    match Config::load(path) {
        Ok(_) => print(format_args!("{} is valid", path.display())).map(|()| Outcome::Done),
        Err(refused) => Ok(Outcome::wrong(refused)),
    }
}
