//! Bodies reach the origin as they were, whatever becomes of the response.

use cache_core::Clock;
use cache_tests::Gate;
use cache_tests::body::{channel, failing, full};
use cache_tower::{HttpCache, QueryBody};
use http_body_util::{BodyExt, Full};

use super::*;

#[tokio::test]
async fn content_is_the_same_in_whatever_pieces_it_arrives() {
    let app = App::new(FRESH);
    assert_eq!(app.told("sixteen bytes...", &[]).await, MISS);
    let (writer, body) = channel();
    let going = app.start(query("/a", &[], body));
    for piece in ["sixteen", "", " byte", "s..."] {
        assert!(writer.send(piece).await);
    }
    drop(writer);
    assert_eq!(told(&ended(&app.http, going).await), HIT);
    assert_eq!(app.origin.last(|seen| seen.content.clone()), Ok("sixteen bytes...".into()));
    assert_eq!(app.origin.last(|seen| seen.hint), (16, Some(16)));
}

#[tokio::test]
async fn a_body_over_the_cap_goes_on_as_it_comes() {
    let gate = Gate::new();
    let mut origin = Origin::new(FRESH);
    origin.gate = Some(gate.clone());
    gate.open(1);
    let app = App::over(&origin);
    let told_of_it = "fwd=bypass; detail=query-too-large";
    // It says so itself: nothing is read ahead, and its length is told.
    assert_eq!(app.told("seventeen bytes..", &[]).await, told_of_it);
    assert_eq!(origin.last(|seen| seen.content.clone()), Ok("seventeen bytes..".into()));
    assert_eq!(origin.last(|seen| seen.hint), (17, Some(17)));
    // It turns out to be: the origin gets it while it arrives.
    gate.open(1);
    let (writer, body) = channel();
    let going = app.start(query("/a", &[], body));
    for piece in ["0123456789", "abcdef", "g"] {
        assert!(writer.send(piece).await);
    }
    // Only whoever reads on takes these.
    for piece in ["hi", "jk"] {
        assert!(writer.send(piece).await);
    }
    drop(writer);
    assert_eq!(told(&ended(&app.http, going).await), told_of_it);
    assert_eq!(origin.last(|seen| seen.content.clone()), Ok("0123456789abcdefghijk".into()));
    assert_eq!(origin.last(|seen| seen.hint), (17, None));
    let stats = app.http.stats();
    assert_eq!((stats.misses, stats.bypasses), (0, 2));
}

#[tokio::test]
async fn a_body_that_fails_fails_for_the_origin_too() {
    let app = App::new(FRESH);
    let response = app.send(query("/a", &[], failing(["one"]))).await;
    assert_eq!(told(&response), "fwd=bypass; detail=query-body-failed");
    let why = app.origin.last(|seen| seen.content.clone());
    assert_eq!(why, Err("the scripted body fails here".to_owned()));
    // After the cap too.
    let long = app.send(query("/a", &[], failing(["0123456789", "0123456789"]))).await;
    assert_eq!(told(&long), "fwd=bypass; detail=query-too-large");
    assert!(app.origin.last(|seen| seen.content.is_err()));
    assert_eq!(app.told("one", &[]).await, MISS);
}

#[tokio::test]
async fn trailers_reach_the_origin() {
    let app = App::new(FRESH);
    let trailers = fields(&[("x-checksum", "1")]);
    for (content, why) in
        [("one", "query-trailers"), ("one that is too long to be stored", "query-too-large")]
    {
        let ended = Some(Ok(trailers.clone()));
        let body = full(content).with_trailers(std::future::ready(ended)).boxed_unsync();
        let response = app.send(query("/a", &[], body)).await;
        assert_eq!(told(&response), format!("fwd=bypass; detail={why}"));
        assert_eq!(app.origin.last(|seen| seen.content.clone()), Ok(content.into()));
        assert_eq!(app.origin.last(|seen| seen.trailers.clone()), Some(trailers.clone()));
    }
}

#[tokio::test]
async fn it_goes_past_a_cache_that_was_not_told_to_read_it() {
    let origin = Origin::new(FRESH);
    let off = HttpCache::builder(memory(&Clock::manual(START))).build();
    let other = HttpCache::builder(memory(&Clock::manual(START)))
        .query_bodies_with(CAP, |_: QueryBody<Full<Bytes>>| Full::default())
        .build();
    for (http, expected) in [(off, "fwd=method"), (other, "fwd=bypass; detail=query-body-type")] {
        let app = App::of(&http, &origin);
        for _ in 0..2 {
            assert_eq!(app.told("one", &[]).await, expected);
            assert_eq!(origin.last(|seen| seen.content.clone()), Ok("one".into()));
        }
    }
}

#[tokio::test]
async fn what_goes_past_the_cache_anyway_is_not_read_ahead() {
    let http = with_queries(
        HttpCache::builder(memory(&Clock::manual(START)))
            .skip_cache(|request| request.headers().contains_key("x-skip")),
    );
    let app = App::of(&http, &Origin::new(FRESH));
    for (lines, why) in [
        (&[("cache-control", "no-store")][..], "no-store"),
        (&[("range", "bytes=0-1")], "query-range"),
        (&[("if-match", "*")], "precondition"),
        (&[("x-skip", "1")], "skip-cache"),
        (&[("x-workspace-id", "")], "workspace"),
    ] {
        let (writer, body) = channel();
        let going = app.start(query("/a", lines, body));
        writer.send("one").await;
        drop(writer);
        let response = ended(&app.http, going).await;
        assert_eq!(told(&response), format!("fwd=bypass; detail={why}"));
        assert_eq!(app.origin.last(|seen| seen.hint), (0, None), "{why}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_is_counted() {
    let app = App::new(FRESH);
    let (writer, body) = channel();
    let going = app.start(query("/a", &[], body));
    // The last one is taken only when the first was read.
    for piece in ["one", "two"] {
        assert!(writer.send(piece).await);
    }
    going.abort();
    let _ = going.await;
    let stats = app.http.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (0, 1, 0));
    app.told("one", &[]).await;
    app.told("one", &[]).await;
    app.told("one, and so much more", &[]).await;
    let stats = app.http.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (1, 2, 1));
    assert_eq!(app.origin.calls(), 2);
}

/// Bug: a QUERY that wanted a stored response or none was sent on to the origin where its body kept
/// it from being looked up.
#[tokio::test]
async fn what_is_wanted_only_if_cached_is_not_sent_on() {
    let app = App::new(FRESH);
    let only_if_cached: Lines<'_> = &[("cache-control", "only-if-cached")];
    let trailers = std::future::ready(Some(Ok(fields(&[("x-checksum", "1")]))));
    for body in [
        full("seventeen bytes.."),
        failing(["one"]),
        full("one").with_trailers(trailers).boxed_unsync(),
    ] {
        let response = app.send(query("/a", only_if_cached, body)).await;
        assert_eq!((response.status().as_u16(), app.origin.calls()), (504, 0));
    }
    let stats = app.http.stats();
    assert_eq!(stats.hits + stats.misses + stats.bypasses, 3);
}
