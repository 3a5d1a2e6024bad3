//! Introspection from outside: what `__schema` and `__type` say of every kind of type, and what limits them.
//! Spec: <https://spec.graphql.org/September2025/#sec-Schema-Introspection>

use serde_json::{Value, json};
use subgraphs_example::{Addresses, Example};

use crate::support::Router;

/// A router that answers introspection of `introspection.graphql`, and calls nobody.
async fn introspecting() -> Router {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graphql/introspection.graphql");
    let supergraph = format!("supergraph: {{ schema: \"{schema}\", introspection: true }}\n");
    Router::start(&format!("{supergraph}subgraphs: {{ a: {{ url: \"http://127.0.0.1:9/\" }} }}\n")).await
}

/// The part of the answer at a path.
async fn told(router: &Router, query: &str, path: &str) -> Value {
    let answer = router.graphql(query).await;
    assert!(answer.get("errors").is_none(), "{query}: {answer}");
    answer["data"].pointer(path).unwrap_or_else(|| panic!("{query}: {answer}")).clone()
}

#[tokio::test]
async fn it_is_answered_only_when_switched_on() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let query = "{ __schema { queryType { name } } __type(name: \"Product\") { fields { name } } }";
    let off = Router::start_with(&example, "").await.graphql(query).await;
    assert!(off["errors"][0]["message"].is_string() && off.get("data").is_none(), "{off}");
    let on = Router::start_with(&example, "supergraph: { introspection: true }\n").await;
    let on =
        on.graphql("{ me { id } __typename s: __schema { queryType { name } } __type(name: \"Product\") { fields { name } } }");
    let on = on.await;
    let fields = on["data"]["__type"]["fields"].as_array().unwrap();
    assert!(fields.contains(&json!({ "name": "shippingEstimate" })) && on.get("errors").is_none(), "{on}");
    assert_eq!((&on["data"]["__typename"], &on["data"]["s"]["queryType"]["name"]), (&json!("Query"), &json!("Query")));
    assert!(on["data"]["me"]["id"].is_string() && !on.to_string().contains("_service"));
}

#[tokio::test]
async fn every_kind_of_type_has_the_fields_of_its_kind_and_null_for_the_others() {
    let router = introspecting().await;
    let of = async |name: &str| {
        let fields = "__typename kind name specifiedByURL isOneOf fields { name } interfaces { name } possibleTypes { name } \
                      enumValues { name } inputFields { name } ofType { name }";
        told(&router, &format!("{{ __type(name: \"{name}\") {{ {fields} }} }}"), "/__type").await
    };
    let expected = |kind: &str, name: &str, given: Value| {
        let mut all = json!({ "__typename": "__Type", "kind": kind, "name": name, "specifiedByURL": null, "isOneOf": null,
            "fields": null, "interfaces": null, "possibleTypes": null, "enumValues": null, "inputFields": null, "ofType": null });
        all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        all
    };
    let names = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Value>();
    for (kind, name, given) in [
        ("SCALAR", "Date", json!({ "specifiedByURL": "https://example.com/date" })),
        ("SCALAR", "Int", json!({})),
        ("OBJECT", "Dog", json!({ "fields": names(&["name"]), "interfaces": names(&["Animal"]) })),
        ("OBJECT", "Query", json!({ "fields": names(&["find", "when", "pets"]), "interfaces": [] })),
        ("INTERFACE", "Animal", json!({ "fields": names(&["name"]), "interfaces": [], "possibleTypes": names(&["Dog", "Cat"]) })),
        ("UNION", "Pet", json!({ "possibleTypes": names(&["Dog", "Cat"]) })),
        ("ENUM", "Color", json!({ "enumValues": names(&["RED"]) })),
        ("INPUT_OBJECT", "By", json!({ "inputFields": names(&["id", "name"]), "isOneOf": true })),
        ("INPUT_OBJECT", "In", json!({ "inputFields": names(&["a", "c", "d"]), "isOneOf": false })),
    ] {
        assert_eq!(of(name).await, expected(kind, name, given));
    }
    assert_eq!(told(&router, "{ __type(name: \"Nobody\") { name } }", "/__type").await, Value::Null);
    // What takes part in federation only is no client's.
    assert_eq!(told(&router, "{ __type(name: \"join__Graph\") { name } }", "/__type").await, Value::Null);
}

