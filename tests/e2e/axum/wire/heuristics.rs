//! A lifetime for what has none of its own.

use axum::Router;
use cache_core::{hours, seconds};

use super::{Calls, HIT, MISS, ask, builder, counted, seen, serve};

/// 1,000 s before the start.
const MODIFIED: (&str, &str) = ("last-modified", "Tue, 14 Nov 2023 21:56:40 GMT");

#[tokio::test]
async fn what_has_not_changed_for_long_is_fresh_for_a_while() {
    let (http, clock) = builder();
    let calls = Calls::default();
    let app = Router::new().route("/text", counted(&calls, |call| ([MODIFIED], call.to_string())));
    let addr = serve(&http.heuristic_freshness(hours(24)).build(), app).await;
    assert_eq!(seen(&ask(addr, "/text", &[]).await), (200, "1".into(), MISS.into()));
    clock.advance(seconds(99));
    let hit = ask(addr, "/text", &[]).await;
    assert_eq!((seen(&hit), hit.header("age")), ((200, "1".into(), HIT.into()), Some("99")));
    assert_eq!(hit.header_all(MODIFIED.0), [MODIFIED.1]);
    clock.advance(seconds(1));
    let stale = ask(addr, "/text", &[]).await;
    assert_eq!(seen(&stale), (200, "2".into(), "fwd=stale; stored".into()));
    assert_eq!(stale.header("age"), None);
}

#[tokio::test]
async fn but_only_on_demand() {
    let calls = Calls::default();
    let app = Router::new().route("/text", counted(&calls, |call| ([MODIFIED], call.to_string())));
    let addr = serve(&builder().0.build(), app).await;
    for call in ["1", "2"] {
        let told = "fwd=uri-miss; detail=no-freshness".to_owned();
        assert_eq!(seen(&ask(addr, "/text", &[]).await), (200, call.into(), told));
    }
}
