//! Authorization of fields and types: `@authenticated`, `@requiresScopes` and `@policy`.
//!
//! What an operation asks is known with the operation; here it is decided who meets it. What is not met shapes the plan, whose
//! cache has it in its key, so that nobody gets a plan that was made for somebody else. Relied on by `graphql`; relies on
//! `supergraph::model::access`. Configured by `authorization.directives`.

use std::collections::BTreeMap;

use apollo_compiler::response::JsonMap;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supergraph::{
    ids::{ConditionId, Id, LayoutId, RequirementId},
    model::access::{Access, AnyOf, Requirement},
    plan::shape::{OutputValue, Shape},
};

use super::plans::Ready;
use crate::{
    error::{Error, ErrorKind, Problem},
    exchange::{Exchange, Identity},
    execute::run::evaluate,
};

/// Denied fields of one operation that are told when it is rejected.
const MAX_TOLD: usize = 100;
/// Denied fields of one operation that are looked at, for some may be left out by variables.
const MAX_KEPT: usize = 10_000;

/// `Cache-Control` of answers that depend on who asks.
pub const PERSONAL: HeaderValue = HeaderValue::from_static("private, no-cache");

/// How the schema's authorization directives are enforced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationDirectivesConfig {
    /// Whether they are enforced at all.
    pub enabled: bool,
    /// Whether an operation with a forbidden field is refused as a whole, instead of answered without that field.
    pub reject_unauthorized: bool,
    /// Log what would be forbidden, and forbid nothing.
    pub dry_run: bool,
    /// The claim that lists the policies (`@policy`) that hold for whoever asks: a list, or names separated by spaces.
    pub policies_claim: String,
    /// Policies that are decided by another claim, by name.
    pub policies: BTreeMap<String, PolicyConfig>,
}

impl Default for AuthorizationDirectivesConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            reject_unauthorized: false,
            dry_run: false,
            policies_claim: "policies".into(),
            policies: BTreeMap::new(),
        }
    }
}

/// One policy: it holds when the claim is, or lists, one of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The claim.
    pub claim: String,
    /// The values, of which one is enough.
    pub values: Vec<String>,
}

/// A field that is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Response keys down to it.
    pub path: Vec<Box<str>>,
    /// Conditions without which nobody asks for it.
    conditions: Vec<ConditionId>,
}

impl Denied {
    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        let keys: usize = self.path.iter().map(|key| size_of_val(key) + key.len()).sum();
        size_of::<Self>() + keys + size_of_val(&*self.conditions)
    }
}

/// Those of an operation's requirements that this identity does not meet, in order.
pub fn unmet(
    config: &AuthorizationDirectivesConfig,
    access: &Access,
    requirements: &[RequirementId],
    identity: Option<&Identity>,
) -> Vec<RequirementId> {
    if !config.enabled {
        return Vec::new();
    }
    let is_met = |id: RequirementId| access.get(id).is_some_and(|requirement| meets(config, requirement, identity));
    requirements.iter().copied().filter(|id| !is_met(*id)).collect()
}

fn meets(config: &AuthorizationDirectivesConfig, requirement: &Requirement, identity: Option<&Identity>) -> bool {
    let is_granted = |scope: &str| identity.is_some_and(|identity| identity.scopes.iter().any(|own| **own == *scope));
    let has_policy = |policy: &str| identity.is_some_and(|identity| holds(config, policy, identity));
    (!requirement.is_authenticated || identity.is_some())
        && requirement.scopes.iter().all(|any| is_held(any, is_granted))
        && requirement.policies.iter().all(|any| is_held(any, has_policy))
}

/// Whether all names of some list are held. A list of no lists is held by nobody.
fn is_held(any: &AnyOf, is_own: impl Fn(&str) -> bool) -> bool {
    any.iter().any(|all| all.iter().all(|name| is_own(name)))
}

/// Whether a policy holds for an identity.
fn holds(config: &AuthorizationDirectivesConfig, policy: &str, identity: &Identity) -> bool {
    if let Some(decided) = config.policies.get(policy) {
        let claim = identity.claims.get(&decided.claim);
        return claim.is_some_and(|claim| decided.values.iter().any(|value| lists(claim, value)));
    }
    identity.claims.get(&config.policies_claim).is_some_and(|claim| match claim {
        Value::String(names) => names.split_ascii_whitespace().any(|name| name == policy),
        claim => lists(claim, policy),
    })
}

/// Whether a claim is this value or a list with it.
fn lists(claim: &Value, wanted: &str) -> bool {
    let is_wanted = |value: &Value| match value {
        Value::String(text) => text == wanted,
        Value::Bool(is) => wanted == if *is { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        _ => false,
    };
    match claim {
        Value::Array(items) => items.iter().any(is_wanted),
        claim => is_wanted(claim),
    }
}

/// What a plan's shape denies, as far as it is looked at.
pub fn denied_in(shape: &Shape) -> Vec<Denied> {
    let mut found = Vec::new();
    let mut open = vec![(LayoutId::new(0), Vec::new(), Vec::new())];
    while let Some((layout, path, conditions)) = open.pop() {
        let Some(layout) = shape.layouts.get(layout) else { continue };
        for field in &layout.fields {
            let path: Vec<Box<str>> = path.iter().chain([&field.key]).cloned().collect();
            let conditions: Vec<ConditionId> = conditions.iter().copied().chain(field.condition).collect();
            match &field.value {
                OutputValue::Object(below) => open.push((*below, path, conditions)),
                OutputValue::Denied(below) if below.is_empty() => found.push(Denied { path, conditions }),
                OutputValue::Denied(below) => found.extend(
                    below
                        .iter()
                        .map(|rest| Denied { path: path.iter().chain(rest).cloned().collect(), conditions: conditions.clone() }),
                ),
                OutputValue::Typename | OutputValue::Leaf(_) => {}
            }
            if found.len() >= MAX_KEPT {
                return found;
            }
        }
    }
    found
}

/// What is denied of an operation with these variables, each path once.
fn asked<'a>(plan: &'a Ready, variables: &JsonMap) -> Vec<&'a Denied> {
    let holds = |id: &ConditionId| plan.plan.plan.conditions.get(*id).is_some_and(|condition| evaluate(condition, variables));
    let mut asked: Vec<&Denied> = plan.denied.iter().filter(|denied| denied.conditions.iter().all(holds)).collect();
    asked.sort_by(|first, second| first.path.cmp(&second.path));
    asked.dedup_by(|first, second| first.path == second.path);
    asked
}

/// Refuses an operation that asks for what is denied.
///
/// # Errors
/// It does.
pub fn reject(plan: &Ready, variables: &JsonMap) -> Result<(), Error> {
    let kind = ErrorKind::UnauthorizedField;
    let problem = |denied: &Denied| Problem { message: kind.message().into(), locations: Vec::new(), path: denied.path.clone() };
    let problems: Vec<_> = asked(plan, variables).into_iter().take(MAX_TOLD).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::new(kind, "").with_problems(problems)) }
}

/// Logs what would be denied.
pub fn log(plan: &Ready, variables: &JsonMap, exchange: &Exchange) {
    let operation = exchange.operation.as_ref().and_then(|facts| facts.name.as_deref()).unwrap_or_default();
    for denied in asked(plan, variables).into_iter().take(MAX_TOLD) {
        let path = denied.path.join(".");
        tracing::warn!(id = &*exchange.id, operation, path, "a field would be denied");
    }
}
