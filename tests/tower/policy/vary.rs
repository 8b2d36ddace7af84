//! Responses that are selected by fields of the request.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_core::{Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::HttpCache;
use http::{Request, Response};

use super::origin::{App, Body, HIT, Lines, MISS, Origin, START, in_redis, reply, request, told};

const VARY_MISS: &str = "fwd=vary-miss; stored";

fn line(request: &Request<Body>, name: &str) -> String {
    let lines: Vec<_> = request.headers().get_all(name).iter().collect();
    if lines.is_empty() { "absent".to_owned() } else { format!("{lines:?}") }
}

/// Says which language it was asked for.
fn by_language() -> Origin {
    Origin::new(|request| {
        let lines = [("cache-control", "max-age=60"), ("vary", "Accept-Language")];
        reply(200, &lines, &line(request, "accept-language"))
    })
}

async fn ask(app: &App, lines: Lines<'_>) -> (String, String) {
    let response = app.get("/a", lines).await;
    (told(&response), text(&response))
}

fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).expect("text")
}

/// Requests of which each selects another variant.
const LANGUAGES: [Lines<'static>; 5] = [
    &[("accept-language", "en")],
    &[("accept-language", "de")],
    &[],
    &[("accept-language", "")],
    &[("accept-language", "de-AT")],
];

#[tokio::test]
async fn each_variant_is_stored_by_itself() {
    let origin = by_language();
    let app = App::new(&origin);
    let mut bodies = Vec::new();
    for (nth, lines) in LANGUAGES.iter().enumerate() {
        let (told, body) = ask(&app, lines).await;
        assert_eq!(told, if nth == 0 { MISS } else { VARY_MISS }, "{lines:?}");
        bodies.push(body);
    }
    for (lines, body) in LANGUAGES.iter().zip(bodies) {
        assert_eq!(ask(&app, lines).await, (HIT.to_owned(), body), "{lines:?}");
        // Fields that nothing varies by make no difference.
        let more = [lines, &[("accept", "text/plain")][..]].concat();
        assert_eq!(ask(&app, &more).await.0, HIT);
    }
    assert_eq!(origin.calls(), LANGUAGES.len());
}

#[tokio::test]
async fn variants_go_stale_one_by_one() {
    let app = App::new(&by_language());
    assert_eq!(ask(&app, LANGUAGES[0]).await.0, MISS);
    app.clock.advance(seconds(40));
    assert_eq!(ask(&app, LANGUAGES[1]).await.0, VARY_MISS);
    app.clock.advance(seconds(40));
    assert_eq!(ask(&app, LANGUAGES[1]).await.0, HIT);
    let (told, body) = ask(&app, LANGUAGES[0]).await;
    assert!(told.starts_with("fwd=") && told.ends_with("; stored"), "{told}");
    assert_eq!(body, "[\"en\"]");
    assert_eq!(ask(&app, LANGUAGES[0]).await.0, HIT);
}

/// Varies by a list that changes; says all that it could vary by.
fn by_list() -> (Origin, Arc<Mutex<&'static str>>) {
    let list = Arc::new(Mutex::new("accept-language"));
    let vary = Arc::clone(&list);
    let origin = Origin::new(move |request| {
        let vary = *vary.lock().expect("not poisoned");
        let body = ["accept-language", "accept", "x-tier"].map(|name| line(request, name));
        reply(200, &[("cache-control", "max-age=60"), ("vary", vary)], &body.join(" "))
    });
    (origin, list)
}

#[tokio::test]
async fn a_list_that_grows_never_gives_the_wrong_variant() {
    let (origin, list) = by_list();
    let app = App::new(&origin);
    // The fields that are named, by their place in the body.
    let lists: [(&str, &[usize]); 3] = [
        ("accept-language", &[0]),
        ("accept, accept-language", &[0, 1]),
        ("Accept-Language,x-tier, ACCEPT", &[0, 1, 2]),
    ];
    for (vary, named) in lists {
        *list.lock().expect("not poisoned") = vary;
        // A language that nobody has asked for yet: the origin tells of the new list.
        let language = format!("l{}", named.len());
        for (accept, tier) in [("a/b", "1"), ("c/d", "1"), ("a/b", "2"), ("c/d", "2")] {
            let lines =
                [("accept-language", language.as_str()), ("accept", accept), ("x-tier", tier)];
            ask(&app, &lines).await;
            let (told, body) = ask(&app, &lines).await;
            assert_eq!(told, HIT);
            let said: Vec<_> = body.split(' ').collect();
            for place in named {
                let (name, value) = lines[*place];
                assert_eq!(said[*place], format!("[\"{value}\"]"), "{vary}: {name}");
            }
        }
    }
    assert_eq!(origin.calls(), 1 + 2 + 4);
}

#[tokio::test]
async fn a_list_that_shrinks_or_vanishes_serves_nobody_else_s() {
    let (origin, list) = by_list();
    let app = App::new(&origin);
    *list.lock().expect("not poisoned") = "accept, accept-language";
    let (english, german) = (LANGUAGES[0], LANGUAGES[1]);
    assert_eq!(ask(&app, english).await.0, MISS);
    *list.lock().expect("not poisoned") = "accept-language";
    assert_eq!(ask(&app, german).await.0, VARY_MISS);
    for (lines, body) in [(english, "[\"en\"] absent absent"), (german, "[\"de\"] absent absent")] {
        assert_eq!(ask(&app, lines).await, (HIT.to_owned(), body.to_owned()));
    }
}

