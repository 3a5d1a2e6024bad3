//! `supergate plan`: how an operation would be executed, as text or as the JSON that tools know.

use std::{cell::RefCell, io, path::Path, time::Instant};

use apollo_compiler::{ExecutableDocument, request::coerce_variable_values, response::JsonMap, validation::Valid};
use serde_json::{Map, Value, json};
use supergraph::{
    model::Supergraph,
    plan::{
        self, PlanOptions, Printed, Tables,
        operation::{Operation, OperationError},
    },
};

use super::{
    PlanArgs, PlanFormat, PlanStage, batch,
    outcome::{Outcome, complain, print},
};

/// One thing that is wrong with the input.
struct Complaint {
    code: String,
    message: String,
}

/// A supergraph, ready to plan on.
struct Planner {
    text: String,
    supergraph: Supergraph,
    tables: Tables,
}

/// An operation and what comes with it.
#[derive(Clone, Copy)]
struct Request<'a> {
    document: &'a str,
    name: Option<&'a str>,
    variables: Option<&'a Value>,
    /// Whether `@defer` is kept.
    defer: bool,
}

/// Plans as the arguments ask.
pub fn run(args: &PlanArgs) -> io::Result<Outcome> {
    if args.batch {
        // Neighbouring lines often share a supergraph, which takes longer to read than an operation to plan.
        let last = RefCell::new(None);
        return batch::run(|given| line(given, &last));
    }
    let (Some(supergraph), Some(operation)) = (&args.supergraph, &args.operation) else {
        return Ok(Outcome::wrong("--supergraph and --operation are needed, or --batch"));
    };
    let texts = read(supergraph).and_then(|supergraph| Ok((supergraph, read(operation)?, variables(args.variables.as_deref())?)));
    let (supergraph, document, variables) = match texts {
        Ok(texts) => texts,
        Err(message) => return Ok(Outcome::wrong(message)),
    };
    let request =
        Request { document: &document, name: args.operation_name.as_deref(), variables: variables.as_ref(), defer: args.defer };
    let printed = Planner::new(supergraph).and_then(|planner| match args.stage {
        Some(stage) => planner.stage(&request, stage.into()),
        None => planner.plan(&request).map(|(printed, _)| match args.format {
            PlanFormat::Text => printed.text,
            PlanFormat::Json => format!("{:#}", printed.json),
        }),
    });
    match printed {
        Ok(printed) => {
            print(printed.trim_end())?;
            Ok(Outcome::Done)
        }
        Err(complaints) => {
            for Complaint { code, message } in complaints {
                complain(format_args!("error {code}: {message}"));
            }
            Ok(Outcome::Wrong)
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn variables(path: Option<&Path>) -> Result<Option<Value>, String> {
    let Some(path) = path else { return Ok(None) };
    serde_json::from_str(&read(path)?).map(Some).map_err(|error| format!("{} is not JSON: {error}", path.display()))
}

/// One line of a batch.
fn line(given: &Value, last: &RefCell<Option<Planner>>) -> Result<batch::Answer, String> {
    let supergraph = batch::text(given, "supergraph")?;
    let request = Request {
        document: batch::text(given, "operation")?,
        name: given.get("operation_name").and_then(Value::as_str),
        variables: given.get("variables").filter(|variables| !variables.is_null()),
        defer: given.get("defer").and_then(Value::as_bool).unwrap_or_default(),
    };
    let mut last = last.borrow_mut();
    let planned = match last.take().filter(|planner| planner.text == supergraph) {
        Some(planner) => Ok(planner),
        None => Planner::new(supergraph.to_owned()),
    }
    .and_then(|planner| last.insert(planner).plan(&request));
    let entries = match planned {
        Ok((printed, micros)) => vec![("plan", printed.json), ("planning_us", micros.into())],
        Err(complaints) => {
            let errors = complaints.iter().map(|Complaint { code, message }| json!({ "message": message, "code": code }));
            vec![("errors", errors.collect())]
        }
    };
    Ok(Map::from_iter(entries.into_iter().map(|(key, value)| (key.to_owned(), value))))
}

impl Planner {
    fn new(text: String) -> Result<Self, Vec<Complaint>> {
        let supergraph = Supergraph::read(&text).map_err(|diagnostics| {
            let complaint = |diagnostic: supergraph::diagnostics::Diagnostic| Complaint {
                code: diagnostic.code.to_owned(),
                message: diagnostic.message,
            };
            diagnostics.into_iter().map(complaint).collect::<Vec<_>>()
        })?;
        let tables = Tables::new(&supergraph);
        Ok(Self { text, supergraph, tables })
    }

    /// The plan, and the microseconds that planning alone took.
    fn plan(&self, request: &Request<'_>) -> Result<(Printed, u64), Vec<Complaint>> {
        let (operation, options) = self.operation(request)?;
        let started = Instant::now();
        let _ = plan::plan(&self.supergraph, &self.tables, &operation, &options).map_err(failed)?;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // Without variables the plan is for any.
        let print = if request.variables.is_some() { plan::print } else { plan::print_each };
        print(&self.supergraph, &self.tables, &operation, &options).map_err(failed).map(|printed| (printed, micros))
    }

    /// What one stage made of the operation.
    fn stage(&self, request: &Request<'_>, stage: plan::PlanStage) -> Result<String, Vec<Complaint>> {
        let (operation, options) = self.operation(request)?;
        plan::print_stage(&self.supergraph, &self.tables, &operation, &options, stage).map_err(failed)
    }

    /// The operation that is meant, valid on the client schema, with variables that fit, and what these say of its plan.
    fn operation(&self, request: &Request<'_>) -> Result<(Operation, PlanOptions), Vec<Complaint>> {
        let with_defer = request.defer.then(|| self.supergraph.client_with_defer());
        let client = with_defer.as_ref().unwrap_or(&self.supergraph.client);
        let document = ExecutableDocument::parse_and_validate(client, request.document, "operation").map_err(|failed| {
            let errors = failed.errors.iter().map(|error| error.error.to_string());
            errors.flat_map(|message| complaint("GRAPHQL_VALIDATION_FAILED", message)).collect::<Vec<_>>()
        })?;
        let request = &Request { name: chosen(&document, request.name), ..*request };
        let lower = if request.defer { Operation::with_defer } else { Operation::new };
        let operation = lower(&self.supergraph, &document, request.name).map_err(|error| match error {
            OperationError::NotFound => {
                let message = "there is no such operation, or a name must tell which is meant";
                complaint("OPERATION_RESOLUTION_FAILURE", message.to_owned())
            }
            OperationError::TooDeep => complaint("OPERATION_TOO_LARGE", "the operation is nested too deep".to_owned()),
        })?;
        let variables = self.variables(&document, request).map_err(|message| complaint("BAD_USER_INPUT", message))?;
        let is_false = |name: &&str| variables.get(*name).is_some_and(|value| value.as_bool() == Some(false));
        let undeferred = operation.defer_variables().into_iter().filter(is_false).map(Into::into).collect();
        Ok((operation, PlanOptions { undeferred, ..PlanOptions::default() }))
    }

    /// The values of the variables. A plan depends on those of `@defer` only, but variables that do not fit would never get as far as a
    /// plan.
    fn variables(&self, document: &Valid<ExecutableDocument>, request: &Request<'_>) -> Result<JsonMap, String> {
        let Some(variables) = request.variables else { return Ok(JsonMap::new()) };
        let given = parser_json(variables).ok_or("the variables are no JSON object")?;
        let operation = document.operations.get(request.name).map_err(|error| error.message().to_string())?;
        coerce_variable_values(&self.supergraph.client, operation, &given)
            .map(Valid::into_inner)
            .map_err(|error| error.message().to_string())
    }
}

impl From<PlanStage> for plan::PlanStage {
    fn from(stage: PlanStage) -> Self {
        match stage {
            PlanStage::Options => Self::Options,
            PlanStage::Choice => Self::Choice,
            PlanStage::Fetches => Self::Fetches,
        }
    }
}

fn complaint(code: &str, message: String) -> Vec<Complaint> {
    vec![Complaint { code: code.to_owned(), message }]
}

fn failed(error: plan::PlanError) -> Vec<Complaint> {
    complaint("PLANNING_FAILED", error.to_string())
}

/// The operation that is meant: unlike a server, which must not guess, the command takes the document's first when none is named.
fn chosen<'a>(document: &'a ExecutableDocument, name: Option<&'a str>) -> Option<&'a str> {
    let operations = &document.operations;
    let first = || operations.named.keys().next().filter(|_| operations.anonymous.is_none()).map(|name| name.as_str());
    name.filter(|name| !name.is_empty()).or_else(first)
}

/// The same object in the parser's own form of JSON.
fn parser_json(value: &Value) -> Option<apollo_compiler::response::JsonMap> {
    serde_json::from_value(value.clone()).ok()
}
