//! A headless Chromium, driven by ChromeDriver as the WebDriver standard has it.
//!
//! Relies on Debian's `chromium` and `chromium-driver`, which `scripts/test` installs where they are missing.
//! Spec: <https://www.w3.org/TR/webdriver2/>

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// No sandbox, which the administrator of a container may not use; and nothing that asks for hosts outside.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// How long a page may take for what a test waits for; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The member of an element's JSON that holds its id, a constant of the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with one window; both end when this is dropped.
pub struct Browser {
    /// Held to be killed when dropped; the browser ends with its driver.
    _driver: Child,
    session: String,
    client: reqwest::Client,
}

impl Browser {
    /// Starts one with an empty profile.
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is missing: scripts/test installs it");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver ended");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut browser =
            Self { _driver: driver, session: format!("http://127.0.0.1:{port}/session"), client: reqwest::Client::new() };
        let options = json!({ "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": { "args": FLAGS } } });
        let session = browser.post("", json!({ "capabilities": options })).await;
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().expect("no browser started"));
        browser
    }

    /// Goes to a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// Replaces the text of a field by typing.
    pub async fn write(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        self.post(&format!("/element/{field}/clear"), json!({})).await;
        self.post(&format!("/element/{field}/value"), json!({ "text": text })).await;
    }

    /// Clicks.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.post(&format!("/element/{element}/click"), json!({})).await;
    }

    /// What a function body returns, run in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The text of an element, once it contains `part`.
    pub async fn text(&self, selector: &str, part: &str) -> String {
        let started = Instant::now();
        loop {
            let text = self.run(&format!("return document.querySelector({selector:?}).textContent")).await;
            let text = text.as_str().unwrap_or_default().to_owned();
            if text.contains(part) {
                return text;
            }
            assert!(started.elapsed() < PATIENCE, "{selector} does not come to contain {part:?}: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.post("/element", json!({ "using": "css selector", "value": selector })).await;
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("there is no {selector}: {found}")).to_owned()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.session)).json(&body).send().await.unwrap();
        let (status, mut answer) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert!(status.is_success(), "{path}: {answer}");
        answer["value"].take()
    }

    /// Closes the browser.
    pub async fn close(self) {
        let _ = self.client.delete(&self.session).send().await;
    }
}
