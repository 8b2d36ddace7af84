//! What unsafe requests make the cache forget.

use cache_core::{Clock, minutes};
use cache_tower::HttpCache;

use super::origin::{App, HIT, Lines, MISS, Origin, START, memory, reply, request, told};

/// GETs are fresh for a minute; other methods get this answer.
fn answering(status: u16, lines: Lines<'static>) -> Origin {
    Origin::new(move |request| match request.method().as_str() {
        "GET" => reply(200, &[("cache-control", "max-age=60")], "body"),
        _ => reply(status, lines, ""),
    })
}

async fn stored(app: &App, uri: &str, lines: Lines<'_>) {
    app.get(uri, lines).await;
    assert_eq!(app.told(uri, lines).await, HIT, "{uri}");
}

#[tokio::test]
async fn success_forgets_the_target_and_failure_does_not() {
    for status in [200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308] {
        forgets("POST", status, true).await;
    }
    for status in [400, 401, 403, 404, 409, 412, 500, 502, 503, 504] {
        forgets("POST", status, false).await;
    }
    for method in ["PUT", "PATCH", "DELETE", "PURGE", "LINK"] {
        forgets(method, 200, true).await;
        forgets(method, 500, false).await;
    }
}

async fn forgets(method: &str, status: u16, forgets: bool) {
    let origin = answering(status, &[]);
    let app = App::new(&origin);
    for uri in ["/a", "/a?q=1", "/a/b"] {
        stored(&app, uri, &[]).await;
    }
    let response = app.send(request(method, "/a", &[])).await;
    assert_eq!((response.status().as_u16(), told(&response).as_str()), (status, "fwd=method"));
    assert_eq!(origin.last().method, method);
    let expected = if forgets { MISS } else { HIT };
    assert_eq!(app.told("/a", &[]).await, expected, "{method} {status}");
    for uri in ["/a?q=1", "/a/b"] {
        assert_eq!(app.told(uri, &[]).await, HIT, "{method} {status} {uri}");
    }
}

#[tokio::test]
async fn location_and_content_location_go_too_on_the_same_authority() {
    for (value, path, goes) in [
        ("/b", "/b", true),
        ("b", "/dir/b", true),
        ("../b", "/b", true),
        ("?q=1", "/dir/a?q=1", true),
        ("http://shop.example/b?q=1", "/b?q=1", true),
        ("//shop.example/b", "/b", true),
        ("http://SHOP.example/b", "/b", true),
        ("/b#fragment", "/b", true),
        ("http://evil.example/b", "/b", false),
        ("//evil.example/b", "/b", false),
        ("http://shop.example:8080/b", "/b", false),
        ("http://shop.example.evil.example/b", "/b", false),
        ("http://shop.example@evil.example/b", "/b", false),
        ("http:// not a URI", "/b", false),
    ] {
        for name in ["location", "content-location"] {
            let origin = Origin::new(move |request| match request.method().as_str() {
                "GET" => reply(200, &[("cache-control", "max-age=60")], "body"),
                _ => reply(201, &[(name, value)], ""),
            });
            let app = App::new(&origin);
            let ours = [("x-workspace-id", "ours")];
            let theirs = [("x-workspace-id", "theirs")];
            stored(&app, path, &ours).await;
            stored(&app, path, &theirs).await;
            app.send(request("POST", "/dir/a", &ours)).await;
            let expected = if goes { MISS } else { HIT };
            assert_eq!(app.told(path, &ours).await, expected, "{name}: {value}");
            assert_eq!(app.told(path, &theirs).await, HIT, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn only_in_its_own_workspace_and_host() {
    let app = App::new(&answering(200, &[]));
    let places: [Lines<'_>; 3] =
        [&[], &[("x-workspace-id", "ours")], &[("x-workspace-id", "theirs")]];
    for lines in places {
        stored(&app, "/a", lines).await;
    }
    stored(&app, "http://other.example/a", &[]).await;
    app.send(request("DELETE", "/a", places[1])).await;
    assert_eq!(app.told("/a", places[1]).await, MISS);
    assert_eq!(app.told("/a", places[0]).await, HIT);
    assert_eq!(app.told("/a", places[2]).await, HIT);
    app.send(request("DELETE", "/a", places[0])).await;
    assert_eq!(app.told("/a", places[0]).await, MISS);
    assert_eq!(app.told("http://other.example/a", &[]).await, HIT);
}

#[tokio::test]
async fn what_endpoints_have_stored_goes_too() {
    let http = HttpCache::builder(memory(&Clock::manual(START))).build();
    let origin = answering(200, &[]);
    let layered = App::layered(&http, &origin);
    let endpoint = App::endpoint(&http, minutes(1), &origin);
    for by in [&layered, &endpoint] {
        stored(&layered, "/a", &[]).await;
        stored(&endpoint, "/a", &[]).await;
        by.send(request("POST", "/a", &[])).await;
        assert_eq!(layered.told("/a", &[]).await, MISS);
        assert_eq!(endpoint.told("/a", &[]).await, MISS);
    }
}

#[tokio::test]
async fn headers_do_not_hide_an_unsafe_request() {
    let app = App::new(&answering(200, &[]));
    for lines in [
        &[("cache-control", "no-store")][..],
        &[("range", "bytes=0-1")],
        &[("x-http-method-override", "GET")],
        &[("if-match", "*")],
        &[("content-length", "3")],
        &[("cache-control", "only-if-cached")],
    ] {
        stored(&app, "/a", &[]).await;
        assert_eq!(told(&app.send(request("POST", "/a", lines)).await), "fwd=method");
        assert_eq!(app.told("/a", &[]).await, MISS, "{lines:?}");
    }
}

#[tokio::test]
async fn its_own_response_is_never_stored() {
    let origin = Origin::fixed(200, &[("cache-control", "max-age=60")], "body");
    let app = App::new(&origin);
    for count in 1..3 {
        app.send(request("POST", "/a", &[])).await;
        assert_eq!(origin.calls(), count);
    }
    assert_eq!(app.told("/a", &[]).await, MISS);
}
