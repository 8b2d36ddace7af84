//! What the quickstart has for those who operate it: start page, admin API, metrics.

use cache_tests::{Browser, Example, http_client};
use serde_json::Value;

use crate::setup::{HIT, get, quickstart, send};

const TOKEN: &str = "a-token-for-the-quickstart";
const WS1: [(&str, &str); 1] = [("x-workspace-id", "ws1")];

fn with_admin() -> Example {
    quickstart().env("CACHE_ADMIN_TOKEN", TOKEN).start()
}

/// One tag stands for the value and for the responses made of it.
#[tokio::test]
async fn the_overview_is_worked_out_once_until_a_campaign_changes() {
    let service = quickstart().start();
    let addr = service.addr();
    let ask = async |workspace| get(addr, "/overview", &[("x-workspace-id", workspace)]).await;
    let is_stored = |status: &str| status.ends_with("-miss; stored");
    let (first, status) = ask("ws1").await;
    assert!(is_stored(&status), "{status}");
    assert_eq!(ask("ws1").await, (first.clone(), HIT.to_owned()));
    let (_, status) = ask("ws2").await;
    assert!(is_stored(&status), "{status}");

    let headers = [WS1[0], ("content-type", "application/json")];
    let changed = send(addr, "POST", "/campaigns/42", &headers, br#"{"budget": 123456}"#).await;
    assert_eq!(changed.status, 200);
    let (second, status) = ask("ws1").await;
    assert!(is_stored(&status), "{status}");
    let budget = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["budget"].as_i64();
    assert!(budget(&second) > budget(&first), "{first} {second}");
    assert_eq!(ask("ws2").await.1, HIT);
}

#[tokio::test]
async fn without_a_token_there_is_no_admin_api() {
    let service = quickstart().start();
    let said = service.output().join("\n");
    assert!(said.contains("admin: not mounted (CACHE_ADMIN_TOKEN is not set)"), "{said}");
    for path in ["/api/cache", "/api/cache/stats"] {
        assert_eq!(http_client::get(service.addr(), path, &[]).await.status, 404, "{path}");
    }
    let (status, text) = quickstart().env("CACHE_ADMIN_TOKEN", "").run();
    assert!(status.code() == Some(1) && text.contains("CACHE_ADMIN_TOKEN"), "{text}");
}

#[tokio::test]
async fn with_a_token_there_is_one_for_who_has_it() {
    let service = with_admin();
    let addr = service.addr();
    let said = service.output().join("\n");
    assert!(said.contains(&format!("admin: http://{addr}/api/cache")), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    get(addr, "/campaigns/42", &WS1).await;
    assert!(http_client::get(addr, "/api/cache", &[]).await.text().contains("Sign in"));
    assert_eq!(http_client::get(addr, "/api/cache/stats", &[]).await.status, 401);
    let bearer = format!("Bearer {TOKEN}");
    let stats = http_client::get(addr, "/api/cache/stats", &[("authorization", &bearer)]).await;
    let stats: Value = serde_json::from_slice(&stats.body).expect("JSON");
    assert_eq!(stats["workspaces"]["ws1"]["misses"], 1, "{stats}");
    let rules = http_client::get(addr, "/api/cache/routes", &[("authorization", &bearer)]).await;
    assert!(rules.text().contains("/overview"), "{}", rules.text());
}

#[tokio::test]
async fn metrics_are_those_of_now() {
    let service = quickstart().start();
    let addr = service.addr();
    let line = "cache_workspace_requests_total{workspace=\"ws1\",result=\"hit\"} ";
    for hits in 0..3 {
        get(addr, "/campaigns/42", &WS1).await;
        let response = http_client::get(addr, "/metrics", &[]).await;
        assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4"));
        let text = response.text();
        assert!(text.contains(&format!("{line}{hits}")), "{text}");
    }
}

#[tokio::test]
async fn the_start_page_makes_load() {
    let service = with_admin();
    let addr = service.addr();
    assert!(http_client::get(addr, "/", &[]).await.text().starts_with("A campaign service"));
    let browser = Browser::start().await;
    browser.open(&format!("http://{addr}/")).await;
    assert!(browser.text("pre").await.contains("curl -i -H 'X-Workspace-ID: ws1'"));
    browser.click("#load").await;
    browser
        .until("/^[1-9]\\d* requests, [1-9]/.test(document.getElementById('made').innerText)")
        .await;
    browser.click("#load").await;
    assert_eq!(browser.text("#load").await, "Make load");
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.click("a[href='/api/cache']").await;
    browser.until("document.getElementById('token')").await;
}
