//! Tenants, hosts, and what entries are called in Redis.

use std::borrow::Cow;

use cache_core::Clock;
use cache_tests::RedisServer;
use cache_tower::{HttpCache, Workspace};
use http::{HeaderValue, Request};

use super::origin::{
    App, Body, HIT, Lines, MISS, Origin, START, in_redis, memory, reply, request, told,
};

const NAME: &str = "x-workspace-id";
const BYPASS: &str = "fwd=bypass; detail=workspace";

/// Says whose request it was asked by.
fn personal() -> Origin {
    Origin::new(|request| {
        let lines: Vec<_> = request.headers().get_all(NAME).iter().collect();
        reply(200, &[("cache-control", "max-age=60")], &format!("{lines:?}"))
    })
}

fn app(workspace: Workspace, origin: &Origin) -> App {
    let cache = memory(&Clock::manual(START));
    App::layered(&HttpCache::builder(cache).workspace(workspace).build(), origin)
}

/// A request with these lines, whatever their bytes.
fn with(lines: &[&[u8]]) -> Request<Body> {
    let mut request = request("GET", "/a", &[]);
    for line in lines {
        request.headers_mut().append(NAME, HeaderValue::from_bytes(line).expect("a value"));
    }
    request
}

#[tokio::test]
async fn what_is_no_single_name_goes_past_the_cache() {
    let long = "a".repeat(257);
    let no_names: [&[&[u8]]; 9] = [
        &[b""],
        &[b"  "],
        &[b"a", b"a"],
        &[b"a", b"b"],
        &[b"a", b""],
        &[b"a, b"],
        &[b"a,a"],
        &[b"caf\xc3\xa9"],
        &[long.as_bytes()],
    ];
    for workspace in [Workspace::header(NAME), Workspace::optional_header(NAME)] {
        let origin = personal();
        let app = app(workspace, &origin);
        assert_eq!(told(&app.send(with(&[b"a"])).await), MISS);
        for lines in no_names {
            let before = origin.calls();
            for _ in 0..2 {
                assert_eq!(told(&app.send(with(lines)).await), BYPASS, "{lines:?}");
            }
            assert_eq!(origin.calls(), before + 2);
        }
        assert_eq!(told(&app.send(with(&[b"a"])).await), HIT);
    }
}

#[tokio::test]
async fn absence_bypasses_or_is_the_shared_partition() {
    let required = app(Workspace::header(NAME), &personal());
    let optional = app(Workspace::optional_header(NAME), &personal());
    let default = App::new(&personal());
    for (app, expected) in
        [(&required, [BYPASS, BYPASS]), (&optional, [MISS, HIT]), (&default, [MISS, HIT])]
    {
        for expected in expected {
            assert_eq!(app.told("/a", &[]).await, expected);
        }
    }
}

