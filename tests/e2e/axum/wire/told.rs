//! What handlers and the application say of single responses and requests.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use cache_axum::cache_endpoint;
use cache_core::{minutes, seconds};
use cache_tower::{CacheTtl, NoStore};

use super::{Calls, HIT, Lines, MISS, ask, builder, counted, seen, send, serve, status};

const FRESH: [(&str, &str); 1] = [("cache-control", "max-age=60")];

#[tokio::test]
async fn what_is_not_there_is_not_asked_for_again_and_again() {
    let (http, clock) = builder();
    let calls = Calls::default();
    let gone = counted(&calls, |_| (StatusCode::NOT_FOUND, "no such page"));
    let denied = counted(&calls, |_| StatusCode::FORBIDDEN);
    let http = http.negative_ttl(seconds(10)).build();
    let app = Router::new().route("/gone", gone).route("/denied", denied);
    let addr = serve(&http, app).await;
    let expected = |told: &str| (404, "no such page".to_owned(), told.to_owned());
    // Who has credentials may be told something else.
    for credentials in [("authorization", "Bearer a"), ("cookie", "a=b")] {
        let theirs = ask(addr, "/gone", &[credentials]).await;
        assert!(status(&theirs).starts_with("fwd=uri-miss; detail="), "{}", status(&theirs));
    }
    assert_eq!(seen(&ask(addr, "/gone", &[]).await), expected(MISS));
    clock.advance(seconds(9));
    let hit = ask(addr, "/gone", &[]).await;
    assert_eq!((seen(&hit), hit.header("age")), (expected(HIT), Some("9")));
    assert_eq!(hit.header("cache-control"), None);
    assert_eq!(calls.count(), 3);
    clock.advance(seconds(1));
    assert_eq!(seen(&ask(addr, "/gone", &[]).await), expected("fwd=stale; stored"));
    for _ in 0..2 {
        assert_eq!(status(&ask(addr, "/denied", &[]).await), "fwd=uri-miss; detail=no-freshness");
    }
    assert_eq!(calls.count(), 6);
}

#[tokio::test]
async fn a_handler_says_for_how_long_and_whether() {
    let (http, clock) = builder();
    let calls = Calls::default();
    let http = http.build();
    let long = |call: usize| (Extension(CacheTtl(minutes(5))), FRESH, call.to_string());
    // The first one is only half of it.
    let half = |call: usize| match call % 2 {
        1 => (Extension(NoStore), FRESH, call.to_string()).into_response(),
        _ => (FRESH, call.to_string()).into_response(),
    };
    let own = Calls::default();
    let app = Router::new()
        .route("/long", counted(&calls, long))
        .route("/own", counted(&own, long).layer(cache_endpoint(&http, seconds(1))))
        .route("/half", counted(&Calls::default(), half));
    let addr = serve(&http, app).await;
    for path in ["/long", "/own"] {
        assert_eq!(seen(&ask(addr, path, &[]).await), (200, "1".into(), MISS.into()), "{path}");
    }
    clock.advance(seconds(299));
    for path in ["/long", "/own"] {
        let hit = ask(addr, path, &[]).await;
        assert_eq!(seen(&hit), (200, "1".into(), HIT.into()), "{path}");
        // Clients are told what the headers say, and nothing of extensions.
        assert_eq!(hit.header_all("cache-control"), ["max-age=60"]);
        assert_eq!(hit.header("age"), Some("299"));
    }
    clock.advance(seconds(1));
    for path in ["/long", "/own"] {
        assert_eq!(ask(addr, path, &[]).await.text(), "2", "{path}");
    }
    for (body, told) in [("1", "fwd=uri-miss; detail=handler"), ("2", MISS), ("2", HIT)] {
        assert_eq!(seen(&ask(addr, "/half", &[]).await), (200, body.into(), told.into()));
    }
}

#[tokio::test]
async fn the_application_says_what_is_stored_and_who_goes_past() {
    let (http, _) = builder();
    let calls = Calls::default();
    let http = http
        .should_store(|response| !response.headers.contains_key("x-partial-data"))
        .skip_cache(|request| request.headers().contains_key("x-preview"))
        .build();
    let partial = [FRESH[0], ("x-partial-data", "1")];
    let app = Router::new()
        .route("/partial", counted(&calls, move |call: usize| (partial, call.to_string())))
        .route("/whole", counted(&calls, move |call: usize| (FRESH, call.to_string())));
    let addr = serve(&http, app).await;
    let preview: Lines<'_> = &[("x-preview", "1")];
    let skipped = "fwd=bypass; detail=skip-cache";
    for (path, lines, body, told) in [
        ("/partial", &[][..], "1", "fwd=uri-miss; detail=should-store"),
        ("/partial", &[], "2", "fwd=uri-miss; detail=should-store"),
        ("/whole", preview, "3", skipped),
        ("/whole", &[], "4", MISS),
        ("/whole", preview, "5", skipped),
        ("/whole", &[], "4", HIT),
    ] {
        let response = ask(addr, path, lines).await;
        assert_eq!(seen(&response), (200, body.into(), told.into()), "{path} {lines:?}");
    }
    assert_eq!(status(&send(addr, "HEAD", "/whole", preview).await), skipped);
    assert_eq!(status(&send(addr, "HEAD", "/whole", &[]).await), HIT);
    let stats = http.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (2, 3, 3), "{stats:?}");
}