#[tokio::test]
async fn what_is_deprecated_is_shown_on_request_with_its_reason() {
    let router = introspecting().await;
    let query = "query($all: Boolean = true) {
        dog: __type(name: \"Dog\") { fields(includeDeprecated: $all) { name isDeprecated deprecationReason } }
        color: __type(name: \"Color\") { enumValues(includeDeprecated: true) { name isDeprecated deprecationReason } }
        in: __type(name: \"In\") { inputFields(includeDeprecated: true) { name isDeprecated deprecationReason } }
        query: __type(name: \"Query\") { fields { args(includeDeprecated: true) { name isDeprecated } hidden: args { name } } } }";
    let all = told(&router, query, "").await;
    assert_eq!(
        all["dog"]["fields"],
        json!([{ "name": "name", "isDeprecated": false, "deprecationReason": null },
               { "name": "barks", "isDeprecated": true, "deprecationReason": "quiet" }])
    );
    assert_eq!(
        all["color"]["enumValues"][1],
        json!({ "name": "GREEN", "isDeprecated": true, "deprecationReason": "No longer supported" })
    );
    assert_eq!(all["in"]["inputFields"][1]["isDeprecated"], json!(true));
    let find = &all["query"]["fields"][0];
    assert_eq!(find["args"], json!([{ "name": "by", "isDeprecated": false }, { "name": "old", "isDeprecated": true }]));
    assert_eq!(find["hidden"], json!([{ "name": "by" }]));
    let some = router.operation(query, json!({ "all": false })).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(some["data"]["dog"]["fields"].as_array().map(Vec::len), Some(1), "{some}");
}

#[tokio::test]
async fn types_are_unwrapped_and_default_values_are_graphql() {
    let router = introspecting().await;
    let query = "{ __type(name: \"Query\") { fields { ...F } } } fragment F on __Field { name type { ...T } args { name defaultValue type { ...T } } }
        fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
    let pets = told(&router, query, "/__type/fields/2").await;
    let pet = json!({ "kind": "UNION", "name": "Pet" });
    let required = json!({ "kind": "NON_NULL", "name": null, "ofType": pet });
    let list = json!({ "kind": "LIST", "name": null, "ofType": required });
    assert_eq!(pets["type"], json!({ "kind": "NON_NULL", "name": null, "ofType": list }));
    let int = json!({ "kind": "SCALAR", "name": "Int", "ofType": null });
    assert_eq!(pets["args"][0], json!({ "name": "first", "defaultValue": "3", "type": int }));
    assert_eq!(pets["args"][1]["defaultValue"], json!("\"a\\\"b\""));
    let add = told(&router, "{ __type(name: \"Mutation\") { fields { args { defaultValue } } } }", "/__type/fields/0/args").await;
    assert_eq!(add, json!([{ "defaultValue": "{a: 1, c: RED, d: [1.5]}" }]));
}

#[tokio::test]
async fn the_schema_names_its_roots_its_types_and_its_directives() {
    let router = introspecting().await;
    let query = "{ __schema { description queryType { name } mutationType { name } subscriptionType { name }
        types { name } directives { name isRepeatable locations args { name type { kind ofType { name } } } } } }";
    let schema = told(&router, query, "/__schema").await;
    assert_eq!(schema["description"], json!("The graph of the tests."));
    assert_eq!(
        (&schema["queryType"], &schema["mutationType"], &schema["subscriptionType"]),
        (&json!({ "name": "Query" }), &json!({ "name": "Mutation" }), &Value::Null)
    );
    let names: Vec<&str> = schema["types"].as_array().unwrap().iter().map(|ty| ty["name"].as_str().unwrap()).collect();
    for name in ["Query", "By", "ID", "Float", "Boolean", "__Schema", "__Type", "__TypeKind", "__DirectiveLocation"] {
        assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name} in {names:?}");
    }
    let directives = schema["directives"].as_array().unwrap();
    let one =
        |name: &str| directives.iter().find(|directive| directive["name"] == name).unwrap_or_else(|| panic!("{directives:?}"));
    let condition = json!([{ "name": "if", "type": { "kind": "NON_NULL", "ofType": { "name": "Boolean" } } }]);
    for name in ["skip", "include"] {
        let places = json!(["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"]);
        assert_eq!(*one(name), json!({ "name": name, "isRepeatable": false, "locations": places, "args": condition }));
    }
    assert_eq!(*one("oneOf"), json!({ "name": "oneOf", "isRepeatable": false, "locations": ["INPUT_OBJECT"], "args": [] }));
    assert_eq!(one("specifiedBy")["locations"], json!(["SCALAR"]));
    assert!(one("deprecated")["locations"].as_array().is_some_and(|places| places.contains(&json!("INPUT_FIELD_DEFINITION"))));
    assert_eq!(directives.len(), 5, "{directives:?}");
}

#[tokio::test]
async fn selections_are_merged_skipped_and_spread_like_all_others() {
    let router = introspecting().await;
    let query =
        "query($no: Boolean!) { __type(name: \"Dog\") { ... on __Type { name } ...K fields { n: name } fields { type { kind } }
        description @include(if: $no) ofType @skip(if: true) { name } ... @include(if: $no) { possibleTypes { name } } }
        __schema @include(if: $no) { types { name } } } fragment K on __Type { kind @skip(if: $no) }";
    let response = router.operation(query, json!({ "no": false })).send().await.unwrap();
    let expected = r#"{"data":{"__type":{"name":"Dog","kind":"OBJECT","fields":[{"n":"name","type":{"kind":"NON_NULL"}}]}}}"#;
    assert_eq!(response.text().await.unwrap(), expected);
}

