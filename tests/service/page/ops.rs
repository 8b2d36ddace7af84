//! What lies in `examples/ops`, with a real Prometheus that scrapes the quickstart.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use cache_tests::prometheus::{promtool, promtool_on};
use cache_tests::wait::eventually_some;
use cache_tests::{Example, Prometheus, RedisServer};
use serde_json::Value;
use tokio::process::{Child, Command};

/// Rates need several scrapes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn ops(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/ops").join(name)
}

fn read(name: &str) -> String {
    let file = ops(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The quickstart on this Redis, with an admin page.
pub(super) fn quickstart(redis: &RedisServer, token: &str) -> Example {
    Example::of("quickstart")
        .args(["--listen", "127.0.0.1:0"])
        .env("REDIS_URL", redis.url())
        .env("CACHE_ADMIN_TOKEN", token)
        .start()
}

/// Load by the script that users run; it ends when dropped.
pub(super) fn load(addr: SocketAddr, seconds: u32) -> Child {
    Command::new(ops("load"))
        .args([&format!("http://{addr}"), &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the script can be started")
}

/// The queries of all panels, with the panel's title.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut found = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            // What Grafana fills in.
            let query = query
                .replace("$__rate_interval", "20s")
                .replace("$__range", "1m")
                .replace("$instance", ".*");
            assert!(!query.contains('$'), "{title}: {query}");
            found.push((title.to_owned(), query));
        }
    }
    found
}

fn is_number(series: &Value) -> bool {
    let value = series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
    value.is_some_and(f64::is_finite)
}

#[tokio::test]
async fn each_panel_of_the_dashboard_and_each_alert_has_data() {
    let redis = RedisServer::start();
    let service = quickstart(&redis, "a-token-for-the-metrics");
    let _load = load(service.addr(), 120);
    let config = read("prometheus.yml");
    assert!(config.contains("'127.0.0.1:3000'") && config.contains("15s"), "{config}");
    let config = config.replace("127.0.0.1:3000", &service.addr().to_string()).replace("15s", "1s");
    let prometheus = Prometheus::start(&config, &[("alerts.yml", &read("alerts.yml"))]);

    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON");
    let queries = queries(&dashboard);
    assert!(queries.len() > 30, "only {}", queries.len());
    for (title, query) in queries {
        let asked = async || {
            let found = prometheus.query(&query).await.unwrap_or_else(|e| panic!("{title}: {e}"));
            found.iter().any(is_number).then_some(())
        };
        eventually_some(PATIENCE, &format!("{title}: {query}"), asked).await;
    }

    let evaluated = async || {
        let rules = prometheus.api("rules").await.expect("rules");
        let rules = rules["groups"][0]["rules"].as_array().cloned().expect("rules");
        assert!(rules.len() > 8, "{rules:?}");
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    };
    for rule in eventually_some(PATIENCE, "all rules are evaluated", evaluated).await {
        assert_ne!(rule["state"], "firing", "{rule}");
    }
    drop(redis);
    // What happens then is seen: the one alert that somebody has to know of.
    let noticed = async || {
        let open = prometheus.query("ALERTS{alertname=\"CacheStoreAway\"}").await.expect("a query");
        (!open.is_empty()).then_some(())
    };
    eventually_some(PATIENCE, "the alert is about to fire", noticed).await;
}

#[test]
fn rules_and_configuration_are_valid_and_alerts_fire_when_they_should() {
    for (what, file) in [
        (&["check", "rules"][..], "alerts.yml"),
        (&["check", "config"], "prometheus.yml"),
        (&["test", "rules"], "alerts_test.yml"),
    ] {
        let file = ops(file);
        let (well, text) = promtool(&[what, &[file.to_str().expect("a path")]].concat());
        assert!(well, "{what:?}: {text}");
    }
}

/// No label holds what there is too much of, and what is not everybody's.
#[tokio::test]
async fn metrics_name_no_key() {
    let redis = RedisServer::start();
    let service = quickstart(&redis, "a-token-for-the-metrics");
    for _ in 0..3 {
        let workspace = [("x-workspace-id", "ws1")];
        cache_tests::http_client::get(service.addr(), "/campaigns/42", &workspace).await;
    }
    let response = cache_tests::http_client::get(service.addr(), "/metrics", &[]).await;
    let text = response.text();
    assert!(text.contains("cache_requests_total{cache=\"api_responses\""), "{text}");
    assert!(!text.contains("campaigns:"), "{text}");
    // Decisions were not among them: only reads of namespaces.
    let requests = ["result=\"hit\",decision=\"hit\",detail=\"\"", "result=\"miss\""];
    for labels in requests {
        let line = format!("cache_http_requests_total{{cache=\"cache-tower\",{labels}");
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(response.header("cache-status"), None);
    // One counted microseconds, where Prometheus counts in seconds.
    let (well, text) = promtool_on(&["check", "metrics"], &text);
    assert!(well, "{text}");
}
