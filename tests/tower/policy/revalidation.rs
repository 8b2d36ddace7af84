//! What is stale is validated with the origin, and a 304 makes it fresh again.

use cache_core::seconds;
use cache_tests::RedisServer;
use cache_tower::HttpCache;

use super::origin::{
    App, HIT, Lines, MISS, Origin, START_DATE, field, in_redis, memory, reply, request, told,
};
use cache_core::Clock;

const MODIFIED: &str = "Mon, 13 Nov 2023 22:13:20 GMT";
const TAGGED: Lines<'static> =
    &[("cache-control", "max-age=10"), ("etag", "\"one\""), ("x-version", "1")];
const CONFIRMED: &str = "fwd=stale; fwd-status=304";

/// Answers in full, and conditions with a 304 that has these lines.
fn confirming(full: Lines<'static>, confirmation: Lines<'static>) -> Origin {
    Origin::new(move |request| {
        let headers = request.headers();
        if headers.contains_key("if-none-match") || headers.contains_key("if-modified-since") {
            reply(304, confirmation, "")
        } else {
            reply(200, full, "body")
        }
    })
}

fn apps(origin: &Origin) -> (Vec<App>, RedisServer) {
    let redis = RedisServer::start();
    let http = HttpCache::builder(in_redis(&redis, &Clock::manual(super::origin::START))).build();
    (vec![App::new(origin), App::layered(&http, origin)], redis)
}

#[tokio::test]
async fn a_304_makes_it_fresh_and_updates_its_headers() {
    let confirmation: Lines<'_> = &[
        ("cache-control", "max-age=20"),
        ("etag", "\"one\""),
        ("x-version", "2"),
        ("content-length", "99"),
        ("content-encoding", "br"),
        ("set-cookie", "a=b"),
    ];
    let origin = confirming(TAGGED, confirmation);
    let (apps, _redis) = apps(&origin);
    for app in apps {
        assert_eq!(app.told("/a", &[]).await, MISS);
        app.clock.advance(seconds(11));
        let before = origin.calls();
        let response = app.get("/a", &[]).await;
        assert_eq!((response.status().as_u16(), told(&response).as_str()), (200, CONFIRMED));
        assert_eq!(&response.body()[..], b"body");
        assert_eq!(field(&response, "x-version"), "2");
        assert_eq!(field(&response, "content-length"), "4");
        assert_eq!(field(&response, "content-encoding"), "-");
        // The client whose request it was gets the cookie, nobody else.
        assert_eq!(field(&response, "set-cookie"), "a=b");
        assert_eq!(field(&response, "age"), "0");
        assert_eq!(origin.last().headers["if-none-match"], "\"one\"");
        app.clock.advance(seconds(19));
        let hit = app.get("/a", &[]).await;
        assert_eq!((told(&hit).as_str(), field(&hit, "age").as_str()), (HIT, "19"));
        assert_eq!((field(&hit, "x-version"), field(&hit, "set-cookie")), ("2".into(), "-".into()));
        assert_eq!(field(&hit, "cache-control"), "max-age=20");
        assert_eq!(origin.calls(), before + 1);
    }
}

#[tokio::test]
async fn validators_are_the_stored_ones_and_the_client_s_are_answered_here() {
    let full: Lines<'_> =
        &[("cache-control", "no-cache"), ("etag", "W/\"one\""), ("last-modified", MODIFIED)];
    let origin = confirming(full, &[]);
    let app = App::new(&origin);
    for (conditions, status) in [
        (&[][..], 200),
        (&[("if-none-match", "\"one\"")], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-modified-since", START_DATE)], 304),
    ] {
        let response = app.get("/a", conditions).await;
        assert_eq!(response.status(), status, "{conditions:?}");
        if origin.calls() > 1 {
            assert_eq!(told(&response), CONFIRMED, "{conditions:?}");
            let seen = origin.last().headers;
            assert_eq!(seen["if-none-match"], "W/\"one\"");
            assert_eq!(seen["if-modified-since"], MODIFIED);
        }
    }
    assert_eq!(origin.calls(), 4, "no-cache: every time");
    assert_eq!(app.http.stats().validated, 3);
}

#[tokio::test]
async fn another_response_replaces_what_is_stored() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::new(move |_| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let tag = format!("\"{call}\"");
        reply(200, &[("cache-control", "max-age=10"), ("etag", &tag)], &tag)
    });
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let response = app.get("/a", &[]).await;
    assert_eq!(
        (told(&response).as_str(), &response.body()[..]),
        ("fwd=stale; stored", &b"\"1\""[..])
    );
    assert_eq!(origin.last().headers["if-none-match"], "\"0\"");
    let hit = app.get("/a", &[]).await;
    assert_eq!((told(&hit).as_str(), &hit.body()[..]), (HIT, &b"\"1\""[..]));
}