#[tokio::test]
async fn nesting_and_size_are_limited_and_what_tools_ask_is_not_over_the_budget() {
    let router = introspecting().await;
    let code = async |query: &str| {
        let answer = router.graphql(query).await;
        assert!(answer.get("data").is_none_or(Value::is_object), "{answer}");
        answer["errors"][0]["extensions"]["code"].as_str().map(str::to_owned)
    };
    let deep = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    assert_eq!(code(deep).await.as_deref(), Some("OPERATION_TOO_LARGE"));
    let circle = "{ __schema { types { interfaces { possibleTypes { interfaces { possibleTypes { name } } } } } } }";
    assert_eq!(code(circle).await.as_deref(), Some("OPERATION_TOO_LARGE"));
    let doubling: String =
        (0..30).map(|n| format!("fragment F{n} on __Type {{ ofType {{ ...F{0} ...F{0} }} }} ", n + 1)).collect();
    let doubling = format!("{{ __schema {{ types {{ ...F0 }} }} }} {doubling} fragment F30 on __Type {{ name }}");
    assert_eq!(code(&doubling).await.as_deref(), Some("OPERATION_TOO_LARGE"));
    assert_eq!(code("{ __type { name } }").await.as_deref(), Some("GRAPHQL_VALIDATION_FAILED"));
    assert_eq!(code("{ __schema { nothing } }").await.as_deref(), Some("GRAPHQL_VALIDATION_FAILED"));

    // As wide and as deep as what editors and code generators send.
    let wrapped = (0..9).fold("kind name".to_owned(), |inside, _| format!("kind name ofType {{ {inside} }}"));
    let tools = format!(
        "query IntrospectionQuery {{ __schema {{ description queryType {{ name kind }} mutationType {{ name kind }}
            subscriptionType {{ name kind }} types {{ ...FullType }}
            directives {{ name description isRepeatable locations args(includeDeprecated: true) {{ ...InputValue }} }} }} }}
         fragment FullType on __Type {{ kind name description specifiedByURL isOneOf
            fields(includeDeprecated: true) {{ name description args(includeDeprecated: true) {{ ...InputValue }}
              type {{ ...TypeRef }} isDeprecated deprecationReason }}
            inputFields(includeDeprecated: true) {{ ...InputValue }} interfaces {{ ...TypeRef }}
            enumValues(includeDeprecated: true) {{ name description isDeprecated deprecationReason }} possibleTypes {{ ...TypeRef }} }}
         fragment InputValue on __InputValue {{ name description type {{ ...TypeRef }} defaultValue isDeprecated deprecationReason }}
         fragment TypeRef on __Type {{ {wrapped} }}"
    );
    assert_eq!(code(&tools).await, None);
}
