//! Fields and types that the schema guards: who gets them, what the others get, and what subgraphs are asked for.

use std::sync::Arc;

use apollo_compiler::ast::{Definition, DirectiveList, Document, FieldDefinition};
use apollo_compiler::{Node, collections::HashMap};
use serde_json::{Map, Value, json};

use crate::support::{Router, Scripted, VirtualSubgraph, answer, jwt_config_with, token};

const PEOPLE: &str = r#"
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
        "@key", "@requiresScopes", "@policy", { name: "@authenticated", as: "@known" }
    ])
    directive @known on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
    type Query {
        me: User
        users: [User!]!
        open: String
        secret: String @known
        vault: Vault
        level: Level
        pin: Pin
        media: [Media!]!
        found: [Found!]!
        item: Item
    }
    type Mutation { rename(name: String!): User @requiresScopes(scopes: [["write"]]) touch: String }
    type User @key(fields: "id") {
        id: ID!
        name: String
        email: String @requiresScopes(scopes: [["read:email", "read:user"], ["admin"]])
        salary: Int @policy(policies: [["hr"]])
        ssn: String! @known
        friend: User
        both: String @known @requiresScopes(scopes: [["a"], ["b"]]) @policy(policies: [["p", "q"]])
    }
    type Vault @known { gold: Int }
    enum Level @requiresScopes(scopes: [["admin"]]) { LOW HIGH }
    scalar Pin @known
    interface Media { id: ID! title: String price: Int }
    type Book implements Media { id: ID! title: String price: Int @requiresScopes(scopes: [["shop"]]) pages: Int }
    type Film implements Media { id: ID! title: String price: Int minutes: Int }
    type Item @key(fields: "sku") { sku: String @known name: String weight: Int @known }
    union Found = Book | Hidden
    type Hidden @known { clue: String }
"#;

const REVIEWS: &str = r#"
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [
        "@key", "@requires", "@external", { name: "@authenticated", as: "@known" }
    ])
    directive @known on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
    type User @key(fields: "id") { id: ID! reviews: [Review!] private: [Review!]! @known }
    type Review { body: String stars: Int @known }
    type Item @key(fields: "sku") { sku: String weight: Int @external stock: Int postage: String @requires(fields: "weight") @known }
"#;

fn world() -> Value {
    json!({
        "Query": {
            "me": "$User:1", "users": ["$User:1", "$User:2"], "open": "yes", "secret": "classified", "vault": { "gold": 7 },
            "level": "HIGH", "pin": "1234", "item": "$Item:1", "media": ["$Book:1", "$Film:2"], "found": ["$Book:1", "$Hidden:1"]
        },
        "Mutation": { "rename": "$User:1", "touch": "touched" },
        "entities": {
            "User:1": {
                "id": "1", "name": "Ada", "email": "ada@example.com", "salary": 90, "ssn": "111", "friend": "$User:2", "both": "all",
                "reviews": [{ "body": "good", "stars": 5 }, { "body": "bad", "stars": 1 }], "private": [{ "body": "diary" }]
            },
            "User:2": {
                "id": "2", "name": "Bob", "email": "bob@example.com", "salary": 80, "ssn": "222", "friend": null, "both": "all",
                "reviews": [], "private": []
            },
            "Book:1": { "__typename": "Book", "id": "b", "title": "Maps", "price": 10, "pages": 120 },
            "Film:2": { "__typename": "Film", "id": "f", "title": "Rain", "price": 20, "minutes": 95 },
            "Item:1": { "sku": "s-1", "name": "Table", "weight": 3, "stock": 12, "postage": { "$from": ["weight"] } },
            "Hidden:1": { "__typename": "Hidden", "clue": "under the stone" }
        }
    })
}

/// A router in front of both subgraphs.
struct Guarded {
    router: Router,
    people: VirtualSubgraph,
    reviews: VirtualSubgraph,
}

