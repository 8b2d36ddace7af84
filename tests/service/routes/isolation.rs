//! Layers of one cache on the same URI: they share only what is the same for both, and an unsafe
//! request reaches them all.

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use cache_axum::{RoutePolicy, cache_endpoint, invalidate_cache};
use cache_core::minutes;
use cache_tower::{CacheLayer, HttpCache, RequestHead, Workspace};
use tower::ServiceExt;

use super::options::counted;
use super::{App, Calls, HIT, Lines, MISS, everywhere};

/// Several routers under the same URIs: `X-Door` says which. Without a layer around them.
pub(super) fn doors(routers: Vec<Router>) -> Router {
    let open = async move |request: Request| {
        let door = request.headers().get("x-door").and_then(|door| door.to_str().ok());
        let door: usize = door.and_then(|door| door.parse().ok()).expect("a door");
        routers[door].clone().oneshot(request).await.into_response()
    };
    Router::new().fallback(open)
}

type Say = fn(RoutePolicy) -> RoutePolicy;

/// Of each of these, no two may share.
const DIFFERENT: [Say; 12] = [
    |policy| policy,
    |policy| policy.namespace("other"),
    |policy| policy.key_by_header("x-a".parse().unwrap()),
    |policy| policy.key_by_header("x-b".parse().unwrap()),
    |policy| policy.key_by_cookie("x-a"),
    |policy| policy.key_by("x-a", says_the_same),
    |policy| policy.key_by("x-b", says_the_same),
    |policy| policy.key_by("x-a", says_the_same).namespace("other"),
    |policy| policy.workspace(Workspace::header("x-workspace")),
    |policy| policy.workspace(Workspace::optional_header("x-other-workspace")),
    |policy| policy.workspace(by_function("project")),
    |policy| policy.workspace(by_function("team")).key_by_header("x-a".parse().unwrap()),
];

fn says_the_same(request: &RequestHead<'_>) -> Option<String> {
    request.headers().contains_key("x-a").then(|| "1".into())
}

/// What it finds is called as what others find.
fn by_function(kind: &str) -> Workspace {
    Workspace::from_fn(|_, _| Some("ws1".into())).named(kind)
}

const EVERYONE: Lines<'_> = &[
    ("host", "shop.example"),
    ("x-workspace-id", "ws1"),
    ("x-workspace", "ws1"),
    ("x-other-workspace", "ws1"),
    ("x-a", "1"),
    ("x-b", "1"),
];

fn door(number: usize) -> Vec<(&'static str, &'static str)> {
    const NUMBERS: [&str; 14] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"];
    [EVERYONE, &[("x-door", NUMBERS[number])]].concat()
}

/// Twelve layers, each different in what keys are made of, and two doors for what changes.
fn different(http: &HttpCache, calls: &Calls) -> Router {
    let layered = |say: Say| {
        let layer = cache_endpoint(http, say(RoutePolicy::new(minutes(5))));
        Router::new().route("/a", counted(calls).layer(layer))
    };
    let changed = || Router::new().route("/a", post(async || ()));
    let around = changed().layer(CacheLayer::new(http));
    let endpoint = changed().layer(cache_endpoint(http, minutes(5)).namespace("third"));
    doors(DIFFERENT.map(layered).into_iter().chain([around, endpoint]).collect())
}

#[tokio::test]
async fn layers_that_tell_requests_apart_differently_share_nothing() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let app = App::start(&http, different(&http, &calls)).await;
        for told in [MISS, HIT] {
            for number in 0..DIFFERENT.len() {
                let seen = app.seen("/a", &door(number)).await;
                assert_eq!(seen, ((number + 1).to_string(), told.into()), "door {number}");
            }
        }
    }
}

/// Two that are said the same share, wherever they stand.
#[tokio::test]
async fn layers_that_are_said_the_same_share() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let layered = |ttl| {
            let layer = cache_endpoint(&http, minutes(ttl))
                .key_by_header("x-a".parse().unwrap())
                .key_by_extension("plan", |plan: &String| plan.as_str())
                .namespace("other");
            Router::new().route("/a", counted(&calls).layer(layer))
        };
        let app = App::start(&http, doors(vec![layered(5), layered(7)])).await;
        assert_eq!(app.seen("/a", &door(0)).await, ("1".into(), MISS.into()));
        assert_eq!(app.seen("/a", &door(1)).await, ("1".into(), HIT.into()));
    }
}

