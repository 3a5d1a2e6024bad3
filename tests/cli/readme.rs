//! What README.md shows is what happens: its calls, its answers, its router.yaml.

use serde_json::Value;
use subgraphs_example::{Addresses, Example};

use super::{printed, run};
use crate::support::Router;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// The contents of the code blocks in this language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn its_calls_answer_as_printed() {
    let text = readme();
    let answers = blocks(&text, "json");
    let [operation, order] = answers.as_slice() else { panic!("the README shows {} answers", answers.len()) };
    let body = text.split("-d '").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let example = Example::start(Addresses::any_port()).await.unwrap();
    let router = Router::start_with(&example, "").await;
    let post = router.client.post(router.url("/graphql")).header("content-type", "application/json").body(body);
    assert_eq!(post.send().await.unwrap().text().await.unwrap(), operation.trim_end(), "byte for byte, fields in order");
    let call = text.lines().find_map(|line| line.strip_prefix("curl http://127.0.0.1:4000/api")).unwrap();
    assert_eq!(router.get(&format!("/api{call}")).send().await.unwrap().text().await.unwrap(), order.trim_end());
}

#[test]
fn its_router_yaml_is_valid_and_its_commands_exist() {
    let text = readme();
    let yaml = blocks(&text, "yaml");
    let (code, out, errors) = printed(&run(&["config", "validate"], &[("router.yaml", &yaml[0])]));
    assert_eq!(code, Some(0), "{out}{errors}");
    let commands = text.lines().filter_map(|line| line.strip_prefix("| `supergate ")?.split('`').next());
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let (code, out, _) = printed(&run(&arguments, &[]));
        assert!(code == Some(0) && out.contains("Example"), "supergate {command}: {out}");
    }
    assert!(serde_json::from_str::<Value>(&blocks(&text, "json")[0]).is_ok());
}
