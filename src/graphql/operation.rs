//! Operations: documents parsed, validated and measured once, then found again by their text.
//!
//! Relies on the parser crate and on `budget`; relied on by `graphql`. A repeated document costs one hash of its text.
//! Spec: <https://spec.graphql.org/September2025/#sec-Validation>

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema, ast,
    executable::{self, OperationType},
    parser::Parser,
    response::GraphQLError,
    validation::{DiagnosticList, Valid},
};
use supergraph::{
    document::{Limits, executable_without_locations},
    model::Supergraph,
    plan::{OperationKind, operation::Operation as Planned},
};

use super::{
    budget::{self, Budget},
    demand_control::{DemandControl, Formula},
    literals, merging,
};
use crate::error::{Error, ErrorKind, Location, Problem};

/// Recursions that the parser crate counts for one level of nesting, at the most.
const RECURSIONS_OF_LEVEL: usize = 8;
/// Problems of one document that are reported.
const MAX_PROBLEMS: usize = 20;

/// A valid document.
#[derive(Debug)]
pub struct Document {
    operations: Vec<Arc<Operation>>,
}

/// An operation that is valid on the client schema and within its budget.
#[derive(Debug)]
pub struct Operation {
    /// Tells operations of one endpoint apart.
    pub id: u64,
    /// How often it was asked for.
    pub uses: AtomicU64,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its kind.
    pub kind: OperationKind,
    /// As the planner takes it.
    pub planned: Planned,
    /// What it costs, where that is estimated.
    pub cost: Option<Formula>,
    /// As the parser made it, for variables; without its selections, which would be most of what a cached operation holds.
    pub parsed: Node<executable::Operation>,
    /// What all this takes.
    bytes: usize,
}

/// What documents are checked with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Limits of an operation.
    pub budget: Budget,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// What operations cost, where that is estimated.
    pub demand_control: Option<Arc<DemandControl>>,
}

impl Document {
    /// Parses and validates a document.
    ///
    /// # Errors
    /// It does not parse, is not valid on the client schema, or is over a limit.
    pub fn new(text: &str, supergraph: &Supergraph, rules: &Rules) -> Result<Self, Error> {
        let document = ordinary(text, &rules.budget).and_then(|ordinary| valid(&ordinary, supergraph));
        let document = document.map_or_else(|| parse(text, supergraph, rules), Ok)?;
        let operations =
            document.operations.iter().map(|operation| Operation::new(&document, operation, supergraph, rules).map(Arc::new));
        let operations = operations.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { operations })
    }

    /// The bytes that it takes while it is kept.
    pub fn bytes(&self) -> usize {
        self.operations.iter().map(|operation| operation.bytes).sum()
    }

    /// All of them.
    pub fn operations(&self) -> &[Arc<Operation>] {
        &self.operations
    }

    /// The operation with this name, or the only one; an empty name is none.
    ///
    /// # Errors
    /// There is none, or it takes a name to choose.
    pub fn operation(&self, name: Option<&str>) -> Result<&Arc<Operation>, Error> {
        let name = name.filter(|name| !name.is_empty());
        let found = match (name, self.operations.as_slice()) {
            (None, [only]) => Some(only),
            (None, []) => return Err(unresolved("The document has no operation.".into())),
            (None, _) => {
                return Err(unresolved("The document has several operations: operationName must tell which to run.".into()));
            }
            (Some(name), operations) => operations.iter().find(|operation| operation.name.as_deref() == Some(name)),
        };
        found.ok_or_else(|| unresolved(format!("The document has no operation named `{}`.", name.unwrap_or_default())))
    }
}

impl Operation {
    fn new(
        document: &Valid<ExecutableDocument>,
        parsed: &Node<executable::Operation>,
        supergraph: &Supergraph,
        rules: &Rules,
    ) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        budget::check(&rules.budget, document, parsed)?;
        let mut introspecting = parsed.root_fields(document).filter(|field| matches!(field.name.as_str(), "__schema" | "__type"));
        if introspecting.next().is_some() && !rules.introspection {
            return Err(Error::new(ErrorKind::GraphqlValidationFailed, "Introspection is switched off."));
        }
        let name = parsed.name.as_ref().map(|name| name.as_str());
        let planned = Planned::new(supergraph, document, name)
            .map_err(|_| Error::new(ErrorKind::OperationTooLarge, "The operation is nested too deep."))?;
        let cost = rules.demand_control.as_ref().map(|control| control.formula(supergraph, document, parsed));
        let bytes = size_of::<Self>() + planned.bytes() + cost.as_ref().map_or(0, Formula::bytes) + bytes_of_head(parsed);
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            uses: AtomicU64::new(0),
            name: name.map(Arc::from),
            kind: match parsed.operation_type {
                OperationType::Query => OperationKind::Query,
                OperationType::Mutation => OperationKind::Mutation,
                OperationType::Subscription => OperationKind::Subscription,
            },
            planned,
            cost,
            parsed: head_of(parsed),
            bytes,
        })
    }

    /// The kind as logs and metrics name it.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        }
    }
}

