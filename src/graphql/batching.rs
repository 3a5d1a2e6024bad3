//! Batching: several requests in one, answered in one list, in their order.
//!
//! Relied on by `graphql`; configured by `batching:`. Each request is run as if it had come alone, all at once; what fails of one
//! fails for that one only.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http;
use crate::{
    error::{Error, ErrorKind},
    exchange::{Exchange, OperationFacts},
};

/// `batching`: several requests in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchingConfig {
    /// Whether lists of requests are taken.
    pub enabled: bool,
    /// The form of a batch.
    pub mode: BatchingMode,
    /// Most requests of one batch.
    pub maximum_size: usize,
}

/// The form of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchingMode {
    /// A list of requests in JSON.
    #[default]
    BatchHttpLink,
}

impl Default for BatchingConfig {
    fn default() -> Self {
        Self { enabled: false, mode: BatchingMode::default(), maximum_size: 10 }
    }
}

/// Refuses a batch of this size where there may be none, or none so large.
///
/// # Errors
/// It is refused.
pub fn check(config: &BatchingConfig, size: usize) -> Result<(), Error> {
    let refused = |message: String| Err(Error::new(ErrorKind::GraphqlBadRequest, message));
    match size {
        _ if !config.enabled => refused("Batches of operations are not accepted.".into()),
        0 => refused("The batch is empty.".into()),
        size if size > config.maximum_size => {
            refused(format!("The batch has {size} operations, at most {} are accepted.", config.maximum_size))
        }
        _ => Ok(()),
    }
}

/// The answers of a batch as one list. What was done for each is stated in the exchange of the batch.
pub fn join(exchange: &mut Exchange, parts: Vec<Exchange>, answers: Vec<Result<Bytes, Error>>) -> Vec<u8> {
    let mut out = vec![b'['];
    for (mut part, answer) in parts.into_iter().zip(answers) {
        if out.len() > 1 {
            out.push(b',');
        }
        match answer {
            Ok(answer) => out.extend_from_slice(&answer),
            Err(error) => {
                let (id, code) = (&*part.id, error.kind.code());
                tracing::debug!(id, code, detail = %error.detail, "an operation of a batch failed");
                let unknown = OperationFacts { name: None, kind: "unknown", planning: None, cost: None, errors: 0 };
                part.operation.get_or_insert(unknown).errors = error.problems.len().max(1);
                out.extend_from_slice(&http::errors(&error));
            }
        }
        exchange.take_part(part);
    }
    out.push(b']');
    out
}
