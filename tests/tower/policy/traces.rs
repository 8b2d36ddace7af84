//! What the cache did, in a trace: one event for each request, in the words of `Cache-Status`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Once;

use cache_core::{Clock, seconds};
use cache_tests::RedisServer;
use cache_tower::{CacheLayer, HttpCache, HttpStats};
use http::StatusCode;
use tower::{Layer, ServiceExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use super::origin::{App, Lines, Origin, START, in_redis, memory, reply, request, told};
use crate::setup;

/// The fields of an event, as text.
type Fields = BTreeMap<&'static str, String>;

thread_local! {
    /// What was heard in this thread, if its test listens.
    static HEARD: RefCell<Option<Vec<Fields>>> = const { RefCell::new(None) };
}

/// Of the whole process: with one for a thread, `tracing` would ask whichever thread comes first
/// whether anybody listens, and keep the answer.
struct Listener;

/// Ends listening when it is dropped.
struct Listening;

impl Listening {
    fn begin() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).expect("the first"));
        // A thread may have asked just before there was one.
        tracing::callsite::rebuild_interest_cache();
        HEARD.set(Some(Vec::new()));
        Self
    }
}

/// What was heard since this was asked last.
fn heard() -> Vec<Fields> {
    HEARD.replace(Some(Vec::new())).expect("this listens")
}

impl Drop for Listening {
    fn drop(&mut self) {
        HEARD.set(None);
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let listens = HEARD.with_borrow(Option::is_some);
        listens && metadata.target() == "cache_tower" && *metadata.level() == Level::DEBUG
    }

