//! A session of W3C WebDriver, as chromedriver speaks it: JSON over HTTP.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http_client;

/// How WebDriver marks the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

#[derive(Debug)]
pub(crate) struct Session {
    driver: SocketAddr,
    id: String,
}

impl Session {
    /// Starts a browser with these capabilities.
    pub(crate) async fn open(driver: SocketAddr, capabilities: Value) -> Result<Self, String> {
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let answer = call(driver, "POST", "/session", &wanted).await?;
        let id = answer["sessionId"].as_str().ok_or_else(|| format!("no session: {answer}"))?;
        Ok(Self { driver, id: id.to_owned() })
    }

    /// A command that takes values; an error is text such as `no such element: …`.
    pub(crate) async fn post(&self, command: &str, body: Value) -> Result<Value, String> {
        call(self.driver, "POST", &format!("/session/{}/{command}", self.id), &body).await
    }

    /// The first element that matches a CSS selector.
    pub(crate) async fn find(&self, css: &str) -> Result<String, String> {
        let found = self.post("element", json!({ "using": "css selector", "value": css })).await?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| format!("no element: {found}"))
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn cdp(&self, command: &str, params: Value) -> Result<Value, String> {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }
}

async fn call(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let json = [("content-type", "application/json; charset=utf-8")];
    let response = http_client::request(driver, method, path, &json, &body)
        .await
        .map_err(|error| format!("chromedriver: {error}"))?;
    let mut answer: Value = serde_json::from_slice(&response.body)
        .map_err(|error| format!("chromedriver, {error}: {}", response.text()))?;
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) if response.status >= 400 => {
            let message = value["message"].as_str().unwrap_or_default();
            Err(format!("{error}: {}", message.lines().next().unwrap_or_default()))
        }
        _ => Ok(value),
    }
}
