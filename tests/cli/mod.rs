//! The command line: what it prints and how it exits.

mod readme;

use std::path::PathBuf;
use std::process::{Command, Output};

use subgraphs_example::{Addresses, Example, Upstream};

fn run(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_supergate")).args(arguments).current_dir(&folder).output().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    output
}

fn printed(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compose_asks_live_subgraphs_and_plan_plans_on_what_it_prints() {
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let mut config = "subgraphs:\n".to_owned();
    for subgraph in Upstream::SUBGRAPHS {
        config.push_str(&format!("  {}: {{ url: \"{}\" }}\n", subgraph.name(), example.url(subgraph)));
    }
    let (code, supergraph, errors) = printed(&run(&["compose", "--config", "router.yaml"], &[("router.yaml", &config)]));
    assert_eq!(code, Some(0), "{errors}");
    for part in
        ["@link(url: \"https://specs.apollo.dev/join/v0.", "requires: \"price weight\"", "provides: \"username\"", "REVIEWS"]
    {
        assert!(supergraph.contains(part), "{part} is missing in:\n{supergraph}");
    }

    let files = [("s.graphql", supergraph.as_str()), ("o.graphql", "{ topProducts { shippingEstimate } }")];
    let arguments = ["plan", "--supergraph", "s.graphql", "--operation", "o.graphql", "--format", "json"];
    let (code, plan, errors) = printed(&run(&arguments, &files));
    assert_eq!(code, Some(0), "{errors}");
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan["kind"], &plan["node"]["kind"]), (&"QueryPlan".into(), &"Sequence".into()), "{plan}");
    assert_eq!(plan["node"]["nodes"][0]["serviceName"], "products");
    assert_eq!(plan["node"]["nodes"][1]["node"]["serviceName"], "inventory");
    let (code, text, _) = printed(&run(&arguments[..5], &files));
    assert!(code == Some(0) && text.contains("Fetch(service: \"inventory\")"), "{text}");

    for (stage, part) in [
        ("options", "shippingEstimate: inventory requiring { price weight }"),
        ("choice", "shippingEstimate from 1"),
        ("fetches", "request 1: inventory, stage 1, after 0 {"),
    ] {
        let (code, text, errors) = printed(&run(&[&arguments[..5], &["--format", "text", "--stage", stage]].concat(), &files));
        assert!(code == Some(0) && text.to_lowercase().starts_with(stage) && text.contains(part), "{text}{errors}");
    }
    let deferring = ("d.graphql", "{ topProducts { name ... @defer(label: \"late\") { shippingEstimate } } }");
    let files = [files[0], files[1], deferring];
    let arguments_of =
        |more: &[&'static str]| [&["plan", "--supergraph", "s.graphql", "--operation", "d.graphql"], more].concat();
    let (code, text, errors) = printed(&run(&arguments_of(&["--defer"]), &files));
    assert!(code == Some(0) && text.contains("Deferred(path: \"topProducts\""), "{text}{errors}");
    assert_eq!(printed(&run(&arguments_of(&[]), &files)).0, Some(1), "the client schema has no @defer");
    let (code, _, errors) = printed(&run(&[&arguments[..], &["--stage", "choice"]].concat(), &files));
    assert!(code == Some(2) && errors.contains("--stage"), "{errors}");
}

#[test]
fn compose_prints_every_reason_and_exits_with_1() {
    let config = "subgraphs:\n  a: { url: \"http://127.0.0.1:9\", schema: { sdl: \"type Query { x: Int y: Missing }\" } }\n  b: { url: \"http://127.0.0.1:9\", schema: { sdl: \"type Query { x: String }\" } }\n";
    let (code, out, errors) = printed(&run(&["compose", "--config", "router.yaml"], &[("router.yaml", config)]));
    assert_eq!(code, Some(1));
    assert!(format!("{out}{errors}").contains("Missing"), "{out}{errors}");
}

