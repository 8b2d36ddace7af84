//! A real Prometheus: it scrapes, evaluates, and says what is wrong with a query.

use cache_tests::prometheus::promtool;
use cache_tests::wait::eventually_some;
use cache_tests::{Origin, Prometheus, body};

use crate::SOON;

#[tokio::test]
async fn what_is_scraped_can_be_asked_for() {
    let text = "# TYPE things_total counter\nthings_total{kind=\"a b\"} 42\n";
    let headers = [("content-type", "text/plain; version=0.0.4")];
    let origin = Origin::start(move |_| async move { body::fixed(200, &headers, text) }).await;
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: it, static_configs: [{{targets: ['{}']}}]}}]\n",
        origin.addr()
    );
    let prometheus = Prometheus::start(&config, &[]);
    let asked = async || {
        let found = prometheus.query("things_total{kind=\"a b\"} + 1").await.unwrap();
        found.first().cloned()
    };
    let found = eventually_some(SOON, "it has scraped", asked).await;
    assert_eq!(found["value"][1], "43");
    let error = prometheus.query("sum(").await.unwrap_err();
    assert!(error.contains("parse error"), "{error}");
}

#[test]
fn promtool_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    for (rules, good) in [
        ("groups: [{name: g, rules: [{alert: A, expr: up == 0}]}]", true),
        ("groups: [{name: g, rules: [{alert: A, expr: up =}]}]", false),
    ] {
        std::fs::write(&file, rules).unwrap();
        let (well, text) = promtool(&["check", "rules", file.to_str().unwrap()]);
        assert_eq!(well, good, "{text}");
    }
}
