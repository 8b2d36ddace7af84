//! All options at once, on two nodes, under random requests: nobody gets what was made for another.
//!
//! Every response says for whom it was made, as a handler sees the request; what comes back, whole,
//! in part or as a 304, is compared with what the request itself should get.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use cache_core::{Cache, Clock, RedisOptions, minutes, seconds};
use cache_tests::{RedisServer, eventually};
use cache_tower::{CacheLayer, HttpCache};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::BodyExt;
use tower::Layer;

use super::origin::{App, Body, Origin, PATIENCE, START, field, reply, request};

const REQUESTS: usize = 400;
const TASKS: u64 = 8;

/// All lines of a field.
fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = |line: &http::HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
}

/// As common parsers read cookies.
fn theme(headers: &HeaderMap) -> Option<String> {
    let lines = lines(headers, "cookie");
    let pairs =
        lines.iter().flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut themes = pairs.filter(|(name, _)| name.trim().replace("%65", "e") == "theme");
    themes.next().map(|(_, value)| value.trim().to_owned())
}

/// What a field lists, in any order and case.
fn listed(headers: &HeaderMap, name: &str) -> Option<Vec<String>> {
    let lines = lines(headers, name);
    let members = lines.iter().flat_map(|line| line.split(','));
    let mut members: Vec<_> = members.map(|one| one.trim().to_ascii_lowercase()).collect();
    members.retain(|member| !member.is_empty());
    members.sort();
    (!lines.is_empty()).then_some(members)
}

/// What is said to a request with this query.
fn marker(headers: &HeaderMap, path: &str, query: Option<&str>) -> String {
    let mut said = format!("{path} {query:?}");
    for name in
        ["x-workspace-id", "host", "x-forwarded-host", "x-country", "x-tier", "authorization"]
    {
        let _ = write!(said, " {:?}", lines(headers, name));
    }
    let _ = write!(said, " {:?}", theme(headers));
    match path {
        "/varies" => {
            let names = ["accept-encoding", "accept-language"];
            let _ = write!(said, " {:?}", names.map(|name| listed(headers, name)));
        }
        "/none" | "/assigned" => {
            let _ = write!(said, " {:?}", lines(headers, "cookie"));
        }
        _ => {}
    }
    said
}

fn tag(text: &str) -> String {
    let hash = text.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
    format!("\"{hash}\"")
}

fn origin() -> Origin {
    Origin::new(|request| {
        let (headers, path) = (request.headers(), request.uri().path());
        let said = marker(headers, path, request.uri().query());
        let tag = tag(&said);
        let fresh = ("cache-control", "max-age=20");
        match path {
            "/none" => reply(404, &[], &said),
            "/assigned" => reply(200, &[], &said),
            "/varies" => reply(200, &[fresh, ("vary", "accept-encoding, Accept-Language")], &said),
            "/targeted" => {
                let lines = [("cache-control", "no-store"), ("cdn-cache-control", "max-age=20")];
                reply(200, &lines, &said)
            }
            "/cookies" => reply(200, &[fresh, ("set-cookie", "a=b")], &said),
            "/tagged" if field_is(request, "if-none-match", &tag) => {
                reply(304, &[fresh, ("etag", &tag)], "")
            }
            "/tagged" => match part_of(request, said.len()) {
                Some((first, last)) => {
                    let place = format!("bytes {first}-{last}/{}", said.len());
                    let lines = [fresh, ("etag", &tag), ("content-range", &place)];
                    reply(206, &lines, &said[first..=last])
                }
                None => reply(200, &[fresh, ("etag", &tag)], &said),
            },
            _ => reply(200, &[fresh], &said),
        }
    })
}

fn field_is(request: &Request<Body>, name: &str, value: &str) -> bool {
    request.headers().get(name).is_some_and(|line| line == value)
}

/// The bounds of `bytes=a-b`.
fn part_of(request: &Request<Body>, length: usize) -> Option<(usize, usize)> {
    let range = request.headers().get("range")?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && first < length).then_some((first, last.min(length - 1)))
}

