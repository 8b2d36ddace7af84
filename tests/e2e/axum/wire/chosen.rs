//! What an application adds to the key, and what it leaves out.

use axum::Router;
use axum::extract::{OriginalUri, RawQuery};
use axum::http::{HeaderMap, HeaderName};
use axum::routing::get;

use super::{Calls, HIT, MISS, VARY_MISS, ask, builder, seen, send, serve, status};

/// Says which query it sees, in both places where there is one.
fn pages(calls: &Calls) -> Router {
    let counted = calls.clone();
    let show = async move |RawQuery(query): RawQuery, OriginalUri(uri): OriginalUri| {
        let call = counted.next();
        assert_eq!(uri.query(), query.as_deref(), "one may be seen through the other");
        ([("cache-control", "max-age=60")], format!("{call} {}", query.unwrap_or_default()))
    };
    Router::new().nest("/shop", Router::new().route("/list", get(show).post(async || ())))
}

#[tokio::test]
async fn only_some_parameters_count_and_the_handler_sees_no_others() {
    let http = builder().0.key_query_only(["page", "q"]).build();
    let calls = Calls::default();
    let addr = serve(&http, pages(&calls)).await;
    let cases = [
        ("/shop/list?page=2&utm=%3Cscript%3E", "1 page=2", MISS),
        ("/shop/list?utm=b&page=2", "1 page=2", HIT),
        ("/shop/list?page=2", "1 page=2", HIT),
        // Each of these is another query.
        ("/shop/list?page=2&page=2", "2 page=2&page=2", MISS),
        ("/shop/list?page=2&page=3", "3 page=2&page=3", MISS),
        ("/shop/list?page=3&page=2", "4 page=3&page=2", MISS),
        ("/shop/list?q=a+b", "5 q=a+b", MISS),
        ("/shop/list?q=a%20b", "6 q=a%20b", MISS),
        ("/shop/list?page=", "7 page=", MISS),
        ("/shop/list?page", "8 page", MISS),
        ("/shop/list", "9 ", MISS),
        // Nothing that counts is left of these.
        ("/shop/list?", "9 ", HIT),
        ("/shop/list?%70age=2&&Page=2", "9 ", HIT),
    ];
    for (path, body, told) in cases {
        let response = ask(addr, path, &[]).await;
        assert_eq!(seen(&response), (200, body.into(), told.into()), "{path}");
    }
    assert_eq!(calls.count(), 9);
    // A write with other words about the same is one to it.
    send(addr, "POST", "/shop/list?utm=c&page=2", &[]).await;
    assert_eq!(ask(addr, "/shop/list?page=2", &[]).await.text(), "10 page=2");
    assert_eq!(status(&ask(addr, "/shop/list", &[]).await), HIT);
}

#[tokio::test]
async fn requests_with_other_parameters_may_go_past_the_cache() {
    let http = builder().0.ignore_query(["utm"]).bypass_unkeyed_query().build();
    let calls = Calls::default();
    let addr = serve(&http, pages(&calls)).await;
    for (path, body, told) in [
        ("/shop/list?page=2", "1 page=2", MISS),
        ("/shop/list?page=2&utm=1", "2 page=2&utm=1", "fwd=bypass; detail=unkeyed-query"),
        ("/shop/list?page=2&utm=1", "3 page=2&utm=1", "fwd=bypass; detail=unkeyed-query"),
        ("/shop/list?page=2", "1 page=2", HIT),
    ] {
        let response = ask(addr, path, &[]).await;
        assert_eq!(seen(&response), (200, body.into(), told.into()), "{path}");
    }
}

#[tokio::test]
async fn a_header_and_a_cookie_tell_responses_apart() {
    let http = builder().0.key_by_header(HeaderName::from_static("x-country"));
    let http = http.key_by_cookie("theme").build();
    let calls = Calls::default();
    let counted = calls.clone();
    let show = async move |headers: HeaderMap| {
        counted.next();
        let line = |name| headers.get(name).map_or("-", |line| line.to_str().expect("text"));
        ([("cache-control", "max-age=60")], format!("{} {}", line("x-country"), line("cookie")))
    };
    let addr = serve(&http, Router::new().route("/", get(show).post(async || ()))).await;
    let at = ("x-country", "at");
    let others = [
        (&[][..], "- -"),
        (&[at], "at -"),
        (&[("cookie", "theme=dark")], "- theme=dark"),
        (&[at, ("cookie", "theme=dark")], "at theme=dark"),
        (&[at, ("cookie", "theme=")], "at theme="),
    ];
    for (nth, (lines, body)) in others.iter().enumerate() {
        let told = if nth == 0 { MISS } else { VARY_MISS };
        let first = ask(addr, "/", lines).await;
        assert_eq!(seen(&first), (200, body.to_string(), told.into()), "{lines:?}");
    }
    for (lines, body) in others {
        let hit = ask(addr, "/", lines).await;
        assert_eq!(seen(&hit), (200, body.into(), HIT.into()), "{lines:?}");
    }
    let more = [at, ("cookie", "id=7; theme=dark"), ("accept", "text/html")];
    assert_eq!(ask(addr, "/", &more).await.text(), "at theme=dark");
    assert_eq!(calls.count(), others.len());
    send(addr, "POST", "/", &[at]).await;
    for (lines, _) in others {
        assert_ne!(status(&ask(addr, "/", lines).await), HIT, "{lines:?}");
    }
}
