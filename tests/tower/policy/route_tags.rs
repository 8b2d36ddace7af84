//! Tags that a route gives all its responses.

use cache_core::{Clock, Tag, minutes};
use cache_tower::{CacheLayer, CacheTags, HttpCache};
use tower::Layer;

use super::origin::{App, HIT, Lines, MISS, Origin, START, memory, reply};
use super::tags::{CONFIRMED, WS, invalidate, tagged, tags_of};

#[tokio::test]
async fn a_route_gives_tags_to_what_its_handler_answers_and_to_what_is_confirmed() {
    let clock = Clock::manual(START);
    let http = HttpCache::builder(memory(&clock)).build();
    let lines: Lines<'static> = &[("etag", "\"1\"")];
    let origin = Origin::new(move |request| {
        let status = if request.headers().contains_key("if-none-match") { 304 } else { 200 };
        tagged(reply(status, lines, ""), tags_of(request))
    });
    let layer = CacheLayer::endpoint(&http, minutes(1))
        .tags(|request| CacheTags::new(["reports"]).and_in_workspace([request.uri().path()]));
    let app = App::of(&http, layer.layer(origin.clone()));
    for tag in [Tag::new("reports"), Tag::new("a"), Tag::in_workspace("ws1", "/x")] {
        assert_eq!(app.told("/x?a", WS).await, MISS, "{tag:?}");
        clock.advance(minutes(2));
        assert_eq!(app.told("/x?a", WS).await, CONFIRMED);
        invalidate(&app, Tag::in_workspace("ws1", "/y")).await;
        invalidate(&app, Tag::in_workspace("ws2", "/x")).await;
        assert_eq!(app.told("/x?a", WS).await, HIT);
        invalidate(&app, tag).await;
    }
    assert_eq!(app.told("/x?a", WS).await, MISS);
}