#[tokio::test]
async fn all_variants_go_with_a_post_to_the_uri() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let caches = [super::origin::memory(&clock), in_redis(&redis, &clock)];
    for cache in caches {
        let app = App::layered(&HttpCache::builder(cache).build(), &by_language());
        for lines in LANGUAGES {
            ask(&app, lines).await;
            assert_eq!(ask(&app, lines).await.0, HIT);
        }
        app.send(request("POST", "/a", &[])).await;
        let only = ("cache-control", "only-if-cached");
        for lines in LANGUAGES {
            let response = app.get("/a", &[lines, &[only]].concat()).await;
            assert_eq!(response.status(), 504, "{lines:?}");
        }
        for (nth, lines) in LANGUAGES.into_iter().enumerate() {
            assert_eq!(ask(&app, lines).await.0, if nth == 0 { MISS } else { VARY_MISS });
            assert_eq!(ask(&app, lines).await.0, HIT);
        }
    }
}

#[tokio::test]
async fn a_hit_takes_one_fetch_and_the_first_meeting_two() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let origin = by_language();
    let app = || App::layered(&HttpCache::builder(in_redis(&redis, &clock)).build(), &origin);
    let (first, second) = (app(), app());
    let fetches = async |app: &App, lines, expected: &str| {
        let before = redis.calls("mget");
        assert_eq!(ask(app, lines).await.0, expected);
        redis.calls("mget") - before
    };
    let (english, german) = (LANGUAGES[0], LANGUAGES[1]);
    fetches(&first, english, MISS).await;
    fetches(&first, german, VARY_MISS).await;
    for lines in [english, german, english] {
        assert_eq!(fetches(&first, lines, HIT).await, 1);
    }
    // Who meets the namespace for the first time takes one more, whatever is asked for.
    second.get("/unrelated", &[]).await;
    assert_eq!(fetches(&second, english, HIT).await, 2);
    for lines in [english, german, german] {
        assert_eq!(fetches(&second, lines, HIT).await, 1);
    }
}

#[tokio::test]
async fn requests_that_accept_the_same_share_a_variant_where_that_is_wanted() {
    let origin = by_language();
    let builder = HttpCache::builder(in_memory());
    let app = App::layered(&builder.normalize_accept_language().build(), &origin);
    let groups: [&[Lines<'static>]; 4] = [
        &[
            &[("accept-language", "de-AT, en;q=0.5")],
            &[("accept-language", "EN;q=0.50 ,de-at")],
            &[("accept-language", "en;q=0.5"), ("accept-language", "de-at;q=1.0")],
        ],
        &[&[("accept-language", "de-AT, en;q=0.6")]],
        &[&[]],
        // What can't be read is what it is.
        &[&[("accept-language", "de;q=9")]],
    ];
    for group in groups {
        let stored = ask(&app, group[0]).await;
        assert!(stored.0.ends_with("; stored"), "{group:?}");
        for lines in group {
            assert_eq!(ask(&app, lines).await, (HIT.to_owned(), stored.1.clone()), "{lines:?}");
        }
    }
    assert_eq!(origin.calls(), groups.len());
}

#[tokio::test]
async fn no_field_is_normalized_that_was_not_asked_for() {
    let origin = by_language();
    let builder = HttpCache::builder(in_memory());
    let app = App::layered(&builder.normalize_accept_encoding().build(), &origin);
    for language in ["de, en", "en, de", "EN, de"] {
        let told = ask(&app, &[("accept-language", language)]).await.0;
        assert!(told.ends_with("; stored"), "{language}: {told}");
    }
}

fn in_memory() -> cache_core::Cache {
    super::origin::memory(&Clock::manual(START))
}

/// With room for three variants.
fn of_three(cache: cache_core::Cache, origin: &Origin) -> App {
    App::layered(&HttpCache::builder(cache).max_variants(3).build(), origin)
}

async fn told_in(app: &App, language: &str) -> String {
    ask(app, &[("accept-language", language)]).await.0
}

#[tokio::test]
async fn there_is_an_end_to_the_variants_of_a_uri() {
    let app = of_three(in_memory(), &by_language());
    for language in ["a", "b", "c"] {
        told_in(&app, language).await;
    }
    // Used, so `b` is the one that has not been used for the longest time.
    assert_eq!(told_in(&app, "a").await, HIT);
    assert_eq!(told_in(&app, "d").await, VARY_MISS);
    for language in ["c", "a", "d"] {
        assert_eq!(told_in(&app, language).await, HIT, "{language}");
    }
    assert_eq!(told_in(&app, "b").await, VARY_MISS);
    assert_eq!(told_in(&app, "c").await, VARY_MISS);
    // Another URI has variants of its own.
    let elsewhere = app.get("/b", &[("accept-language", "x")]).await;
    assert_eq!(told(&elsewhere), MISS);
    for language in ["b", "c", "d"] {
        assert_eq!(told_in(&app, language).await, HIT, "{language}");
    }
}

#[tokio::test]
async fn a_flood_of_variants_leaves_no_more_in_memory_than_allowed() {
    let app = of_three(in_memory(), &by_language());
    for n in 0..200 {
        assert_ne!(told_in(&app, &n.to_string()).await, HIT);
    }
    // Three variants, and what says by what they vary.
    assert_eq!(app.http.cache().health().await.l1_entries, 4);
}

#[tokio::test]
async fn variants_too_many_leave_redis_too() {
    let redis = RedisServer::start();
    let app = of_three(in_redis(&redis, &Clock::manual(START)), &by_language());
    for n in 0..20 {
        assert_ne!(told_in(&app, &n.to_string()).await, HIT);
    }
    for n in 0..20 {
        // Asked for only what is stored, so that nothing is stored by asking.
        let lines = [("accept-language", n.to_string())];
        let lines = [(lines[0].0, lines[0].1.as_str()), ("cache-control", "only-if-cached")];
        let status = app.get("/a", &lines).await.status();
        assert_eq!(status, if n < 17 { 504 } else { 200 }, "{n}");
    }
}