/// Tags that came, and of what.
type Tags = Arc<Mutex<HashMap<String, String>>>;

struct Question {
    request: Request<Body>,
    expected: String,
    tag: Option<String>,
}

fn question(random: &mut fastrand::Rng, tags: &Tags) -> Question {
    let mut one = |from: &[&'static str]| from[random.usize(..from.len())];
    let path =
        one(&["/none", "/assigned", "/varies", "/targeted", "/cookies", "/tagged", "/plain"]);
    let (query, seen) = [
        ("", None),
        ("?", Some("")),
        ("?q=1", Some("q=1")),
        ("?q=1&utm=2", Some("q=1")),
        ("?utm=3&q=1", Some("q=1")),
        ("?utm", None),
        ("?q=1&q=1", Some("q=1&q=1")),
        ("?%75tm=1", Some("%75tm=1")),
    ][one(&["0", "1", "2", "3", "4", "5", "6", "7"]).parse::<usize>().expect("a number")];
    let method = one(&["GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "HEAD", "POST"]);
    let mut fields = vec![("x-workspace-id", one(&["a", "b"]))];
    let choices: [(&str, &[&str]); 9] = [
        ("x-country", &["at", "de", ""]),
        ("x-tier", &["1", "2"]),
        ("cookie", &["theme=x", "theme =x", "th%65me=x", "a=b", "a=b; theme=y"]),
        ("accept-encoding", &["gzip, br", "BR,gzip", "gzip", ""]),
        ("accept-language", &["de, en", "en,DE", "de"]),
        ("x-forwarded-host", &["a", "b"]),
        ("authorization", &["1", "2"]),
        ("range", &["bytes=0-9", "bytes=5-20", "bytes=10-400", "bytes=-5", "bytes=900-"]),
        ("cache-control", &["no-cache", "max-age=5", "max-stale", "no-store", "only-if-cached"]),
    ];
    for (name, values) in choices {
        if one(&["yes", "no", "no", "no"]) == "yes" {
            fields.push((name, one(values)));
        }
    }
    let mut request = request(method, &format!("{path}{query}"), &fields);
    let expected = marker(request.headers(), path, seen);
    let tags = tags.lock().expect("not poisoned");
    let known = tags.keys().nth(random.usize(..tags.len().max(1))).filter(|_| random.bool());
    let fits = tags.iter().find(|(_, text)| **text == expected).map(|(tag, _)| tag);
    let tag = fits.filter(|_| random.bool()).or(known).cloned();
    if let Some(tag) = &tag {
        let name = ["if-none-match", "if-range"][random.usize(..2)];
        request.headers_mut().insert(name, tag.parse().expect("a value"));
    }
    Question { request, expected, tag }
}

/// What is wrong with a response, if anything.
fn check(question: (&str, &str, Option<&str>), response: &Response<bytes::Bytes>, tags: &Tags) {
    let (method, expected, sent) = question;
    let body = String::from_utf8_lossy(response.body());
    let code = response.status().as_u16();
    let about = format!("{method} {expected}: {response:?}");
    // What goes past the cache has what it does not count, too.
    if method == "POST" || code == 504 || field(response, "cache-status").contains("bypass") {
        return;
    }
    match (method, code) {
        ("HEAD", 200 | 404) => {
            // What comes from the origin itself has no length in these tests.
            let length = field(response, "content-length");
            assert!(length == "-" || length == expected.len().to_string(), "{about}");
        }
        (_, 200 | 404) => {
            assert_eq!(body, expected, "{about}");
            let length = field(response, "content-length");
            assert!(length == "-" || length == body.len().to_string(), "{about}");
        }
        (_, 206) => {
            let place = field(response, "content-range");
            let bounds = place.strip_prefix("bytes ").and_then(|place| place.split_once('/'));
            let (bounds, length) = bounds.expect("a place");
            let (first, last) = bounds.split_once('-').expect("bounds");
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(length, expected.len().to_string(), "{about}");
            assert_eq!(body, expected[first..=last], "{about}");
        }
        (_, 416) => {
            assert_eq!(field(response, "content-range"), format!("bytes */{}", expected.len()));
        }
        (_, 304) => {
            let known = tags.lock().expect("not poisoned").get(sent.expect("a tag")).cloned();
            assert_eq!(known.as_deref(), Some(expected), "{about}");
        }
        _ => panic!("{about}"),
    }
    let tag = field(response, "etag");
    if tag != "-" {
        let known = tags.lock().expect("not poisoned").insert(tag, expected.to_owned());
        assert!(known.is_none_or(|known| known == expected), "{about}");
    }
    // Nobody gets another's cookie from the store.
    let from_store = field(response, "age") != "-";
    assert!(!from_store || field(response, "set-cookie") == "-", "{about}");
}

fn node(cache: Cache) -> App {
    let http = HttpCache::builder(cache)
        .key_by_header(HeaderName::from_static("x-country"))
        .key_by_cookie("theme")
        .key_by(|request| Some(request.headers().get("x-tier")?.to_str().ok()?.to_owned()))
        .ignore_query(["utm"])
        .normalize_accept_encoding()
        .normalize_accept_language()
        .max_variants(6)
        .generate_etags()
        .combine_partial(true)
        .strip_set_cookie()
        .targets(["cdn-cache-control"])
        .negative_ttl(seconds(15))
        .grace(seconds(10))
        .build();
    let origin = origin();
    let (plain, own) = (CacheLayer::new(&http), CacheLayer::endpoint(&http, seconds(15)));
    let (plain, own) = (plain.layer(origin.clone()), own.layer(origin));
    let service = tower::service_fn(move |request: Request<Body>| {
        let is_own = request.uri().path() == "/assigned";
        tower::ServiceExt::oneshot(if is_own { own.clone() } else { plain.clone() }, request)
    });
    App::of(&http, service)
}

async fn nobody_gets_what_is_another_s(nodes: Vec<App>) {
    let seed = fastrand::u64(..);
    let tags = Tags::default();
    let tasks = (0..TASKS).map(|task| {
        let (nodes, tags) = (nodes.clone(), Arc::clone(&tags));
        tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed.wrapping_add(task));
            let mut hits = 0;
            for _ in 0..REQUESTS {
                let Question { request, expected, tag } = question(&mut random, &tags);
                let method = request.method().as_str().to_owned();
                let app = nodes[random.usize(..nodes.len())].clone();
                if random.u8(..20) == 0 {
                    app.clock.advance(seconds(7));
                }
                let (parts, body) = app.call(request).await.into_parts();
                let body = body.collect().await.expect("a whole body").to_bytes();
                let response = Response::from_parts(parts, body);
                hits += usize::from(field(&response, "cache-status").ends_with("; hit"));
                check((&method, &expected, tag.as_deref()), &response, &tags);
            }
            hits
        })
    });
    let mut hits = 0;
    for task in tasks.collect::<Vec<_>>() {
        hits += task.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert!(hits > 50, "{hits} hits; seed {seed}");
    let mut counted = 0;
    for node in nodes {
        let background = node.http.cache().background().clone();
        eventually(PATIENCE, "writes end", move || background.running() == 0).await;
        assert_eq!(node.http.flights(), 0);
        let stats = node.http.stats();
        counted += stats.hits + stats.misses + stats.bypasses;
    }
    assert_eq!(counted, TASKS * REQUESTS as u64, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    nobody_gets_what_is_another_s(vec![node(super::origin::memory(&Clock::manual(START)))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_two_nodes_over_redis() {
    let redis = RedisServer::start();
    let clock = Clock::manual(START);
    let cache = || {
        let options = RedisOptions::url(&redis.url()).expect("valid");
        let builder = Cache::builder().prefix("p").redis(options).clock(clock.clone());
        builder.operation_budget(minutes(1)).build().expect("valid")
    };
    nobody_gets_what_is_another_s(vec![node(cache()), node(cache())]).await;
}