impl Guarded {
    async fn start(more: &str) -> Self {
        let world = Arc::new(world());
        let people = VirtualSubgraph::start(PEOPLE, world.clone()).await;
        let reviews = VirtualSubgraph::start(REVIEWS, world).await;
        let (one, two) = (people.url(), reviews.url());
        let config = format!("subgraphs: {{ people: {{ url: \"{one}\" }}, reviews: {{ url: \"{two}\" }} }}\n{more}");
        let router = Router::start(&format!("{config}{}", jwt_config_with("require: false"))).await;
        people.take();
        Self { router, people, reviews }
    }

    /// Status and answer for someone with these claims; nobody has none.
    async fn ask(&self, query: &str, claims: Option<Value>) -> (u16, Value) {
        let mut request = self.router.operation(query, json!({ "yes": true, "no": false }));
        if let Some(claims) = claims {
            request = request.bearer_auth(token(claims));
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// `data`, and the paths of the errors, which must all have the one code.
    async fn data(&self, query: &str, claims: Option<Value>) -> (Value, Vec<Value>) {
        let (status, answer) = self.ask(query, claims).await;
        assert_eq!(status, 200, "{query}: {answer}");
        (answer["data"].clone(), paths(&answer))
    }

    /// What both subgraphs were asked since the last call.
    fn asked(&self) -> Vec<String> {
        let mut all = self.people.take();
        all.extend(self.reviews.take());
        all
    }
}

fn paths(answer: &Value) -> Vec<Value> {
    let errors = answer.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
    for error in &errors {
        assert_eq!(error["extensions"]["code"], "UNAUTHORIZED_FIELD_OR_TYPE", "{answer}");
        assert!(error["message"].is_string(), "{answer}");
    }
    errors.into_iter().map(|error| error["path"].clone()).collect()
}

fn scopes(scopes: &str) -> Option<Value> {
    Some(json!({ "scope": scopes }))
}

#[tokio::test]
async fn what_is_denied_is_null_with_an_error_and_no_subgraph_is_asked_for_it() {
    let guarded = Guarded::start("supergraph: { introspection: true }\n").await;
    let none: Vec<Value> = Vec::new();
    for (query, claims, data, errors) in [
        ("{ open secret }", None, json!({ "open": "yes", "secret": null }), vec![json!(["secret"])]),
        ("{ open a: secret }", None, json!({ "open": "yes", "a": null }), vec![json!(["a"])]),
        ("{ open secret }", scopes(""), json!({ "open": "yes", "secret": "classified" }), none.clone()),
        (
            "{ me { name email } }",
            scopes("read:email"),
            json!({ "me": { "name": "Ada", "email": null } }),
            vec![json!(["me", "email"])],
        ),
        ("{ me { email } }", scopes("read:user read:email"), json!({ "me": { "email": "ada@example.com" } }), none.clone()),
        ("{ me { email } }", scopes("admin"), json!({ "me": { "email": "ada@example.com" } }), none.clone()),
        // A null that cannot be there goes up to where it can.
        ("{ me { name ssn } }", None, json!({ "me": null }), vec![json!(["me", "ssn"])]),
        (
            "{ me { name friend { name ssn } } }",
            None,
            json!({ "me": { "name": "Ada", "friend": null } }),
            vec![json!(["me", "friend", "ssn"])],
        ),
        ("{ users { name ssn } }", None, Value::Null, vec![json!(["users", 0, "ssn"])]),
        (
            "{ users { name email } }",
            None,
            json!({ "users": [{ "name": "Ada", "email": null }, { "name": "Bob", "email": null }] }),
            vec![json!(["users", 0, "email"]), json!(["users", 1, "email"])],
        ),
        // Types guard the fields that give them.
        (
            "{ open vault { gold } level pin }",
            None,
            json!({ "open": "yes", "vault": null, "level": null, "pin": null }),
            vec![json!(["vault"]), json!(["level"]), json!(["pin"])],
        ),
        (
            "{ vault { gold } level pin }",
            scopes("admin"),
            json!({ "vault": { "gold": 7 }, "level": "HIGH", "pin": "1234" }),
            none.clone(),
        ),
        // The second subgraph's own.
        (
            "{ me { reviews { body stars } private { body } } }",
            None,
            json!({ "me": null }),
            vec![json!(["me", "reviews", 0, "stars"]), json!(["me", "reviews", 1, "stars"]), json!(["me", "private"])],
        ),
        (
            "{ me { reviews { stars } } }",
            scopes(""),
            json!({ "me": { "reviews": [{ "stars": 5 }, { "stars": 1 }] } }),
            none.clone(),
        ),
        // What variables leave out is not asked for, and is no error.
        (
            "query ($yes: Boolean! $no: Boolean!) { open secret @skip(if: $yes) x: secret @include(if: $no) }",
            None,
            json!({ "open": "yes" }),
            none.clone(),
        ),
        (
            "query ($yes: Boolean!) { open secret @include(if: $yes) }",
            None,
            json!({ "open": "yes", "secret": null }),
            vec![json!(["secret"])],
        ),
        (
            "{ __typename __schema { queryType { name } } }",
            None,
            json!({ "__typename": "Query", "__schema": { "queryType": { "name": "Query" } } }),
            none.clone(),
        ),
    ] {
        let (found, paths) = guarded.data(query, claims.clone()).await;
        assert_eq!((&found, &paths), (&data, &errors), "{query} by {claims:?}");
        let asked = guarded.asked().join(" ");
        for path in &errors {
            let denied = path.as_array().unwrap().last().unwrap().as_str().unwrap();
            assert!(!asked.contains(if denied == "a" { "secret" } else { denied }), "{query}: {asked}");
        }
    }
}

#[tokio::test]
async fn where_nothing_is_left_no_subgraph_is_called() {
    let guarded = Guarded::start("").await;
    for (query, data, errors) in [
        ("{ secret }", json!({ "secret": null }), vec![json!(["secret"])]),
        ("{ vault { gold } }", json!({ "vault": null }), vec![json!(["vault"])]),
        ("{ me { email salary } }", json!({ "me": null }), vec![json!(["me", "email"]), json!(["me", "salary"])]),
        ("{ me { friend { email } } }", json!({ "me": null }), vec![json!(["me", "friend", "email"])]),
        ("{ users { email } }", Value::Null, vec![json!(["users"])]),
        ("mutation { rename(name: \"x\") { name } }", json!({ "rename": null }), vec![json!(["rename"])]),
        ("fragment F on Query { secret } { ...F }", json!({ "secret": null }), vec![json!(["secret"])]),
    ] {
        assert_eq!(guarded.data(query, None).await, (data, errors), "{query}");
        assert_eq!(guarded.asked(), Vec::<String>::new(), "{query}");
    }
    let query = "mutation { touch rename(name: \"x\") { name } }";
    let (data, errors) = guarded.data(query, scopes("read")).await;
    assert_eq!((data, errors), (json!({ "touch": "touched", "rename": null }), vec![json!(["rename"])]));
    assert!(guarded.asked().iter().all(|asked| !asked.contains("rename")));
    let (data, _) = guarded.data(query, scopes("write")).await;
    assert_eq!(data, json!({ "touch": "touched", "rename": { "name": "Ada" } }));
}

#[tokio::test]
async fn keys_that_are_denied_still_join_subgraphs_unseen() {
    let guarded = Guarded::start("").await;
    for (query, claims, data, errors) in [
        ("{ item { sku stock } }", None, json!({ "item": { "sku": null, "stock": 12 } }), vec![json!(["item", "sku"])]),
        (
            "{ item { a: sku b: sku stock } }",
            None,
            json!({ "item": { "a": null, "b": null, "stock": 12 } }),
            vec![json!(["item", "a"]), json!(["item", "b"])],
        ),
        ("{ item { stock name } }", None, json!({ "item": { "stock": 12, "name": "Table" } }), vec![]),
        (
            "{ item { stock postage weight } }",
            None,
            json!({ "item": { "stock": 12, "postage": null, "weight": null } }),
            vec![json!(["item", "postage"]), json!(["item", "weight"])],
        ),
        ("{ item { sku stock postage } }", scopes(""), json!({ "item": { "sku": "s-1", "stock": 12, "postage": "3" } }), vec![]),
    ] {
        assert_eq!(guarded.data(query, claims.clone()).await, (data, errors), "{query} by {claims:?}");
        assert!(claims.is_some() || guarded.asked().iter().all(|asked| !asked.contains("weight") && !asked.contains("postage")));
    }
}

#[tokio::test]
async fn an_interface_asks_what_every_object_asks_and_a_fragment_only_what_its_own_does() {
    let guarded = Guarded::start("").await;
    for (query, claims, data, errors) in [
        (
            "{ media { title price } }",
            None,
            json!({ "media": [{ "title": "Maps", "price": null }, { "title": "Rain", "price": null }] }),
            vec![json!(["media", 0, "price"]), json!(["media", 1, "price"])],
        ),
        ("{ media { price } }", scopes("shop"), json!({ "media": [{ "price": 10 }, { "price": 20 }] }), vec![]),
        (
            "{ media { id ... on Film { price } ... on Book { price pages } } }",
            None,
            json!({ "media": [{ "id": "b", "price": null, "pages": 120 }, { "id": "f", "price": 20 }] }),
            vec![json!(["media", 0, "price"])],
        ),
        (
            "fragment P on Media { price } { media { id ... on Film { ...P } } }",
            None,
            json!({ "media": [{ "id": "b" }, { "id": "f", "price": null }] }),
            vec![json!(["media", 1, "price"])],
        ),
        // What may be seen in one place may be seen.
        (
            "{ media { id price ... on Film { price } } }",
            None,
            json!({ "media": [{ "id": "b", "price": null }, { "id": "f", "price": 20 }] }),
            vec![json!(["media", 0, "price"])],
        ),
        (
            "{ found { __typename ... on Book { title } ... on Hidden { clue } } }",
            None,
            json!({ "found": [{ "__typename": "Book", "title": "Maps" }, { "__typename": "Hidden", "clue": null }] }),
            vec![json!(["found", 1, "clue"])],
        ),
        ("{ found { ... on Hidden { clue } } }", scopes(""), json!({ "found": [{}, { "clue": "under the stone" }] }), vec![]),
    ] {
        let found = guarded.data(query, claims.clone()).await;
        assert_eq!(found, (data, errors), "{query} by {claims:?}");
        assert!(claims.is_some() || guarded.asked().iter().all(|asked| !asked.contains("clue")));
    }
}

#[tokio::test]
async fn several_directives_are_all_needed_and_policies_come_from_claims() {
    let policies =
        "authorization: { directives: { policies_claim: held, policies: { hr: { claim: teams, values: [hr, board] } } } }\n";
    let guarded = Guarded::start(policies).await;
    for (claims, is_seen) in [
        (json!({ "scope": "a", "held": ["p", "q"] }), true),
        (json!({ "scope": "x b", "held": "q r p" }), true),
        (json!({ "scope": "a" }), false),
        (json!({ "scope": "a", "held": ["p"] }), false),
        (json!({ "scope": "a", "held": "pq" }), false),
        (json!({ "held": ["p", "q"] }), false),
        (json!({ "scope": "a b", "policies": ["p", "q"] }), false),
    ] {
        let (data, errors) = guarded.data("{ me { name both } }", Some(claims.clone())).await;
        assert_eq!(data["me"]["both"], if is_seen { json!("all") } else { Value::Null }, "{claims}");
        assert_eq!(errors.is_empty(), is_seen, "{claims}");
    }
    for (claims, is_seen) in [
        (json!({ "teams": "hr" }), true),
        (json!({ "teams": ["it", "board"] }), true),
        (json!({ "teams": ["it"], "held": ["hr"] }), false),
    ] {
        let (data, _) = guarded.data("{ me { name salary } }", Some(claims.clone())).await;
        assert_eq!(data["me"]["salary"].is_number(), is_seen, "{claims}");
    }
}

#[tokio::test]
async fn users_who_share_an_operation_share_neither_plan_nor_answer() {
    let guarded = Guarded::start("traffic_shaping: { router: { deduplicate: true } }\n").await;
    let query = "{ me { name email } secret }";
    for _ in 0..3 {
        let (data, errors) = guarded.data(query, None).await;
        assert_eq!((data, errors.len()), (json!({ "me": { "name": "Ada", "email": null }, "secret": null }), 2));
        let (data, errors) = guarded.data(query, scopes("admin")).await;
        assert_eq!(
            (data, errors.len()),
            (json!({ "me": { "name": "Ada", "email": "ada@example.com" }, "secret": "classified" }), 0)
        );
        let (data, errors) = guarded.data(query, scopes("other")).await;
        assert_eq!((data, errors.len()), (json!({ "me": { "name": "Ada", "email": null }, "secret": "classified" }), 1));
    }
    let asks = (0..24).map(|number| guarded.data(query, (number % 2 == 0).then(|| json!({ "scope": "admin" }))));
    for (number, (data, errors)) in futures_util::future::join_all(asks).await.into_iter().enumerate() {
        assert_eq!(data["secret"].is_string(), number % 2 == 0);
        assert_eq!(errors.is_empty(), number % 2 == 0);
    }
}

#[tokio::test]
async fn shared_caches_are_told_that_others_get_another_answer() {
    let subgraph =
        Scripted::start(|_| answer(200, "cache-control: public, max-age=60\r\n", r#"{"data":{"open":"o","own":"s"}}"#)).await;
    let link = r#"extend schema @link(url: \"https://specs.apollo.dev/federation/v2.9\", import: [\"@authenticated\"])"#;
    let router = Router::start(&format!(
        "subgraphs: {{ a: {{ url: \"{}\", schema: {{ sdl: \"{link} type Query {{ open: String own: String @authenticated }}\" }} }} }}\n\
         headers: {{ all: {{ response: [{{ propagate: {{ named: cache-control, algorithm: append }} }}] }} }}\n{}",
        subgraph.url(),
        jwt_config_with("require: false")
    ))
    .await;
    for (query, expected) in [("{ open }", "public, max-age=60"), ("{ open own }", "private, no-cache")] {
        let response = router.operation(query, json!({})).bearer_auth(token(json!({}))).send().await.unwrap();
        let values: Vec<_> = response.headers().get_all("cache-control").iter().collect();
        assert_eq!(values, [expected], "{query}");
    }
}

#[tokio::test]
async fn an_operation_can_be_rejected_as_a_whole() {
    let guarded = Guarded::start("authorization: { directives: { reject_unauthorized: true } }\n").await;
    let (status, answer) = guarded.ask("{ open secret users { name ssn } }", None).await;
    assert_eq!(status, 403, "{answer}");
    assert!(answer.get("data").is_none(), "{answer}");
    assert_eq!(paths(&answer), [json!(["secret"]), json!(["users", "ssn"])]);
    assert!(guarded.asked().is_empty());
    let (data, errors) = guarded.data("{ open secret }", scopes("")).await;
    assert_eq!((data, errors), (json!({ "open": "yes", "secret": "classified" }), vec![]));
    let skipped = "query ($yes: Boolean!) { open secret @skip(if: $yes) }";
    assert_eq!(guarded.data(skipped, None).await, (json!({ "open": "yes" }), vec![]));
}

#[tokio::test]
async fn a_dry_run_denies_nothing() {
    let guarded = Guarded::start("authorization: { directives: { dry_run: true, reject_unauthorized: true } }\n").await;
    let (data, errors) = guarded.data("{ open secret }", None).await;
    assert_eq!((data, errors), (json!({ "open": "yes", "secret": "classified" }), vec![]));
    assert!(guarded.router.log().contains("a field would be denied"));
}

/// What both SDLs say, read anew: fields by type, and what types and fields ask.
#[derive(Default)]
struct Rules {
    fields: HashMap<String, Vec<Node<FieldDefinition>>>,
    types: HashMap<String, DirectiveList>,
    objects: HashMap<String, Vec<String>>,
}

/// Someone: known or not, with scopes and policies.
struct Someone {
    is_known: bool,
    names: Vec<&'static str>,
}

impl Rules {
    fn read() -> Self {
        let mut rules = Self::default();
        for sdl in [PEOPLE, REVIEWS] {
            for definition in Document::parse(sdl, "sdl").unwrap().definitions {
                let Some(name) = definition.name().map(ToString::to_string) else { continue };
                rules.types.entry(name.clone()).or_default().extend(definition.directives().iter().cloned());
                let fields = match &definition {
                    Definition::ObjectTypeDefinition(object) => {
                        for interface in object.implements_interfaces.iter().map(ToString::to_string).chain([name.clone()]) {
                            rules.objects.entry(interface).or_default().push(name.clone());
                        }
                        &object.fields
                    }
                    Definition::InterfaceTypeDefinition(interface) => &interface.fields,
                    Definition::UnionTypeDefinition(union) => {
                        rules.objects.insert(name, union.members.iter().map(ToString::to_string).collect());
                        continue;
                    }
                    _ => continue,
                };
                let known = rules.fields.entry(name).or_default();
                let has_key = !known.is_empty();
                known.extend(fields.iter().filter(|field| field.name != "id" || !has_key).cloned());
            }
        }
        rules
    }

    fn field(&self, parent: &str, name: &str) -> &Node<FieldDefinition> {
        self.fields[parent].iter().find(|field| field.name == name).unwrap()
    }

    fn allows(&self, someone: &Someone, directives: &DirectiveList) -> bool {
        directives.iter().all(|directive| match directive.name.as_str() {
            "known" => someone.is_known,
            "requiresScopes" | "policy" => {
                let lists = directive.arguments[0].value.as_list().unwrap();
                lists.iter().any(|all| all.as_list().unwrap().iter().all(|name| someone.names.contains(&name.as_str().unwrap())))
            }
            _ => true,
        })
    }

    /// Whether someone may select a field on a type.
    fn may(&self, someone: &Someone, parent: &str, name: &str) -> bool {
        let own = |parent: &str| {
            let field = self.field(parent, name);
            let (types, named) = (&self.types, field.ty.inner_named_type().as_str());
            let of_type = types.get(named).is_none_or(|directives| self.allows(someone, directives));
            of_type && self.allows(someone, &field.directives) && self.allows(someone, &types[parent])
        };
        own(parent) && self.objects.get(parent).into_iter().flatten().all(|object| own(object))
    }
}

/// One selected field under a key of its own, and the type that it is selected on.
struct Selected {
    key: String,
    parent: String,
    name: String,
    below: Vec<Selected>,
}

/// Random operations. Keys are never used twice, so that nothing merges.
struct Generator<'a> {
    rules: &'a Rules,
    state: u64,
    keys: usize,
}

impl Generator<'_> {
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % limit
    }

    fn set(&mut self, ty: &str, depth: usize) -> Vec<Selected> {
        let mut objects = self.rules.objects.get(ty).cloned().unwrap_or_default();
        objects.push(ty.to_owned());
        let mut set = Vec::new();
        for _ in 0..1 + self.below(4) {
            let index = self.below(objects.len());
            let on = &objects[index];
            let fields: Vec<_> = self.rules.fields.get(on).into_iter().flatten().cloned().collect();
            let is_leaf = |field: &Node<FieldDefinition>| !self.rules.objects.contains_key(field.ty.inner_named_type().as_str());
            let fields: Vec<_> = fields.into_iter().filter(|field| depth > 0 || is_leaf(field)).collect();
            if fields.is_empty() {
                continue;
            }
            let index = self.below(fields.len());
            let (field, named) = (&fields[index], fields[index].ty.inner_named_type().to_string());
            let below = if is_leaf(field) { Vec::new() } else { self.set(&named, depth - 1) };
            if is_leaf(field) || !below.is_empty() {
                self.keys += 1;
                set.push(Selected { key: format!("k{}", self.keys), parent: on.clone(), name: field.name.to_string(), below });
            }
        }
        set
    }
}

fn print(set: &[Selected]) -> String {
    let field = |field: &Selected| {
        let below = if field.below.is_empty() { String::new() } else { format!(" {{ {} }}", print(&field.below)) };
        format!("... on {} {{ {}: {}{below} }}", field.parent, field.key, field.name)
    };
    set.iter().map(field).collect::<Vec<_>>().join(" ")
}

/// What someone gets of an answer to somebody who may see everything. Outside: the null goes up.
struct Oracle<'a> {
    rules: &'a Rules,
    someone: &'a Someone,
}

