//! Nobody without credentials, or with others, learns or changes anything.

use axum::Router;
use cache_axum::admin::{Admin, BearerToken, Denied, Principal};
use cache_tests::http_client;
use http::request::Parts;

use super::rig::{OPERATOR, WS1, bearer, json, rig};
use crate::setup::{http, memory_cache, serve};

const ALL: [(&str, &str); 14] = [
    ("GET", "/stats"),
    ("GET", "/workspace/ws1/stats"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/keys/top"),
    ("GET", "/entry?key=a"),
    ("GET", "/routes"),
    ("GET", "/events"),
    ("GET", "/openapi.json"),
    ("POST", "/clear?all=true"),
    ("POST", "/invalidate"),
    ("POST", "/version/bump?namespace=reports"),
    ("GET", "/what-is-not-there"),
];

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn without_credentials_or_with_wrong_ones_nothing_is_answered() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("reports", "ws1:1", "value").await.unwrap();
    let wrong = [
        None,
        Some("Authorization: Bearer"),
        Some("Authorization: Bearer "),
        Some("Authorization: Bearer token-of-the-operato"),
        Some("Authorization: Bearer token-of-the-operatorx"),
        Some("Authorization: Bearer TOKEN-OF-THE-OPERATOR"),
        Some("Authorization: Basic token-of-the-operator"),
        Some("Authorization: token-of-the-operator"),
        Some("Cookie: token=token-of-the-operator"),
        Some("X-Api-Key: token-of-the-operator"),
    ];
    for (method, path) in ALL {
        for field in wrong {
            let fields: Vec<&str> = field.into_iter().chain([JSON]).collect();
            let response = rig.ask(method, path, &fields, b"{}").await;
            assert_eq!(response.status, 401, "{method} {path} {field:?}");
            let challenge = response.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer "), "{challenge}");
            assert_eq!(response.header("content-type"), Some("application/problem+json"));
            assert_eq!(response.header("cache-control"), Some("no-store"));
            let problem = json(&response);
            assert_eq!(
                (&problem["status"], &problem["type"]),
                (&401.into(), &"about:blank".into())
            );
        }
        // In the query it would be in every log.
        let sign = if path.contains('?') { '&' } else { '?' };
        let in_query = format!("{path}{sign}access_token={OPERATOR}");
        assert_eq!(rig.ask(method, &in_query, &[JSON], b"{}").await.status, 401, "{path}");
    }
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap().unwrap(), "value");
    assert_eq!(rig.cache.version("reports").unwrap(), 1);
}

#[tokio::test]
async fn credentials_twice_are_none() {
    let rig = rig(memory_cache()).await;
    let (one, two) = (bearer(OPERATOR), bearer(WS1));
    for fields in [[one.as_str(), &two], [&two, &one], [&one, &one]] {
        assert_eq!(rig.ask("GET", "/stats", &fields, b"").await.status, 401);
    }
}

#[tokio::test]
async fn the_page_needs_none_and_has_no_data() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("very_particular", "key", "value").await.unwrap();
    for path in ["", "?x=1"] {
        let page = rig.ask("GET", path, &[], b"").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert!(!page.text().contains("very_particular"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src "), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(page.header(name), Some(value));
        }
    }
}

#[tokio::test]
async fn probes_may_be_opened_and_tell_one_word() {
    let rig = super::rig::rig_with(memory_cache(), Admin::open_probes).await;
    for (path, body) in
        [("/health/live", r#"{"status":"live"}"#), ("/health/ready", r#"{"status":"ready"}"#)]
    {
        let response = rig.ask("GET", path, &[], b"").await;
        assert_eq!((response.status, response.text().as_str()), (200, body));
        assert_eq!(response.header("cache-control"), Some("no-store"));
    }
    assert_eq!(rig.ask("GET", "/health", &[], b"").await.status, 401);
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_when_it_is_built() {
    let http = http(memory_cache());
    for bad in ["", " ", "two words"] {
        let built = cache_axum::admin(&http).authorize(BearerToken::new(bad)).build::<()>();
        let error = built.unwrap_err().to_string();
        assert!(error.contains("bearer token"), "{error}");
    }
    let one_bad = BearerToken::new("fine").and("", Principal::workspace("ws1"));
    assert!(cache_axum::admin(&http).authorize(one_bad).build::<()>().is_err());
    let fine = || cache_axum::admin(&http).authorize(BearerToken::new("fine"));
    assert!(fine().build::<()>().is_ok());
    assert!(fine().requests_per_second(0).build::<()>().is_err());
    assert!(fine().changes_per_minute(0).build::<()>().is_err());
}

/// By a header that only a gateway could have set.
async fn by_gateway(request: &Parts) -> Result<Principal, Denied> {
    let user = request.headers.get("x-user").ok_or(Denied::NoCredentials)?;
    // As one that asks elsewhere.
    tokio::task::yield_now().await;
    match user.as_bytes() {
        b"ada" => Ok(Principal::operator().named("ada")),
        b"away" => Err(Denied::Unavailable),
        b"guest" => Err(Denied::Forbidden),
        b"tenant" => Ok(Principal::workspace("ws1")),
        _ => Err(Denied::WrongCredentials),
    }
}

#[tokio::test]
async fn a_function_may_say_who_it_is() {
    let http = http(memory_cache());
    let admin = cache_axum::admin(&http).authorize_with(by_gateway).build().unwrap();
    let served = serve(Router::new().nest("/admin", admin)).await;
    for (user, status) in [
        (None, 401),
        (Some("ada"), 200),
        (Some("tenant"), 403),
        (Some("guest"), 403),
        (Some("other"), 401),
        (Some("away"), 503),
    ] {
        let fields: Vec<(&str, &str)> = user.into_iter().map(|user| ("x-user", user)).collect();
        let response =
            http_client::request(served.addr, "GET", "/admin/routes", &fields, b"").await;
        let response = response.unwrap();
        assert_eq!(response.status, status, "{user:?}");
        if status >= 400 {
            assert_eq!(json(&response)["status"], status);
        }
    }
}

#[tokio::test]
async fn a_closure_may_say_who_it_is() {
    let http = http(memory_cache());
    let secret = "of the gateway".to_owned();
    let admin = cache_axum::admin(&http).authorize_with(move |request: &Parts| {
        let given = request.headers.get("x-secret").map(http::HeaderValue::as_bytes);
        let known = given == Some(secret.as_bytes());
        async move { if known { Ok(Principal::operator()) } else { Err(Denied::WrongCredentials) } }
    });
    let served = serve(Router::new().nest("/admin", admin.build().unwrap())).await;
    for (secret, status) in [("of the gateway", 200), ("another", 401)] {
        let fields = [("x-secret", secret)];
        let response = http_client::request(served.addr, "GET", "/admin/stats", &fields, b"").await;
        assert_eq!(response.unwrap().status, status);
    }
}
