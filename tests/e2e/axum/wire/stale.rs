//! What is stale: served while it is refreshed, and when the handler fails (RFC 5861).

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use cache_core::seconds;
use cache_tests::{Gate, eventually};

use super::{Calls, HIT, MISS, ask, builder, counted, seen, serve, status};
use crate::setup::{PATIENCE, join};

#[tokio::test]
async fn all_get_what_is_stale_while_one_refreshes_it() {
    let (http, clock) = builder();
    let (calls, gate) = (Calls::default(), Gate::new());
    let (counted, held) = (calls.clone(), gate.clone());
    let show = async move || {
        let call = counted.next();
        if call > 1 {
            held.pass().await;
        }
        ([("cache-control", "max-age=10, stale-while-revalidate=30")], call.to_string())
    };
    let addr = serve(&http.build(), Router::new().route("/", get(show))).await;
    assert_eq!(seen(&ask(addr, "/", &[]).await), (200, "1".into(), MISS.into()));
    clock.advance(seconds(15));
    // None of them waits for the handler, which waits for the test.
    let clients = (0..20).map(|_| tokio::spawn(ask(addr, "/", &[]))).collect::<Vec<_>>();
    for client in clients {
        let response = join(client).await;
        let stale = "hit; detail=stale-while-revalidate";
        assert_eq!(seen(&response), (200, "1".into(), stale.into()));
        assert_eq!(response.header("age"), Some("15"));
    }
    tokio::time::timeout(PATIENCE, gate.waiting(1)).await.expect("a refresh");
    assert_eq!(calls.count(), 2);
    gate.open_for_good();
    let fresh = async || (ask(addr, "/", &[]).await.text() == "2").then_some(());
    cache_tests::wait::eventually_some(PATIENCE, "the refresh", fresh).await;
    let hit = ask(addr, "/", &[]).await;
    assert_eq!((seen(&hit), hit.header("age")), ((200, "2".into(), HIT.into()), Some("0")));
    assert_eq!(calls.count(), 2);
    // Past the window somebody has to wait.
    clock.advance(seconds(40));
    assert_eq!(seen(&ask(addr, "/", &[]).await), (200, "3".into(), MISS.into()));
}

#[tokio::test]
async fn a_handler_that_fails_is_stood_in_for() {
    let (http, clock) = builder();
    let calls = Calls::default();
    let show = |call| match call {
        1 => ([("cache-control", "max-age=10, stale-if-error=60")], "good").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "bad").into_response(),
    };
    let http = http.build();
    let addr = serve(&http, Router::new().route("/", counted(&calls, show))).await;
    assert_eq!(status(&ask(addr, "/", &[]).await), MISS);
    clock.advance(seconds(69));
    let response = ask(addr, "/", &[]).await;
    let told = "fwd=stale; fwd-status=503; detail=stale-if-error";
    assert_eq!(seen(&response), (200, "good".into(), told.into()));
    assert_eq!((response.header("age"), calls.count()), (Some("69"), 2));
    // Who does not want that says so.
    let strict = [("cache-control", "no-cache")];
    assert_eq!(ask(addr, "/", &strict).await.status, 503);
    clock.advance(seconds(1));
    let failed = ask(addr, "/", &[]).await;
    assert_eq!((failed.status, failed.text().as_str(), calls.count()), (503, "bad", 4));
    let background = http.cache().background().clone();
    eventually(PATIENCE, "nothing goes on", move || background.running() == 0).await;
    let stats = http.stats();
    assert_eq!((stats.hits, stats.misses, stats.stale), (0, 4, 1), "{stats:?}");
}