impl Oracle<'_> {
    /// Whether nothing of a selected field is asked of any subgraph.
    fn is_denied(&self, field: &Selected) -> bool {
        let is_empty = !field.below.is_empty() && field.below.iter().all(|below| self.is_denied(below));
        is_empty || !self.rules.may(self.someone, &field.parent, &field.name)
    }

    fn object(&self, set: &[Selected], all: &Map<String, Value>) -> Option<Value> {
        let mut seen = Map::new();
        for field in set.iter().filter(|field| all.contains_key(&field.key)) {
            let ty = &self.rules.field(&field.parent, &field.name).ty;
            let value = if self.is_denied(field) { Value::Null } else { self.value(field, ty.is_list(), &all[&field.key])? };
            if value.is_null() && ty.is_non_null() {
                return None;
            }
            seen.insert(field.key.clone(), value);
        }
        Some(Value::Object(seen))
    }

    /// Items of lists are non-null in these schemas, but for none.
    fn value(&self, field: &Selected, is_list: bool, all: &Value) -> Option<Value> {
        match all {
            Value::Array(items) => {
                let items: Option<Vec<Value>> = items.iter().map(|item| self.value(field, is_list, item)).collect();
                Some(items.map_or(Value::Null, Value::Array))
            }
            Value::Object(object) => match self.object(&field.below, object) {
                None if is_list => None,
                None => Some(Value::Null),
                seen => seen,
            },
            leaf => Some(leaf.clone()),
        }
    }
}

