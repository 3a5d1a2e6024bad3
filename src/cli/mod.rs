//! The command line: arguments to one of the commands, and its outcome to an exit code.
//!
//! `main` calls [`run`]; the commands rely on `app`, `config` and `reload`, and on the crate `supergraph`.

mod batch;
mod compose;
mod config;
mod demo;
mod explain;
mod outcome;
mod plan;
mod rover;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, error::ErrorKind};

use outcome::Outcome;

/// What `--config` is when it is not given.
const DEFAULT_CONFIG: &str = "router.yaml";

/// Composes GraphQL subgraphs into one graph, answers operations on it, and proxies REST services beside it.
#[derive(Debug, Parser)]
#[command(
    name = "supergate",
    version,
    after_help = "Examples:
  supergate demo                                 see it work, with example services
  supergate                                      run what ./router.yaml says
  supergate config validate                      check ./router.yaml
  supergate compose > supergraph.graphql         compose the subgraphs of ./router.yaml

Exit codes: 0 done, 1 the input is wrong, 2 the call is wrong, 3 a failure."
)]
#[command(args_conflicts_with_subcommands = true)]
struct Call {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the router (what `supergate` without a command does)
    #[command(after_help = "Examples:
  supergate serve --config router.yaml
  supergate serve --supergraph supergraph.graphql --listen 0.0.0.0:4000
  supergate serve --dev                          introspection, explorer, readable logs")]
    Serve(ServeArgs),
    /// Run the router with example subgraphs and a REST service, and print what to try
    #[command(after_help = "Example:
  supergate demo")]
    Demo,
    /// Compose subgraphs and print the supergraph
    #[command(after_help = "Examples:
  supergate compose                              the subgraphs of ./router.yaml, asked for their schemas
  supergate compose --config supergraph.yaml     rover's file
  supergate compose --format json | jq .hints
  supergate compose --batch < cases.jsonl        lines of {\"id\",\"subgraphs\":[{\"name\",\"url\",\"sdl\"}]}")]
    Compose(ComposeArgs),
    /// Print how an operation would be executed
    #[command(after_help = "Examples:
  supergate plan --supergraph supergraph.graphql --operation query.graphql
  supergate plan --supergraph supergraph.graphql --operation query.graphql --format json
  supergate plan --supergraph supergraph.graphql --operation query.graphql --stage options
  supergate plan --batch < cases.jsonl           lines of {\"id\",\"supergraph\",\"operation\",\"operation_name\"?,\"variables\"?,\"defer\"?}")]
    Plan(PlanArgs),
    /// Say why: which route takes a request
    #[command(
        subcommand,
        after_help = "Example:
  supergate explain route --method GET --header 'X-API-Version: 2' http://api.example/users/7"
    )]
    Explain(ExplainCommand),
    /// Check router.yaml, or print its JSON Schema
    #[command(
        subcommand,
        after_help = "Examples:
  supergate config validate --config router.yaml
  supergate config schema > router.schema.json"
    )]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The configuration [default: router.yaml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A ready supergraph schema, instead of composing subgraphs
    #[arg(long, value_name = "FILE")]
    supergraph: Option<PathBuf>,
    /// Where clients connect, instead of `supergraph.listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Turn on what helps while developing: introspection, the explorer, readable logs, subgraphs' error messages
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Args)]
struct ComposeArgs {
    /// router.yaml, or rover's supergraph.yaml
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// What is printed
    #[arg(long, value_enum, default_value_t = ComposeFormat::Sdl)]
    format: ComposeFormat,
    /// Compose each line of JSON on standard input, and answer with one line each
    #[arg(long, conflicts_with_all = ["config", "format"])]
    batch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ComposeFormat {
    /// The supergraph SDL; hints and errors go to standard error
    Sdl,
    /// One JSON object with supergraph, api_schema and hints, or errors
    Json,
}

#[derive(Debug, Args)]
struct PlanArgs {
    /// The supergraph schema
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    supergraph: Option<PathBuf>,
    /// The document with the operation
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    operation: Option<PathBuf>,
    /// Which operation of the document
    #[arg(long, value_name = "NAME")]
    operation_name: Option<String>,
    /// JSON with variables, which are checked against the operation
    #[arg(long, value_name = "FILE")]
    variables: Option<PathBuf>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    format: PlanFormat,
    /// Plan what `@defer` marks as parts that can be delivered later
    #[arg(long)]
    defer: bool,
    /// What one stage of planning made of the operation, as text, instead of the plan
    #[arg(long, value_enum)]
    stage: Option<PlanStage>,
    /// Plan each line of JSON on standard input, and answer with one line each
    #[arg(long, conflicts_with_all = ["supergraph", "operation", "operation_name", "variables", "format", "stage"])]
    batch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanFormat {
    /// Indented text
    Text,
    /// The JSON that tools know
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanStage {
    /// Who can resolve each selected field, and how subgraphs are entered
    Options,
    /// Which subgraphs were chosen, and what each gives
    Choice,
    /// The requests, before their documents are printed
    Fetches,
}

#[derive(Debug, Subcommand)]
enum ExplainCommand {
    /// Print the route that takes a request, and those that would if it were not there
    #[command(after_help = "Examples:
  supergate explain route /api/v1/orders
  supergate explain route --method POST --header 'Accept: application/vnd.company.v2+json' http://api.example/users")]
    Route(ExplainRouteArgs),
}

#[derive(Debug, Args)]
struct ExplainRouteArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The request's method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the request; may be given more than once
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The listener that it comes to
    #[arg(long, value_name = "NAME", default_value = crate::config::listeners::DEFAULT)]
    listener: String,
    /// Its URL, or path and query
    url: String,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the JSON Schema of router.yaml
    #[command(after_help = "Example:
  supergate config schema > router.schema.json")]
    Schema,
    /// Check a configuration without starting
    #[command(after_help = "Example:
  supergate config validate --config router.yaml")]
    Validate {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
}

/// Does what the arguments of the process ask for.
pub fn run() -> ExitCode {
    let call = Call::parse();
    let outcome = match call.command {
        None => serve::run(call.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Demo) => demo::run(),
        Some(Command::Compose(args)) => compose::run(&args),
        Some(Command::Plan(args)) if args.stage.is_some() && args.format == PlanFormat::Json => {
            Call::command().error(ErrorKind::ArgumentConflict, "--stage prints text, not --format json").exit()
        }
        Some(Command::Plan(args)) => plan::run(&args),
        Some(Command::Explain(ExplainCommand::Route(args))) => explain::route(&args),
        Some(Command::Config(ConfigCommand::Schema)) => config::schema(),
        Some(Command::Config(ConfigCommand::Validate { config })) => config::validate(&config),
    };
    outcome.unwrap_or_else(Outcome::from).exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_declared_without_contradiction() {
        Call::command().debug_assert();
    }
}
