//! A real Chromium without a window, driven as a user would: by pointer and keyboard.
//!
//! ```no_run
//! use cache_tests::{Browser, Origin, body};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let page = "<!doctype html><title>Greeting</title><button>Hello</button>";
//! let html = [("content-type", "text/html")];
//! let origin = Origin::start(move |_| async move { body::fixed(200, &html, page) }).await;
//! let browser = Browser::start().await;
//! browser.open(&format!("http://{}/", origin.addr())).await;
//! browser.click("button").await;
//! assert_eq!(browser.eval("return document.title").await, "Greeting");
//! # });
//! ```

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports::local;
use crate::process::Process;
use crate::wait::eventually_some;
use crate::webdriver::Session;

/// For a page to do what it was told, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(20);
const READY: Duration = Duration::from_secs(60);

/// What a key is called in WebDriver.
pub mod keys {
    /// Tab.
    pub const TAB: &str = "\u{E004}";
    /// Enter.
    pub const ENTER: &str = "\u{E007}";
    /// Shift, held while what follows in the same text is typed.
    pub const SHIFT: &str = "\u{E008}";
    /// The space bar.
    pub const SPACE: &str = " ";
}

/// A browser with one tab; it and all its processes end when dropped.
#[derive(Debug)]
pub struct Browser {
    session: Session,
    driver: Process, // ends before its directory goes
    _home: TempDir,
}

impl Browser {
    /// Starts one, 1280 by 900 pixels large.
    pub async fn start() -> Self {
        let mut last = String::new();
        for _ in 0..3 {
            match Self::launch().await {
                Ok(browser) => return browser,
                Err(error) => last = error,
            }
        }
        panic!("Chromium doesn't start: {last}");
    }

    async fn launch() -> Result<Self, String> {
        let home =
            tempfile::Builder::new().prefix("cache-browser-").tempdir().expect("a directory");
        // Chromium is a child of its driver, and stays in its process group.
        let mut driver = Process::spawn_group(
            Command::new("chromedriver")
                .arg("--port=0")
                .env("HOME", home.path())
                .env("TMPDIR", home.path())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let port = announced(driver.child().stdout.take().expect("piped"))
            .ok_or("chromedriver names no port")?;
        let data = home.path().join("profile");
        let session = Session::open(
            local(port),
            json!({
                "browserName": "chrome",
                "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
                "goog:chromeOptions": { "args": [
                    "--headless=new",
                    // Root may not use the sandbox, and only pages of ours are opened.
                    "--no-sandbox",
                    "--disable-dev-shm-usage",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--no-first-run",
                    "--hide-scrollbars",
                    "--force-color-profile=srgb",
                    format!("--user-data-dir={}", data.display()),
                ] },
            }),
        )
        .await?;
        let browser = Self { session, driver, _home: home };
        browser.resize(1280, 900).await;
        Ok(browser)
    }

    /// The id of the process group of the driver and the browser.
    pub fn group(&self) -> u32 {
        self.driver.id()
    }

    /// Opens a page and waits until it has loaded.
    pub async fn open(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// The page's viewport, in CSS pixels: also smaller than a window could be.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What the user prefers, such as `("prefers-color-scheme", "dark")`.
    pub async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What a function body of JavaScript `return`s.
    pub async fn eval(&self, script: &str) -> Value {
        self.eval_with(script, json!([])).await
    }

    /// [`eval`](Self::eval) with `arguments`.
    pub async fn eval_with(&self, script: &str, arguments: Value) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Waits until an expression of JavaScript is true.
    pub async fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let holds = async || (self.eval(&script).await == true).then_some(());
        let page = "return document.body.innerText";
        let waiting = eventually_some(READY, expression, holds);
        let in_time = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        let shown = if in_time { None } else { Some(self.eval(page).await) };
        assert!(in_time, "never: {expression}\n{}", shown.unwrap_or_default());
    }

    /// Clicks the first element that matches, once there is one that can be.
    pub async fn click(&self, css: &str) {
        self.with_element(css, "click", json!({})).await;
    }

    /// Types into the first element that matches.
    pub async fn type_into(&self, css: &str, text: &str) {
        self.with_element(css, "value", json!({ "text": text })).await;
    }

    /// Empties a field, then types into it.
    pub async fn fill(&self, css: &str, text: &str) {
        self.with_element(css, "clear", json!({})).await;
        self.type_into(css, text).await;
    }

    /// The visible text of the first element that matches.
    pub async fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? null";
        let found = async || self.eval_with(script, json!([css])).await.as_str().map(str::to_owned);
        eventually_some(PATIENCE, css, found).await
    }

    /// Presses keys one after the other, wherever the focus is. (See [`keys`].)
    pub async fn press(&self, text: &str) {
        let mut actions = Vec::new();
        let mut held = Vec::new();
        for key in text.chars().map(String::from) {
            actions.push(json!({ "type": "keyDown", "value": key }));
            if key == keys::SHIFT {
                held.push(key);
            } else {
                actions.push(json!({ "type": "keyUp", "value": key }));
            }
        }
        actions.extend(held.iter().map(|key| json!({ "type": "keyUp", "value": key })));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    /// What the console has been told since the last call, warnings of the browser's among it
    /// (such as what a Content-Security-Policy has refused).
    pub async fn console(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let line = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", text("level"), text("source"), text("message"))
        };
        entries.iter().map(line).collect()
    }

    /// The URLs of all requests that the browser has begun since the last call.
    pub async fn requests(&self) -> Vec<String> {
        let url = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let sent = event["method"] == "Network.requestWillBeSent";
            let url = event["params"]["request"]["url"].as_str().filter(|_| sent)?;
            // Pages of the browser itself, such as that of a new tab.
            (!url.starts_with("chrome")).then(|| url.to_owned())
        };
        self.log("performance").await.iter().filter_map(url).collect()
    }

    /// What is to be seen of the page, as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let shot = self.cdp("Page.captureScreenshot", json!({ "format": "png" })).await;
        let data = shot["data"].as_str().expect("a picture");
        STANDARD.decode(data).expect("base64")
    }

    async fn with_element(&self, css: &str, command: &str, body: Value) {
        let mut last = String::new();
        let done = async || {
            let attempt = async {
                let id = self.session.find(css).await?;
                self.session.post(&format!("element/{id}/{command}"), body.clone()).await
            };
            match attempt.await {
                Ok(_) => Some(()),
                Err(error) => {
                    last.clear();
                    let _ = write!(last, "{command} {css}: {error}");
                    None
                }
            }
        };
        let waiting = eventually_some(READY, css, done);
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{last}");
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", json!({ "type": kind })).await;
        entries.as_array().cloned().unwrap_or_default()
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let answer = self.session.post(command, body).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn cdp(&self, command: &str, params: Value) -> Value {
        let answer = self.session.cdp(command, params).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }
}

/// The port that chromedriver has chosen: `… was started successfully on port 12345.`
fn announced(output: impl Read + Send + 'static) -> Option<u16> {
    let (found, port) = mpsc::channel();
    // Goes on to read, so that the driver never waits for a full pipe.
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let number = line
                .rsplit_once("successfully on port ")
                .map(|(_, rest)| rest.trim_end_matches('.'));
            if let Some(Ok(number)) = number.map(str::parse) {
                // nobody waits for a second one
                let _ = found.send(number);
            }
        }
    });
    port.recv_timeout(READY).ok()
}