#[test]
fn a_mistake_in_the_configuration_is_located_and_the_nearest_name_suggested() {
    let config = "subgraphs:\n  a: { url: \"http://127.0.0.1:9\" }\nlimits:\n  max_dept: 3\n";
    let (code, out, errors) = printed(&run(&["config", "validate", "--config", "router.yaml"], &[("router.yaml", config)]));
    assert_eq!(code, Some(1));
    let all = format!("{out}{errors}");
    for part in ["router.yaml", "4", "max_dept", "max_depth"] {
        assert!(all.contains(part), "{part} is missing in: {all}");
    }
    let (code, ..) = printed(&run(
        &["config", "validate", "--config", "router.yaml"],
        &[("router.yaml", &config.replace("max_dept", "max_depth"))],
    ));
    assert_eq!(code, Some(0));
}

#[test]
fn explain_says_which_route_a_request_takes_and_why() {
    let config = "routes:\n  - { name: all, match: { methods: [GET] }, upstream: u }\n  - { name: users, match: { path: \"/users/{id}\" }, upstream: u }\n  \
                  - { name: new, match: { path: \"/users/{id}\", headers: { X-Version: \"2\" } }, upstream: u }\n  \
                  - { name: shop, match: { host: shop.example }, upstream: u }\n\
                  upstreams: { u: { endpoints: [{ url: \"http://127.0.0.1:9\" }] } }\n";
    for (args, code, wanted) in [
        (vec!["/users/7"], 0, "users\ttakes it\nall\twould take it next\n"),
        (
            vec!["--header", "X-Version: 2", "http://a.example/users/7"],
            0,
            "new\ttakes it\nusers\twould take it next\nall\twould take it next\n",
        ),
        (vec!["http://shop.example:80/users/7"], 0, "shop\ttakes it\nusers\twould take it next\nall\twould take it next\n"),
        (vec!["--method", "POST", "/other"], 1, "no route takes it: 405 Method Not Allowed METHOD_NOT_ALLOWED\n"),
        (vec!["/a/../b"], 1, "no route takes it: 400 Bad Request BAD_PATH\n"),
        (vec!["--header", "nonsense", "/"], 1, ""),
    ] {
        let args = [vec!["explain", "route"], args].concat();
        let (got, out, errors) = printed(&run(&args, &[("router.yaml", config)]));
        assert_eq!((got, out.as_str()), (Some(code), wanted), "{args:?}: {errors}");
    }
}

#[test]
fn the_documented_configuration_is_valid_and_the_schema_is_json() {
    let file = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("router.yaml")).unwrap();
    let (code, out, errors) = printed(&run(&["config", "schema"], &[]));
    assert_eq!(code, Some(0), "{errors}");
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(schema["properties"]["ratelimit"].is_object());
    let (code, out, errors) = printed(&run(&["config", "validate"], &[("router.yaml", &file)]));
    assert_eq!(code, Some(0), "{out}{errors}");
}

#[test]
fn a_wrong_call_exits_with_2_and_help_shows_examples() {
    assert_eq!(run(&["nonsense"], &[]).status.code(), Some(2));
    assert_eq!(run(&["plan", "--format", "yaml"], &[]).status.code(), Some(2));
    for command in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["demo", "--help"],
        vec!["compose", "--help"],
        vec!["plan", "--help"],
        vec!["config", "--help"],
    ] {
        let (code, out, _) = printed(&run(&command, &[]));
        assert_eq!(code, Some(0));
        assert!(out.contains("Example") && out.contains("supergate "), "{command:?}: {out}");
    }
    let (code, out, _) = printed(&run(&["--version"], &[]));
    assert!(code == Some(0) && out.starts_with("supergate 0."), "{out}");
}

