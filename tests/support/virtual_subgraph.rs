//! A subgraph that answers any operation on its SDL from a world of JSON values: for federations that exist only in a test.
//!
//! Relies on apollo-compiler, which validates every operation before it is executed, so that a planner's invalid fetch is an error
//! of the test. In a world, `"$Product:1"` refers to the entity of that name; `{ "$by": "id", "of": "Product" }` to the one that the
//! argument `id` names; `{ "$from": ["price", "size.weight"] }` joins what the representation brought, for `@requires`; and
//! `{ "$arguments": ["currency"] }` joins the field's arguments, for `@fromContext`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use apollo_compiler::resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

/// The definitions that federation adds to every subgraph.
const FEDERATION: &str = r#"
    scalar _Import
    directive @link(url: String!, as: String, import: [_Import]) repeatable on SCHEMA
    directive @key(fields: String!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
    directive @requires(fields: String!) on FIELD_DEFINITION
    directive @provides(fields: String!) on FIELD_DEFINITION
    directive @external on OBJECT | FIELD_DEFINITION
    directive @shareable repeatable on OBJECT | FIELD_DEFINITION
    directive @override(from: String!, label: String) on FIELD_DEFINITION
    directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ENUM | ENUM_VALUE | SCALAR | INPUT_OBJECT | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION
    directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
    directive @interfaceObject on OBJECT
    directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
    directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
    directive @policy(policies: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
    directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
    directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
    directive @context(name: String!) repeatable on OBJECT | INTERFACE | UNION
    directive @fromContext(field: String) on ARGUMENT_DEFINITION
    scalar _Any
    type _Service { sdl: String }
"#;

/// A running virtual subgraph; it ends with the runtime that started it.
pub struct VirtualSubgraph {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Served {
    sdl: String,
    schema: Valid<Schema>,
    world: Arc<Value>,
}

impl VirtualSubgraph {
    /// Starts a subgraph with this SDL on this world.
    pub async fn start(sdl: &str, world: Arc<Value>) -> Self {
        let served = Arc::new(Served { sdl: sdl.to_owned(), schema: schema(sdl), world });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let recorded = asked.clone();
        let answer = move |Json(request): Json<Value>| {
            recorded.lock().unwrap().push(request["query"].as_str().unwrap_or_default().to_owned());
            std::future::ready(Json(served.answer(&request)))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, Router::new().route("/", post(answer))).into_future());
        Self { address, asked }
    }

    /// The operations that it got since the last call, but for those that ask for its schema.
    pub fn take(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.into_iter().filter(|query| !query.contains("_service")).collect()
    }

    /// Its endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The executable schema of a subgraph: its SDL with federation's definitions, `_entities` and `_service`.
fn schema(sdl: &str) -> Valid<Schema> {
    let parse =
        |text: String| Schema::builder().adopt_orphan_extensions().parse(text, "sdl").build().map_err(|error| error.to_string());
    let plain = parse(format!("{sdl}{FEDERATION}")).unwrap();
    let entities = plain.types.iter().filter(|(_, definition)| {
        definition.is_object() && definition.directives().iter().any(|directive| directive.name == "key")
    });
    let entities: Vec<&str> = entities.map(|(name, _)| name.as_str()).collect();
    let query = if plain.types.contains_key("Query") { "extend type Query" } else { "type Query" };
    let roots = match entities.as_slice() {
        [] => format!("{query} {{ _service: _Service! }}"),
        names => format!(
            "union _Entity = {} {query} {{ _service: _Service! _entities(representations: [_Any!]!): [_Entity]! }}",
            names.join(" | ")
        ),
    };
    let whole = parse(format!("{sdl}{FEDERATION}{roots}")).unwrap();
    whole.validate().map_err(|error| error.to_string()).unwrap()
}

impl Served {
    fn answer(&self, request: &Value) -> Value {
        let text = request["query"].as_str().unwrap_or_default();
        let document = match ExecutableDocument::parse_and_validate(&self.schema, text, "operation") {
            Ok(document) => document,
            Err(error) => return json!({ "errors": [{ "message": error.to_string() }] }),
        };
        let variables: JsonMap =
            serde_json::from_value(request.get("variables").cloned().unwrap_or(json!({}))).unwrap_or_default();
        let operation = document.operations.get(request["operationName"].as_str()).unwrap();
        let root = Object {
            served: self,
            type_name: operation.object_type().as_str(),
            value: &self.world[operation.object_type().as_str()],
            brought: None,
        };
        let execution = Execution::new(&self.schema, &document).operation(operation).raw_variable_values(&variables);
        match execution.execute_sync(&root) {
            Ok(response) => serde_json::to_value(response).unwrap(),
            Err(error) => json!({ "errors": [{ "message": format!("{error:?}") }] }),
        }
    }

    /// The entity that a representation stands for: the one of its type that agrees with it in everything but what it brings for
    /// `@requires`, that is, in some key.
    fn entity(&self, representation: &Map<String, Value>) -> Option<(&str, &Value)> {
        let type_name = representation.get("__typename")?.as_str()?;
        let keys = self.schema.types.get(type_name)?.directives().get_all("key");
        let fields: Vec<&str> = keys.filter_map(|key| key.specified_argument_by_name("fields")?.as_str()).collect();
        let definition = self.schema.types.get_key_value(type_name)?.0.as_str();
        let entities = self.world["entities"].as_object()?;
        // A type that is an interface elsewhere (`@interfaceObject`) stands for each of its objects.
        let is_of_type =
            |name: &str, entity: &Value| name.starts_with(&format!("{type_name}:")) || entity["interfaces"] == json!([type_name]);
        let found = entities.iter().find(|(name, entity)| {
            let agrees = |key: &&str| {
                top_level(key)
                    .all(|field| representation.get(field).is_some_and(|brought| self.contains(&entity[field], brought)))
            };
            is_of_type(name, entity) && fields.iter().any(agrees)
        });
        // A representation may name an interface; the object is of the type that it really is, where this subgraph knows it.
        let own = |entity: &Value| self.schema.types.get_key_value(entity["__typename"].as_str()?);
        found.map(|(_, entity)| (own(entity).map_or(definition, |(own, _)| own.as_str()), entity))
    }

    /// Whether everything in `part` is in `whole`, references followed.
    fn contains(&self, whole: &Value, part: &Value) -> bool {
        match (self.follow(whole), part) {
            (Value::Object(whole), Value::Object(part)) => part
                .iter()
                .all(|(name, value)| name == "__typename" || whole.get(name).is_some_and(|known| self.contains(known, value))),
            (whole, part) => whole == part,
        }
    }

    fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value.as_str().and_then(|text| text.strip_prefix('$')) {
            Some(name) => &self.world["entities"][name],
            None => value,
        }
    }
}

/// The names at the first level of a field set.
fn top_level(field_set: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    field_set.split_whitespace().filter(move |word| {
        depth += i32::from(*word == "{") - i32::from(*word == "}");
        depth == 0 && *word != "}"
    })
}

/// One object of the world during an execution, with what its representation brought.
struct Object<'a> {
    served: &'a Served,
    type_name: &'a str,
    value: &'a Value,
    brought: Option<Map<String, Value>>,
}

impl ObjectValue for Object<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let type_name = info.field_definition().ty.inner_named_type().as_str();
        match info.field_name() {
            "_service" => Ok(ResolvedValue::object(Sdl(&self.served.sdl))),
            "_entities" => Ok(ResolvedValue::list(representations(info)?.into_iter().map(|brought| {
                let found = self.served.entity(&brought);
                ResolvedValue::nullable_object(found.map(|(type_name, value)| Object {
                    served: self.served,
                    type_name,
                    value,
                    brought: Some(brought),
                }))
            }))),
            name => self.resolve(&self.value[name], type_name, info.arguments()),
        }
    }
}

