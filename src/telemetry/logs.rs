//! The gateway's own log, to standard error: JSON for machines, text for people.
//!
//! Access-log lines are not written here but by `pipeline::access_log`. Secrets never reach a log: nobody logs header values.

use std::io::IsTerminal as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// `telemetry.logging`: the process's own log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoggingConfig {
    /// `json`, or `text` for people.
    pub format: Form,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter as in `info,supergate=debug`.
    pub level: String,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { format: Form::Json, level: "info".into() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// Readable text.
    Text,
}

/// Sends the process's log to standard error. Only the first call of a process has an effect, so tests may call it freely.
///
/// # Errors
/// `level` is neither a level nor a filter such as `info,supergate=debug`.
pub fn start(form: Form, level: &str) -> Result<(), String> {
    let subscriber = subscriber(form, level, std::io::stderr)?;
    // A second start is harmless: the first one's log goes on.
    let _ = tracing::dispatcher::set_global_default(subscriber);
    Ok(())
}

fn subscriber<W>(form: Form, level: &str, writer: W) -> Result<tracing::Dispatch, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level).map_err(|error| format!("`{level}` is not a log level: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    Ok(match form {
        Form::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).into(),
        Form::Text => builder.compact().with_ansi(std::io::stderr().is_terminal()).into(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_one_json_object_at_the_level_asked_for() {
        let lines = Lines::default();
        let made = lines.clone();
        let subscriber = subscriber(Form::Json, "info", move || made.clone()).unwrap();
        tracing::dispatcher::with_default(&subscriber, || {
            tracing::info!(subgraph = "a\nb", "taken");
            tracing::debug!("not shown");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 1);
        assert_eq!((objects[0]["subgraph"].as_str(), objects[0]["message"].as_str()), (Some("a\nb"), Some("taken")));
    }

    #[test]
    fn a_wrong_level_is_refused() {
        assert!(subscriber(Form::Text, "loud=very", std::io::sink).is_err());
    }
}