/// A 304 for something else must not rename what is stored.
#[tokio::test]
async fn a_304_about_something_else_updates_nothing() {
    let about_another: Lines<'_> =
        &[("cache-control", "max-age=600"), ("etag", "\"two\""), ("x-version", "2")];
    let origin = confirming(TAGGED, about_another);
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let response = app.get("/a", &[]).await;
    assert_eq!((field(&response, "x-version"), &response.body()[..]), ("1".into(), &b"body"[..]));
    // It is asked for in full the next time.
    assert_eq!(app.told("/a", &[]).await, MISS);
    assert!(!origin.last().headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn what_turned_private_is_removed() {
    for (status, lines) in [
        (200, &[("cache-control", "private")][..]),
        (200, &[("cache-control", "no-store")]),
        (304, &[("cache-control", "no-store")]),
        (404, &[]),
    ] {
        let lines: Vec<_> = lines.to_vec();
        let origin = Origin::new(move |request| {
            if request.headers().contains_key("if-none-match") {
                reply(status, &lines, "")
            } else {
                reply(200, TAGGED, "body")
            }
        });
        let app = App::new(&origin);
        app.get("/a", &[]).await;
        app.clock.advance(seconds(11));
        app.get("/a", &[]).await;
        assert_eq!(app.http.cache().health().await.l1_entries, 0, "{status}");
        assert_eq!(app.told("/a", &[]).await, MISS, "{status}");
    }
}

#[tokio::test]
async fn a_client_that_wants_no_old_answer_has_it_validated() {
    let origin = confirming(TAGGED, &[("etag", "\"one\""), ("cache-control", "max-age=10")]);
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    for directive in ["no-cache", "max-age=0", "max-age=4"] {
        app.clock.advance(seconds(5));
        let response = app.get("/a", &[("cache-control", directive)]).await;
        assert_eq!(told(&response), "fwd=request; fwd-status=304", "{directive}");
        assert_eq!(field(&response, "age"), "0", "{directive}");
    }
    // Nothing of an exchange is stored whose client forbids it (RFC 9111 §5.2.1.5).
    app.clock.advance(seconds(11));
    app.get("/a", &[("cache-control", "no-store")]).await;
    assert_eq!(app.told("/a", &[]).await, CONFIRMED);
}

#[tokio::test]
async fn each_variant_is_validated_by_its_own_tag() {
    let origin = Origin::new(|request| {
        let language = request.headers()["accept-language"].to_str().expect("text").to_owned();
        let tag = format!("\"{language}\"");
        let lines = [("cache-control", "max-age=10"), ("etag", &tag), ("vary", "accept-language")];
        if request.headers().get("if-none-match").is_some_and(|asked| *asked == *tag) {
            reply(304, &lines, "")
        } else {
            reply(200, &lines, &language)
        }
    });
    let (apps, _redis) = apps(&origin);
    for app in apps {
        for expected in [MISS, CONFIRMED] {
            for language in ["de", "en"] {
                let response = app.get("/a", &[("accept-language", language)]).await;
                assert_eq!(&response.body()[..], language.as_bytes());
                assert!(expected == CONFIRMED || told(&response).ends_with("stored"));
                assert!(expected == MISS || told(&response) == CONFIRMED, "{}", told(&response));
            }
            app.clock.advance(seconds(11));
        }
    }
}

#[tokio::test]
async fn no_validator_and_no_permission_means_a_fetch() {
    let origin = Origin::fixed(200, &[("cache-control", "max-age=10")], "body");
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    assert_eq!(app.told("/a", &[]).await, "fwd=stale; stored");
    assert!(!origin.last().headers.contains_key("if-none-match"));
}

#[tokio::test]
async fn what_is_kept_goes_in_the_end() {
    let origin = confirming(TAGGED, TAGGED);
    let clock = Clock::manual(super::origin::START);
    let http = HttpCache::builder(memory(&clock)).keep_stale(seconds(30)).build();
    let app = App::layered(&http, &origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(39));
    assert_eq!(app.told("/a", &[]).await, CONFIRMED);
    app.clock.advance(seconds(40));
    assert_eq!(app.told("/a", &[]).await, MISS);
}

#[tokio::test]
async fn head_does_not_validate() {
    let origin = confirming(TAGGED, TAGGED);
    let app = App::new(&origin);
    app.get("/a", &[]).await;
    app.clock.advance(seconds(11));
    let response = app.send(request("HEAD", "/a", &[])).await;
    assert_eq!(told(&response), "fwd=stale; detail=method");
    assert!(!origin.last().headers.contains_key("if-none-match"));
}