/// Runs a batch mode over these lines; what it answers, a JSON value a line.
fn batch(command: &str, lines: &[&str]) -> (Option<i32>, Vec<serde_json::Value>) {
    use std::io::Write as _;
    let mut process = Command::new(env!("CARGO_BIN_EXE_supergate"));
    let mut process = process
        .args([command, "--batch"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn batch_modes_answer_in_order_and_survive_a_bad_line() {
    let sdl = |name: &str, sdl: &str| format!(r#"{{"name":"{name}","url":"http://{name}","sdl":{}}}"#, serde_json::json!(sdl));
    let federation = |id: &str, subgraphs: &[String]| format!(r#"{{"id":"{id}","subgraphs":[{}]}}"#, subgraphs.join(","));
    // One line of more than a megabyte: lines have no length that is too long.
    let long = format!("type Query {{ a: Int # {}\n }}", "x".repeat(2 << 20));
    let good = federation("good", &[sdl("a", "type Query { a: Int }"), sdl("b", "type Query { b: Int }")]);
    let bad = federation("bad", &[sdl("a", "type Query { a: Int }"), sdl("b", "type Query { a: String }")]);
    let (code, answers) = batch("compose", &[&good, "not JSON", &bad, &federation("long", &[sdl("a", &long)])]);
    assert_eq!((code, answers.len()), (Some(0), 4), "{answers:?}");
    assert_eq!(answers[0]["id"], "good");
    assert!(answers[0]["supergraph"].as_str().unwrap().contains("join__Graph"));
    assert!(answers[0]["api_schema"].as_str().unwrap().contains("b: Int"));
    assert!(answers[0]["hints"].is_array());
    assert!(answers[1]["errors"][0]["message"].is_string(), "{}", answers[1]);
    assert_eq!((&answers[2]["id"], &answers[2]["errors"][0]["code"]), (&"bad".into(), &"FIELD_TYPE_MISMATCH".into()));
    assert_eq!(answers[2]["errors"][0]["subgraphs"], serde_json::json!(["a", "b"]));
    assert_eq!(answers[3]["id"], "long");

    let supergraph = &answers[0]["supergraph"];
    let request =
        |id: &str, operation: &str| serde_json::json!({ "id": id, "supergraph": supergraph, "operation": operation }).to_string();
    let (code, plans) = batch("plan", &[&request("p", "{ a b }"), "{", &request("q", "{ c }")]);
    assert_eq!((code, plans.len()), (Some(0), 3), "{plans:?}");
    assert_eq!((&plans[0]["id"], &plans[0]["plan"]["kind"]), (&"p".into(), &"QueryPlan".into()));
    assert!(plans[0]["planning_us"].is_number());
    assert!(plans[1]["errors"][0]["message"].is_string());
    assert_eq!(plans[2]["id"], "q");
    assert!(plans[2]["errors"][0]["code"].is_string(), "{}", plans[2]);
}

#[test]
fn compose_reads_rovers_file() {
    let files = [
        (
            "supergraph.yaml",
            "federation_version: =2.11.0\nsubgraphs:\n  a:\n    routing_url: http://127.0.0.1:9/a\n    schema:\n      file: ./a.graphql\n",
        ),
        ("a.graphql", "type Query { a: Int }"),
    ];
    let (code, supergraph, errors) = printed(&run(&["compose", "--config", "supergraph.yaml"], &files));
    assert_eq!(code, Some(0), "{errors}");
    assert!(supergraph.contains(r#"@join__graph(name: "a", url: "http://127.0.0.1:9/a")"#), "{supergraph}");
}

/// Whatever would keep `serve` from starting is found without starting, and without a network.
#[test]
fn validate_finds_what_serve_would_refuse() {
    let subgraphs = "subgraphs: { a: { url: \"http://127.0.0.1:9\" } }\n";
    for (wrong, part) in [
        (
            "routes: [{ name: r, match: { path: '~(' }, upstream: u }]\nupstreams: { u: { endpoints: [{ url: \"http://127.0.0.1:9\" }] } }\n",
            "regular expression",
        ),
        ("routes: [{ name: r, match: { path: /r }, upstream: nobody }]\n", "nobody"),
        ("headers: { all: { request: [{ propagate: { matching: '(' } }] } }\n", "("),
        ("tls: { certificates: [{ cert: ./missing.pem, key: ./missing.pem }] }\n", "missing.pem"),
        ("upstreams: { u: { endpoints: [{ url: \"ftp://127.0.0.1\" }] } }\n", "http://"),
    ] {
        let config = format!("{subgraphs}{wrong}");
        let (code, out, errors) = printed(&run(&["config", "validate"], &[("router.yaml", &config)]));
        assert_eq!(code, Some(1), "{wrong}: {out}{errors}");
        assert!(format!("{out}{errors}").contains(part), "{wrong}: {out}{errors}");
    }
}