#[derive(Clone)]
struct Tenant(&'static str);

#[tokio::test]
async fn from_an_extension_or_a_function() {
    let of_tenant = app(Workspace::from_extension(|tenant: &Tenant| tenant.0), &personal());
    let function = Workspace::from_fn(|headers, extensions| {
        let tenant = extensions.get::<Tenant>()?.0;
        let region = headers.get("x-region")?.to_str().ok()?;
        Some(Cow::Owned(format!("{tenant}/{region}")))
    });
    let of_both = app(function, &personal());
    let send = async |app: &App, tenant, region| {
        // The header says nothing here.
        let mut request = request("GET", "/a", &[("x-region", region), (NAME, "forged")]);
        if let Some(tenant) = tenant {
            request.extensions_mut().insert(Tenant(tenant));
        }
        told(&app.send(request).await)
    };
    for app in [&of_tenant, &of_both] {
        assert_eq!(send(app, None, "eu").await, BYPASS);
        assert_eq!(send(app, Some("one"), "eu").await, MISS);
        assert_eq!(send(app, Some("two"), "eu").await, MISS);
        assert_eq!(send(app, Some("one"), "eu").await, HIT);
    }
    assert_eq!(send(&of_tenant, Some(""), "eu").await, BYPASS);
    assert_eq!(send(&of_tenant, Some("one"), "us").await, HIT);
    assert_eq!(send(&of_both, Some("one"), "us").await, MISS);
}

#[tokio::test]
async fn tenants_never_meet() {
    let app = App::new(&personal());
    let names = ["a", "A", "b", "ab", "a:b", "a%3Ab", "-", "%2D", "*", "a/b", "..", "0"];
    for expected in [MISS, HIT] {
        assert_eq!(app.told("/a", &[]).await, expected);
        for name in names {
            let response = app.get("/a", &[(NAME, name)]).await;
            assert_eq!(told(&response), expected, "{name}");
            assert_eq!(response.body(), &format!("[{name:?}]"));
        }
    }
}

#[tokio::test]
async fn what_handlers_reflect_is_part_of_the_key() {
    let app = App::new(&personal());
    let others: [Lines<'_>; 6] = [
        &[],
        &[("x-forwarded-host", "evil.example")],
        &[("x-forwarded-host", "")],
        &[("x-forwarded-proto", "https")],
        &[("x-forwarded-host", "https")],
        &[("x-forwarded-host", "a"), ("x-forwarded-proto", "https")],
    ];
    for expected in [MISS, HIT] {
        for lines in others {
            assert_eq!(app.told("/a", lines).await, expected, "{lines:?}");
        }
        for host in ["a.example", "b.example", "a.example:81"] {
            let mut request = request("GET", "/a", &[]);
            request.headers_mut().insert("host", HeaderValue::from_static(host));
            assert_eq!(told(&app.send(request).await), expected, "{host}");
        }
    }
    let mut request = request("GET", "/a", &[]);
    request.headers_mut().insert("host", HeaderValue::from_static("A.Example"));
    assert_eq!(told(&app.send(request).await), HIT);
}

/// `Forwarded` was no part of the key: who sent one had links to another host stored for all.
#[tokio::test]
async fn so_is_what_they_find_in_forwarded() {
    let app = App::new(&personal());
    let others: [Lines<'_>; 7] = [
        &[],
        &[("forwarded", "host=evil.example")],
        &[("forwarded", "for=192.0.2.7;host=shop.example;proto=https")],
        &[("forwarded", "for=192.0.2.7, host=shop.example;proto=https")],
        &[("x-forwarded-port", "81")],
        &[("x-forwarded-prefix", "//evil.example")],
        &[("x-forwarded-scheme", "https")],
    ];
    for expected in [MISS, HIT] {
        for lines in others {
            assert_eq!(app.told("/a", lines).await, expected, "{lines:?}");
        }
    }
    // Clients of one proxy share.
    let lines = [("forwarded", "for=\"[2001:db8::1]\";Host=shop.example;proto=https;by=_a")];
    assert_eq!(app.told("/a", &lines).await, MISS);
    let lines = [("forwarded", "for=192.0.2.8;host=shop.example;proto=https")];
    assert_eq!(app.told("/a", &lines).await, HIT);
}

#[tokio::test]
async fn uris_are_compared_byte_by_byte() {
    let app = App::new(&personal());
    let uris = [
        "/",
        "/a",
        "/a/",
        "//a",
        "/A",
        "/a?",
        "/a?b=1",
        "/a?b=1&c=2",
        "/a?c=2&b=1",
        "/%61",
        "/a%2Fb",
        "/a/b",
    ];
    for expected in [MISS, HIT] {
        for uri in uris {
            assert_eq!(app.told(uri, &[]).await, expected, "{uri}");
        }
    }
}

/// Whether a key is this, and a digest.
fn is(key: &str, readable: &str) -> bool {
    let digest = key.strip_prefix(readable).and_then(|rest| rest.strip_prefix(":~"));
    digest.is_some_and(|digest| {
        digest.len() == 32 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[tokio::test]
async fn keys_in_redis_can_be_read() {
    let redis = RedisServer::start();
    let cache = in_redis(&redis, &Clock::manual(START));
    let app = App::layered(&HttpCache::builder(cache.clone()).build(), &personal());
    let based = HttpCache::builder(cache).key_base("/api/v1").build();
    let based = App::layered(&based, &personal());
    for (app, workspace, uri, readable) in [
        (&app, "ws123", "/campaigns/42", "ws123:campaigns:42"),
        (&app, "ws123", "/campaigns?page=2", "ws123:campaigns"),
        (&app, "ws123", "/campaigns/spring%20sale", "ws123:campaigns:spring sale"),
        (&app, "ws123", "/a:b/*", "ws123:a%3Ab:%2A"),
        (&app, "-", "/a", "%2D:a"),
        (&app, "a:b", "/a", "a%3Ab:a"),
        (&app, "", "/a", "-:a"),
        (&based, "ws123", "/api/v1/campaigns/42", "ws123:campaigns:42"),
        (&based, "ws123", "/api/v1x/campaigns", "ws123:api:v1x:campaigns"),
    ] {
        redis.flushall();
        let lines = [(NAME, workspace)];
        let lines: Lines<'_> = if workspace.is_empty() { &[] } else { &lines };
        assert_eq!(app.told(uri, lines).await, MISS, "{workspace} {uri}");
        let keys = redis.keys("p:api_responses:*");
        let readable = format!("p:api_responses:v1:{readable}");
        assert!(keys.len() == 1 && is(&keys[0], &readable), "{readable}: {keys:?}");
        assert_eq!(app.told(uri, lines).await, HIT, "{workspace} {uri}");
    }
}

#[tokio::test]
async fn bytes_under_another_key_are_a_miss() {
    let redis = RedisServer::start();
    let cache = in_redis(&redis, &Clock::manual(START));
    let app = App::layered(&HttpCache::builder(cache).build(), &personal());
    let (ours, theirs) = ([(NAME, "ours")], [(NAME, "theirs")]);
    for lines in [&ours, &theirs] {
        app.get("/a", lines).await;
        assert_eq!(app.told("/a", lines).await, HIT);
    }
    let key = |workspace| redis.keys(&format!("p:api_responses:v1:{workspace}:a:~*")).remove(0);
    redis.command(&["COPY", &key("ours"), &key("theirs"), "REPLACE"]);
    let response = app.get("/a", &theirs).await;
    assert_eq!(told(&response), MISS);
    assert_eq!(response.body(), "[\"theirs\"]");
    let response = app.get("/a", &theirs).await;
    assert_eq!((told(&response).as_str(), &response.body()[..]), (HIT, &b"[\"theirs\"]"[..]));
}

#[tokio::test]
async fn reads_are_counted_by_workspace() {
    let cache = memory(&Clock::manual(START));
    let http = HttpCache::builder(cache.clone()).workspace(Workspace::header(NAME)).build();
    let app = App::layered(&http, &personal());
    for name in ["a", "a", "b", "a"] {
        app.send(with(&[name.as_bytes()])).await;
    }
    let of = |name| cache.workspace_stats(name).map(|one| (one.hits, one.misses));
    assert_eq!((of("a"), of("b")), (Some((2, 1)), Some((0, 1))));
    let all = cache.stats().total();
    assert_eq!((all.hits, all.misses), (2, 2));
}