/// The tree of a document without places in the text, if it is certainly within the limits of the parser crate; nothing also where
/// that has to tell what is wrong. Most documents are read this way, which takes a fraction of the time.
fn ordinary(text: &str, budget: &Budget) -> Option<ast::Document> {
    // No token is shorter than a byte.
    let is_within = text.len() < budget.parser_max_tokens;
    let limits = Limits { tokens: budget.parser_max_tokens, depth: budget.parser_max_recursion / RECURSIONS_OF_LEVEL };
    is_within.then(|| executable_without_locations(text, limits))?
}

/// A document that is valid on the client schema; nothing where it is not.
fn valid(syntax: &ast::Document, supergraph: &Supergraph) -> Option<Valid<ExecutableDocument>> {
    let document = syntax.to_executable(&supergraph.client).ok()?.validate(&supergraph.client).ok()?;
    problems(&supergraph.client, &document).is_empty().then_some(document)
}

/// What the parser crate does not find in a document.
fn problems(schema: &Valid<Schema>, document: &ExecutableDocument) -> Vec<Problem> {
    let mut problems = literals::problems(schema, document);
    problems.extend(merging::problems(schema, document));
    problems
}

/// A document as the parser crate reads it, which tells what is wrong where.
fn parse(text: &str, supergraph: &Supergraph, rules: &Rules) -> Result<Valid<ExecutableDocument>, Error> {
    let mut parser = Parser::new().token_limit(rules.budget.parser_max_tokens).recursion_limit(rules.budget.parser_max_recursion);
    let syntax = parser.parse_ast(text, "operation");
    if parser.tokens_reached() > rules.budget.parser_max_tokens {
        let limit = rules.budget.parser_max_tokens;
        return Err(Error::new(ErrorKind::OperationTooLarge, format!("The document has more than {limit} tokens.")));
    }
    if parser.recursion_reached() > rules.budget.parser_max_recursion {
        let limit = rules.budget.parser_max_recursion;
        return Err(Error::new(ErrorKind::OperationTooLarge, format!("The document is nested deeper than {limit} levels.")));
    }
    let syntax = syntax.map_err(|failed| refused(ErrorKind::GraphqlParseFailed, &failed.errors))?;
    // What names nothing is left out of the document, so the other rules would find faults that are not there.
    let invalid = |errors: &DiagnosticList| refused(ErrorKind::GraphqlValidationFailed, errors);
    let document = syntax.to_executable(&supergraph.client).map_err(|failed| invalid(&failed.errors))?;
    let document = document.validate(&supergraph.client).map_err(|failed| invalid(&failed.errors))?;
    let problems = problems(&supergraph.client, &document);
    if !problems.is_empty() {
        return Err(
            Error::new(ErrorKind::GraphqlValidationFailed, "").with_problems(problems.into_iter().take(MAX_PROBLEMS).collect())
        );
    }
    Ok(document)
}

/// An operation without its selections.
fn head_of(operation: &executable::Operation) -> Node<executable::Operation> {
    Node::new(executable::Operation {
        operation_type: operation.operation_type,
        name: operation.name.clone(),
        variables: operation.variables.clone(),
        directives: executable::DirectiveList::new(),
        selection_set: executable::SelectionSet::new(operation.selection_set.ty.clone()),
    })
}

/// What an operation takes without its selections: most of it may be default values of its variables.
fn bytes_of_head(operation: &executable::Operation) -> usize {
    let mut open: Vec<&Node<ast::Value>> = Vec::new();
    let mut bytes = 0;
    for variable in &operation.variables {
        bytes += size_of::<ast::VariableDefinition>() + size_of::<ast::Type>() + 2 * variable.name.len();
        open.extend(&variable.default_value);
        open.extend(variable.directives.iter().flat_map(|directive| directive.arguments.iter().map(|argument| &argument.value)));
        bytes += variable.directives.len() * (size_of::<ast::Directive>() + size_of::<ast::Argument>());
    }
    while let Some(value) = open.pop() {
        // Each stands in an allocation with its counts, and a name or a text in one of its own.
        bytes += size_of::<ast::Value>() + 3 * size_of::<usize>();
        match &**value {
            ast::Value::List(items) => open.extend(items),
            ast::Value::Object(fields) => {
                bytes += fields.iter().map(|(name, _)| 2 * size_of::<Name>() + name.len()).sum::<usize>();
                open.extend(fields.iter().map(|(_, value)| value));
            }
            ast::Value::String(text) => bytes += text.len(),
            ast::Value::Int(number) => bytes += number.as_str().len(),
            ast::Value::Float(number) => bytes += number.as_str().len(),
            _ => {}
        }
    }
    bytes
}

fn unresolved(message: String) -> Error {
    Error::new(ErrorKind::OperationResolutionFailed, message)
}

fn refused(kind: ErrorKind, errors: &DiagnosticList) -> Error {
    let problems = errors.iter().take(MAX_PROBLEMS).map(|error| problem(error.to_json())).collect();
    Error::new(kind, "").with_problems(problems)
}

/// An error of the parser crate as ours.
pub fn problem(error: GraphQLError) -> Problem {
    let locations = error.locations.iter().map(|place| Location { line: place.line, column: place.column }).collect();
    Problem { message: error.message, locations, path: Vec::new() }
}