    fn event(&self, event: &Event<'_>) {
        let mut noted = Noted::default();
        event.record(&mut noted);
        HEARD.with_borrow_mut(|heard| heard.as_mut().expect("this listens").push(noted.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Noted(Fields);

impl Visit for Noted {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// How many requests were counted as what the trace calls it, by the names of the fields.
fn counted(stats: HttpStats) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([("hits", stats.hits), ("misses", stats.misses), ("bypasses", stats.bypasses)])
}

/// The one event of a request, as `Cache-Status` would have it, and the origin's status.
fn of_one(events: &[Fields]) -> (String, Option<String>) {
    let [event] = events else { panic!("one request, one event: {events:?}") };
    assert_eq!(event["namespace"], "api_responses");
    let known = ["counted", "decision", "detail", "namespace", "status"];
    assert!(event.keys().all(|name| known.contains(name)), "{event:?}");
    let detail = event.get("detail").map(|detail| format!("; detail={detail}"));
    (event["decision"].clone() + &detail.unwrap_or_default(), event.get("status").cloned())
}

/// By its path: what can be stored, what can be validated, what sets a cookie, what fails.
fn origin() -> Origin {
    Origin::new(|request| {
        let has = |name: &str| request.headers().contains_key(name);
        match request.uri().path() {
            _ if has("x-fail") => reply(503, &[], "no"),
            "/cookie" => reply(200, &[("set-cookie", "a=b"), ("cache-control", "max-age=9")], ""),
            "/background" => {
                let line = ("cache-control", "max-age=10, stale-while-revalidate=60");
                reply(200, &[line], "old")
            }
            "/vary" => reply(200, &[("vary", "accept"), ("cache-control", "max-age=10")], "x"),
            _ => {
                let line = ("cache-control", "max-age=10, stale-if-error=60");
                let status = if has("if-none-match") { 304 } else { 200 };
                reply(status, &[("etag", "\"a\""), line], "body")
            }
        }
    })
}

/// Method, URI, lines, seconds to wait before; what is told, and the origin's status.
type Case = (&'static str, &'static str, Lines<'static>, u64, &'static str, Option<&'static str>);

const CASES: [Case; 16] = [
    ("GET", "/a", &[], 0, "fwd=uri-miss; stored", Some("200")),
    ("GET", "/a", &[], 0, "hit", None),
    ("HEAD", "/a", &[], 0, "hit", None),
    ("GET", "/a", &[("if-none-match", "\"a\"")], 0, "hit", None),
    ("GET", "/a", &[("cache-control", "no-store")], 0, "fwd=bypass; detail=no-store", Some("200")),
    ("OPTIONS", "/a", &[], 0, "fwd=method", Some("200")),
    ("GET", "/a", &[], 20, "fwd=stale", Some("304")),
    ("GET", "/a", &[("x-fail", "1")], 20, "fwd=stale; detail=stale-if-error", Some("503")),
    ("POST", "/a", &[("x-fail", "1")], 0, "fwd=method", Some("503")),
    ("HEAD", "/b", &[], 0, "fwd=uri-miss; detail=method", Some("200")),
    ("GET", "/cookie", &[], 0, "fwd=uri-miss; detail=set-cookie", Some("200")),
    ("GET", "/vary", &[], 0, "fwd=uri-miss; stored", Some("200")),
    ("GET", "/vary", &[("accept", "a/b")], 0, "fwd=vary-miss; stored", Some("200")),
    ("GET", "/background", &[], 0, "fwd=uri-miss; stored", Some("200")),
    // The refresh that follows it is no request of a client.
    ("GET", "/background", &[], 20, "hit; detail=stale-while-revalidate", None),
    ("GET", "/none", &[("cache-control", "only-if-cached")], 0, "detail=only-if-cached", None),
];

async fn are_told(http: &HttpCache) {
    let _listening = Listening::begin();
    let app = App::layered(http, &origin());
    let mut expected = counted(http.stats());
    for (method, uri, lines, wait, status, origin_s) in CASES {
        app.clock.advance(seconds(wait));
        let response = app.send(request(method, uri, lines)).await;
        let said = told(&response);
        let without = said.split("; ").filter(|one| !one.starts_with("fwd-status="));
        assert_eq!(without.collect::<Vec<_>>().join("; "), status, "{method} {uri} {lines:?}");
        let events = heard();
        *expected.get_mut(&*events[0]["counted"]).expect("a counter") += 1;
        assert_eq!(counted(http.stats()), expected, "{events:?}");
        let (words, status_there) = of_one(&events);
        assert_eq!(words.replace("unanswered; ", ""), status, "{method} {uri} {lines:?}");
        assert_eq!(status_there.as_deref(), origin_s, "{method} {uri} {lines:?}");
    }
}

#[tokio::test]
async fn every_request_is_told_once_as_it_is_counted() {
    are_told(&HttpCache::builder(memory(&Clock::manual(START))).build()).await;
}

#[tokio::test]
async fn so_are_those_that_the_store_answers() {
    let redis = RedisServer::start();
    are_told(&HttpCache::builder(in_redis(&redis, &Clock::manual(START))).build()).await;
}

#[tokio::test]
async fn of_nested_caches_one_tells() {
    let _listening = Listening::begin();
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    let endpoint = CacheLayer::endpoint(&http, seconds(60)).layer(origin());
    let app = App::of(&http, CacheLayer::new(&http).layer(endpoint));
    for expected in ["fwd=uri-miss; stored", "hit", "hit"] {
        assert_eq!(app.told("/a", &[]).await, expected);
        assert_eq!(of_one(&heard()).0, expected);
    }
}

#[tokio::test]
async fn who_waits_for_another_and_who_gets_no_response_are_told_of() {
    let _listening = Listening::begin();
    let http = setup::http(&setup::memory());
    let (app, mut calls) = setup::app(&http);
    let first = setup::send(&app, setup::get("/a"));
    let call = calls.next().await;
    let second = setup::send(&app, setup::get("/a"));
    setup::settle().await;
    drop(call.stream());
    for going in [first, second] {
        assert_eq!(setup::head(going).await.status(), StatusCode::OK);
    }
    let mut words: Vec<_> = heard().chunks(1).map(|one| of_one(one).0).collect();
    words.sort();
    assert_eq!(words, ["fwd=uri-miss; collapsed", "fwd=uri-miss; stored"]);

    let failing = tokio::spawn(app.clone().oneshot(setup::get("/b")));
    calls.next().await.fail();
    assert!(failing.await.expect("no panic").is_err());
    setup::at_rest(&http).await;
    assert_eq!(of_one(&heard()), ("unanswered".to_owned(), None));
}