impl<'a> Object<'a> {
    fn resolve(&self, value: &'a Value, type_name: &'a str, arguments: &JsonMap) -> Result<ResolvedValue<'a>, FieldError> {
        if let Some(sources) = value["$from"].as_array() {
            return self.join(sources);
        }
        if let Some(names) = value["$arguments"].as_array() {
            let given = names.iter().filter_map(|name| arguments.get(name.as_str()?));
            return Ok(ResolvedValue::leaf(given.map(ToString::to_string).collect::<Vec<_>>().join("-")));
        }
        if let Some(argument) = value["$by"].as_str() {
            let wanted = arguments.get(argument).and_then(|value| value.as_str()).unwrap_or_default();
            let name = format!("{}:{wanted}", value["of"].as_str().unwrap_or_default());
            return self.resolve(&self.served.world["entities"][name.as_str()], type_name, arguments);
        }
        match self.served.follow(value) {
            Value::Array(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.resolve(item, type_name, arguments)).collect();
                Ok(ResolvedValue::list(items?))
            }
            object @ Value::Object(fields) => {
                // Where this subgraph knows only the interface object, the object's own type does not exist here.
                let own =
                    fields.get("__typename").and_then(Value::as_str).filter(|own| self.served.schema.types.contains_key(*own));
                Ok(ResolvedValue::object(Object {
                    served: self.served,
                    type_name: own.unwrap_or(type_name),
                    value: object,
                    brought: None,
                }))
            }
            leaf => {
                Ok(ResolvedValue::leaf(serde_json::from_value::<apollo_compiler::response::JsonValue>(leaf.clone()).unwrap()))
            }
        }
    }

    /// What a field that requires others computes: their values, joined. One that is missing is the planner's mistake.
    fn join(&self, sources: &[Value]) -> Result<ResolvedValue<'a>, FieldError> {
        let brought = Value::Object(self.brought.clone().unwrap_or_default());
        let values = sources.iter().filter_map(Value::as_str).map(|source| {
            let value = brought.pointer(&format!("/{}", source.replace('.', "/")));
            value.map(Value::to_string).ok_or_else(|| FieldError { message: format!("`{source}` was not brought") })
        });
        Ok(ResolvedValue::leaf(values.collect::<Result<Vec<_>, _>>()?.join("-")))
    }
}

fn representations(info: &ResolveInfo<'_>) -> Result<Vec<Map<String, Value>>, FieldError> {
    let representations = serde_json::to_value(&info.arguments()["representations"]).and_then(serde_json::from_value);
    representations.map_err(|error| FieldError { message: error.to_string() })
}

struct Sdl<'a>(&'a str);

impl ObjectValue for Sdl<'_> {
    fn type_name(&self) -> &str {
        "_Service"
    }

    fn resolve_field<'a>(&'a self, _: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        Ok(ResolvedValue::leaf(self.0))
    }
}