#[tokio::test]
async fn random_operations_show_everybody_what_they_may_see_and_nothing_else() {
    let guarded = Guarded::start("limits: { max_depth: 50, max_height: 5000, max_aliases: 5000, max_root_fields: 50 }\n").await;
    let rules = Rules::read();
    let names = ["read:email", "read:user", "admin", "hr", "a", "b", "p", "q", "shop", "write"];
    let everything = json!({ "scope": names.join(" "), "policies": names });
    let mut generator = Generator { rules: &rules, state: 7, keys: 0 };
    let mut differing = 0;
    for _ in 0..300 {
        let set = generator.set("Query", 4);
        if set.is_empty() {
            continue;
        }
        let query = format!("{{ {} }}", print(&set));
        let (all, errors) = guarded.data(&query, Some(everything.clone())).await;
        assert!(errors.is_empty(), "{query}: {errors:?}");
        let someone =
            Someone { is_known: generator.below(3) > 0, names: names.into_iter().filter(|_| generator.below(2) > 0).collect() };
        let names = if someone.is_known { someone.names.clone() } else { Vec::new() };
        let someone = Someone { names, ..someone };
        let claims = someone.is_known.then(|| json!({ "scope": someone.names.join(" "), "policies": someone.names }));
        let (seen, errors) = guarded.data(&query, claims.clone()).await;
        let wanted = Oracle { rules: &rules, someone: &someone }.object(&set, all.as_object().unwrap()).unwrap_or(Value::Null);
        assert_eq!(seen, wanted, "{query} by {claims:?}, of {all}");
        assert!(!errors.is_empty() || wanted == all, "{query}");
        differing += usize::from(wanted != all);
    }
    assert!(differing > 100, "{differing} operations say little");
}