/// RFC 9111 §4.4, whatever the layer that the unsafe request passes knows of the others.
#[tokio::test]
async fn an_unsafe_request_reaches_the_entries_of_all_layers() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let app = App::start(&http, different(&http, &calls)).await;
        for by in [12, 13] {
            for number in 0..DIFFERENT.len() {
                app.get("/a", &door(number)).await;
                assert_eq!(app.told("/a", &door(number)).await, HIT, "door {number}");
            }
            assert_eq!(app.send("POST", "/a", &door(by)).await.status, 200);
            for number in 0..DIFFERENT.len() {
                let lines = door(number);
                assert_eq!(app.told("/a", &lines).await, MISS, "door {number} after {by}");
            }
        }
    }
}

/// Query rules make other keys of the URI that has changed.
#[tokio::test]
async fn an_unsafe_request_reaches_what_was_stored_by_a_part_of_its_query() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let layered = |layer: CacheLayer| Router::new().route("/a", counted(&calls).layer(layer));
        let endpoint = || cache_endpoint(&http, minutes(5));
        let routers = doors(vec![
            layered(endpoint()),
            layered(endpoint().key_query_only(["page"]).namespace("other")),
            Router::new().route("/a", post(async || ())).layer(CacheLayer::new(&http)),
        ]);
        let app = App::start(&http, routers).await;
        for number in [0, 1] {
            app.get("/a?page=1&x=2", &door(number)).await;
            assert_eq!(app.told("/a?page=1&x=2", &door(number)).await, HIT);
        }
        app.send("POST", "/a?page=1&x=2", &door(2)).await;
        for number in [0, 1] {
            assert_eq!(app.told("/a?page=1&x=2", &door(number)).await, MISS, "{number}");
        }
    }
}

/// Patterns and groups reach all namespaces, also of layers that are made later, but no other
/// workspace.
#[tokio::test]
async fn patterns_and_groups_reach_all_namespaces() {
    let grouped = || get(async || ([("cache-groups", "\"g\"")], "x"));
    for http in everywhere(|builder| builder) {
        let changed = invalidate_cache(&http, "{workspace_id}:a:*");
        let groups = async || ([("cache-group-invalidation", "\"g\"")], "");
        let router = Router::new()
            .route("/a/1", grouped().layer(cache_endpoint(&http, minutes(5))))
            .route("/a/2", grouped().layer(cache_endpoint(&http, minutes(5)).namespace("late")))
            .route("/changed", post(async || ()).layer(changed))
            .route("/groups", post(groups).layer(cache_endpoint(&http, minutes(5))));
        let app = App::start(&http, router).await;
        let [ours, theirs] = ["ws1", "ws2"].map(|workspace| [("x-workspace-id", workspace)]);
        for by in ["/changed", "/groups"] {
            for path in ["/a/1", "/a/2"] {
                for lines in [&ours, &theirs] {
                    app.get(path, lines).await;
                    assert_eq!(app.told(path, lines).await, HIT);
                }
            }
            app.send("POST", by, &ours).await;
            for path in ["/a/1", "/a/2"] {
                assert_eq!(app.told(path, &theirs).await, HIT, "{path} after {by}");
                assert_eq!(app.told(path, &ours).await, MISS, "{path} after {by}");
            }
        }
    }
}

/// The rule of a route finds the workspace; a request that it finds none for goes past.
#[tokio::test]
async fn a_route_may_have_workspaces_of_its_own() {
    for http in everywhere(|builder| builder) {
        let calls = Calls::default();
        let layer = cache_endpoint(&http, minutes(5)).workspace(Workspace::header("x-project"));
        let app = App::start(&http, Router::new().route("/a", counted(&calls).layer(layer))).await;
        let (one, two) = ([("x-project", "p1")], [("x-project", "p2")]);
        assert_eq!(app.seen("/a", &one).await, ("1".into(), MISS.into()));
        assert_eq!(app.seen("/a", &two).await, ("2".into(), MISS.into()));
        assert_eq!(app.seen("/a", &one).await, ("1".into(), HIT.into()));
        let past = "cache-tower; fwd=bypass; detail=workspace";
        assert_eq!(app.told("/a", &[("x-workspace-id", "p1")]).await, past);
    }
}
