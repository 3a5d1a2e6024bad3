//! Demand control: what an operation would cost, estimated before anything is planned, by `@cost` and `@listSize`.
//!
//! Relied on by `graphql`; configured by `demand_control:`. `compile` makes a formula of each operation, once; a request puts its
//! variables in (`formula`). Spec: <https://ibm.github.io/graphql-specs/cost-spec.html>

mod compile;
mod formula;
#[cfg(test)]
mod tests;
mod weights;

use apollo_compiler::{ExecutableDocument, executable, response::JsonMap, validation::Valid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supergraph::model::Supergraph;

use crate::{
    error::{Error, ErrorKind},
    exchange::{Cost, Exchange},
};
pub use formula::Formula;
use formula::Pricing;
use weights::Weights;

/// `demand_control`: what operations may cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DemandControlConfig {
    /// Whether costs are estimated.
    pub enabled: bool,
    /// What happens to operations that cost too much.
    pub mode: Mode,
    /// How costs are estimated.
    pub strategy: StrategyConfig,
}

/// `demand_control.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are counted and logged.
    #[default]
    Measure,
    /// They are refused.
    Enforce,
}

/// `demand_control.strategy`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StrategyConfig {
    /// From the operation, the schema and the variables alone.
    pub static_estimated: StaticEstimatedConfig,
}

/// `demand_control.strategy.static_estimated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StaticEstimatedConfig {
    /// Items that a list is taken to have where `@listSize` does not say.
    pub list_size: u32,
    /// The highest cost of one operation.
    pub max: u64,
}

impl Default for StaticEstimatedConfig {
    fn default() -> Self {
        Self { list_size: 10, max: 1000 }
    }
}

/// Estimates operations on one supergraph.
#[derive(Debug)]
pub struct DemandControl {
    mode: Mode,
    limits: StaticEstimatedConfig,
    weights: Weights,
}

impl DemandControl {
    /// The estimates of a configuration; none when it is switched off.
    pub fn new(config: &DemandControlConfig, supergraph: &Supergraph) -> Option<Self> {
        config.enabled.then(|| Self {
            mode: config.mode,
            limits: config.strategy.static_estimated.clone(),
            weights: Weights::read(supergraph),
        })
    }

    /// What an operation costs, but for its variables. Its depth must have been checked.
    pub fn formula(
        &self,
        supergraph: &Supergraph,
        document: &Valid<ExecutableDocument>,
        operation: &executable::Operation,
    ) -> Formula {
        let scale = compile::Scale { supergraph, weights: &self.weights, list_size: i64::from(self.limits.list_size) };
        compile::compile(scale, document, operation)
    }

    /// Estimates an operation with these variables, and states that in the exchange.
    ///
    /// # Errors
    /// It costs too much, or cannot be estimated for lack of a slicing argument; if that is to be enforced.
    pub fn check(
        &self,
        supergraph: &Supergraph,
        formula: &Formula,
        variables: &JsonMap,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let estimate = formula.evaluate(&Pricing { supergraph, weights: &self.weights }, variables);
        let max = self.limits.max;
        let cost = estimate.cost;
        let failure = match estimate.fault {
            Some(fault) => Some(Error::new(ErrorKind::CostUnknown, fault)),
            None if cost > max => Some(Error::new(
                ErrorKind::CostTooHigh,
                format!("The operation is estimated to cost {cost}, and at most {max} is allowed."),
            )),
            None => None,
        };
        let outcome = failure.as_ref().map_or("COST_OK", |failure| failure.kind.code());
        if let Some(facts) = &mut exchange.operation {
            facts.cost = Some(Cost { estimated: cost, outcome });
        }
        match failure {
            Some(failure) if self.mode == Mode::Enforce => Err(failure),
            Some(failure) => {
                tracing::warn!(id = &*exchange.id, cost, max, code = outcome, detail = %failure.detail, "an operation costs too much");
                Ok(())
            }
            None => Ok(()),
        }
    }
}
