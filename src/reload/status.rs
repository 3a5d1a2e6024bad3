//! Status: what is served, since when, and what went wrong last. Written by `reload`, shown by readiness.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::admin::Readiness;

/// The status as writers and readers share it.
pub type SharedStatus = Arc<ArcSwap<Status>>;

/// What readiness tells. Serialised, it is the body of `/health/ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether a supergraph is wanted at all; a gateway with REST routes only is ready without one.
    #[serde(skip)]
    pub is_graph_wanted: bool,
    /// Whether the process is about to end.
    pub draining: bool,
    /// The supergraph that is served.
    pub supergraph: Option<Served>,
    /// Why the newest configuration is not the one that runs.
    pub config: Option<Failure>,
    /// Why the newest schemas are not the ones that are served.
    pub composition: Option<Failure>,
    /// Subgraphs whose schema cannot be had now, and why.
    pub subgraphs: BTreeMap<String, Failure>,
}

/// A supergraph that is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// Where it came from.
    pub origin: Origin,
    /// Since when.
    #[serde(serialize_with = "as_rfc3339")]
    pub since: SystemTime,
    /// Identifies its content.
    pub id: String,
    /// The names of its subgraphs.
    pub subgraphs: Vec<String>,
}

/// Where a supergraph came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Composed from the subgraphs' schemas.
    Composed,
    /// Read from `supergraph.schema` or `--supergraph`.
    File,
    /// Read from `supergraph.last_good`, since it cannot be composed now.
    LastGood,
}

/// Something that did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Since when it does not.
    #[serde(serialize_with = "as_rfc3339")]
    pub since: SystemTime,
    /// What is wrong, one sentence each.
    pub errors: Vec<String>,
}

impl Status {
    /// Whether requests can be answered.
    pub fn is_ready(&self) -> bool {
        !self.draining && (self.supergraph.is_some() || !self.is_graph_wanted)
    }
}

/// A shared status as the readiness probe reads it.
pub struct Readable(pub SharedStatus);

impl Readiness for Readable {
    fn is_ready(&self) -> bool {
        self.0.load().is_ready()
    }

    fn report(&self) -> Value {
        let status = self.0.load();
        let mut report = serde_json::to_value(&**status).unwrap_or_default();
        if let Some(report) = report.as_object_mut() {
            report.insert("status".to_owned(), if status.is_ready() { "UP" } else { "DOWN" }.into());
        }
        report
    }
}

impl Failure {
    /// The same failure as `earlier` goes on since then; a new one starts now.
    pub fn new(errors: Vec<String>, earlier: Option<&Self>) -> Self {
        let since = earlier.filter(|earlier| earlier.errors == errors).map_or_else(SystemTime::now, |earlier| earlier.since);
        Self { since, errors }
    }
}

fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = OffsetDateTime::from(*time).format(&Rfc3339).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_what_is_wanted_is_there() {
        let mut status = Status::default();
        assert!(status.is_ready());
        status.is_graph_wanted = true;
        assert!(!status.is_ready());
        status.supergraph =
            Some(Served { origin: Origin::LastGood, since: SystemTime::UNIX_EPOCH, id: "a".into(), subgraphs: Vec::new() });
        assert!(status.is_ready());
        status.draining = true;
        assert!(!status.is_ready());
        let text = serde_json::to_value(&status).unwrap();
        assert_eq!(
            (&text["supergraph"]["since"], &text["supergraph"]["origin"]),
            (&"1970-01-01T00:00:00Z".into(), &"last_good".into())
        );
    }
}
