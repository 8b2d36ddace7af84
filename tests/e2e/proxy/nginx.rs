//! In front of a real nginx, in memory and on Redis.

use cache_tests::clock::{Deadline, Stopwatch};
use cache_tests::http_client;
use cache_tests::wait::eventually_some;
use cache_tests::{Example, Nginx, eventually};

use crate::setup::{
    FORWARDED, HIT, MISS_STORED, PATIENCE, get, proxy, proxy_on, send, shared_redis, unique_prefix,
};

const PAGE: &[u8] = b"<p>hello, this is nginx</p>";

/// nginx, and a proxy before it.
struct Stack {
    nginx: Nginx,
    proxy: Example,
}

#[derive(Clone, Copy)]
enum Place {
    Memory,
    Redis,
}

impl Stack {
    fn start(place: Place, directives: &str, files: &[(&str, &[u8])]) -> Self {
        let nginx = Nginx::start(directives, files);
        let proxy = match place {
            Place::Memory => proxy(nginx.addr(), &[]),
            Place::Redis => proxy_on(&shared_redis().url(), &unique_prefix(), nginx.addr(), &[]),
        };
        Self { nginx, proxy }
    }

    /// Everything nginx was asked so far.
    async fn seen(&self) -> Vec<String> {
        // nginx notes requests in order, after the response: the last one has to be there.
        let last = format!("/seen-{}", unique_prefix());
        http_client::get(self.nginx.addr(), &last, &[]).await;
        let is_last = |line: &String| line.contains(&last);
        eventually(PATIENCE, "nginx writes its log", || self.nginx.requests().iter().any(is_last))
            .await;
        self.nginx.requests().into_iter().filter(|line| !line.contains("/seen-")).collect()
    }
}

async fn a_response_is_stored_and_then_hit(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let addr = stack.proxy.addr();
    let miss = http_client::get(addr, "/page.html?a=1", &[]).await;
    assert_eq!((miss.status, &miss.body[..]), (200, PAGE));
    assert_eq!(miss.cache_status(), MISS_STORED);
    assert_eq!(miss.header("age"), None);
    assert_eq!(miss.header("via"), Some("1.1 cache-tower"));
    assert_eq!(miss.header("cache-control"), Some("max-age=60"));
    let hit = http_client::get(addr, "/page.html?a=1", &[]).await;
    assert_eq!((hit.status, &hit.body[..]), (200, PAGE));
    assert_eq!(hit.cache_status(), HIT);
    assert_eq!(hit.header("via"), Some("1.1 cache-tower"));
    for name in ["date", "etag", "last-modified", "content-type", "cache-control", "expires"] {
        assert_eq!(hit.header_all(name), miss.header_all(name), "{name}");
    }
    // another query is another response
    assert_eq!(get(addr, "/page.html?a=2", &[]).await.1, MISS_STORED);
    assert_eq!(get(addr, "/page.html", &[]).await.1, MISS_STORED);
    let asked = ["GET /page.html?a=1 200", "GET /page.html?a=2 200", "GET /page.html 200"];
    assert_eq!(stack.seen().await, asked);
}

/// `Age` counts from the moment the response was made: nginx' `Date` has whole seconds, so up to
/// one second may have passed before it arrived.
async fn the_age_of_a_hit_is_the_time_that_has_passed(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let since_before = Stopwatch::start();
    assert_eq!(get(stack.proxy.addr(), "/page.html", &[]).await.1, MISS_STORED);
    let since_after = Stopwatch::start();
    let deadline = Deadline::after(PATIENCE);
    let mut oldest = 0;
    while oldest < 2 {
        assert!(!deadline.passed(), "the age stays at {oldest}");
        let least = since_after.elapsed().as_secs();
        let hit = http_client::get(stack.proxy.addr(), "/page.html", &[]).await;
        let most = since_before.elapsed().as_secs() + 1;
        assert_eq!(hit.cache_status(), HIT);
        let age: u64 = hit.header("age").expect("an age").parse().expect("a number");
        assert!((least.max(oldest)..=most).contains(&age), "{age} not in {least}..={most}");
        oldest = age;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn the_age_that_upstream_caches_report_counts(place: Place) {
    let directives = "
        location /old { add_header Age 1000; expires 2000s; }
        location /spent { add_header Age 60; expires 60s; }";
    let files: [(&str, &[u8]); 2] = [("old", PAGE), ("spent", PAGE)];
    let stack = Stack::start(place, directives, &files);
    let watch = Stopwatch::start();
    let miss = http_client::get(stack.proxy.addr(), "/old", &[]).await;
    assert_eq!((miss.cache_status(), miss.header("age")), (MISS_STORED.to_owned(), Some("1000")));
    let hit = http_client::get(stack.proxy.addr(), "/old", &[]).await;
    assert_eq!(hit.cache_status(), HIT);
    let ages = hit.header_all("age");
    let age: u64 = ages[0].parse().expect("a number");
    let most = 1001 + watch.elapsed().as_secs();
    assert!(ages.len() == 1 && (1000..=most).contains(&age), "{ages:?}, at most {most}");
    // What came stale is validated before it is used.
    let status = async || get(stack.proxy.addr(), "/spent", &[]).await.1;
    assert_eq!(status().await, MISS_STORED);
    eventually_some(PATIENCE, "stored, and confirmed by nginx", async || {
        let status = status().await;
        assert_ne!(status, HIT);
        (status == "cache-tower; fwd=stale; fwd-status=304").then_some(())
    })
    .await;
}

async fn conditional_requests_are_answered_without_nginx(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let addr = stack.proxy.addr();
    let full = http_client::get(addr, "/page.html", &[]).await;
    let etag = full.header("etag").expect("nginx sends one").to_owned();
    let modified = full.header("last-modified").expect("nginx sends one").to_owned();
    let in_list = format!("\"other\", W/{etag}");
    for (condition, value) in [
        ("if-none-match", etag.as_str()),
        ("if-none-match", in_list.as_str()),
        ("if-none-match", "*"),
        ("if-modified-since", modified.as_str()),
    ] {
        let response = http_client::get(addr, "/page.html", &[(condition, value)]).await;
        assert_eq!((response.status, response.body.len()), (304, 0), "{condition}: {value}");
        assert_eq!(response.cache_status(), HIT);
        assert_eq!(response.header("etag"), Some(etag.as_str()));
        assert!(response.header("age").is_some() && response.header("date").is_some());
        // RFC 9110 §15.4.5: no metadata of a body that isn't there
        assert_eq!(response.header("content-type"), None);
    }
    // RFC 9110 §13.1.3: If-None-Match counts, If-Modified-Since is ignored beside it.
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    let both: &[(&str, &str)] = &[("if-none-match", "\"other\""), ("if-modified-since", &modified)];
    for headers in [&[("if-none-match", "\"other\"")][..], &[("if-modified-since", old)], both] {
        let response = http_client::get(addr, "/page.html", headers).await;
        assert_eq!((response.status, &response.body[..]), (200, PAGE), "{headers:?}");
        assert_eq!(response.cache_status(), HIT);
    }
    let head = send(addr, "HEAD", "/page.html", &[("if-none-match", &etag)], b"").await;
    assert_eq!((head.status, head.cache_status()), (304, HIT.to_owned()));
    assert_eq!(stack.seen().await, ["GET /page.html 200"]);
}

/// The cache wants the whole response: it asks without the client's condition.
async fn a_condition_on_a_cold_cache_still_fills_it(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let addr = stack.proxy.addr();
    let direct = http_client::get(stack.nginx.addr(), "/page.html?direct", &[]).await;
    let etag = direct.header("etag").expect("nginx sends one");
    let first = http_client::get(addr, "/page.html", &[("if-none-match", etag)]).await;
    let stored = "cache-tower; fwd=uri-miss; fwd-status=200; stored";
    assert_eq!((first.status, first.cache_status()), (304, stored.to_owned()));
    // the body is read on behind the client's back
    let second = http_client::get(addr, "/page.html", &[]).await;
    assert_eq!((second.status, &second.body[..]), (200, PAGE));
    assert_eq!(stack.seen().await[1..], ["GET /page.html 200"]);
}

async fn head_is_answered_from_a_stored_get(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let addr = stack.proxy.addr();
    let length = PAGE.len().to_string();
    let cold = send(addr, "HEAD", "/page.html", &[], b"").await;
    assert_eq!((cold.status, cold.body.len()), (200, 0));
    assert_eq!(cold.cache_status(), "cache-tower; fwd=uri-miss; detail=method");
    assert_eq!(cold.header("content-length"), Some(length.as_str()));
    assert_eq!(get(addr, "/page.html", &[]).await.1, MISS_STORED);
    let warm = send(addr, "HEAD", "/page.html", &[], b"").await;
    assert_eq!((warm.status, warm.body.len()), (200, 0));
    assert_eq!(warm.cache_status(), HIT);
    assert_eq!(warm.header("content-length"), Some(length.as_str()));
    assert_eq!(stack.seen().await, ["HEAD /page.html 200", "GET /page.html 200"]);
}

/// Before the whole is stored parts come from nginx, afterwards from the cache, and both alike.
async fn ranges_are_cut_out_of_what_is_stored(place: Place) {
    let stack = Stack::start(place, "expires 60s;", &[("page.html", PAGE)]);
    let addr = stack.proxy.addr();
    for expected in ["cache-tower; fwd=uri-miss; detail=range", HIT] {
        let part = http_client::get(addr, "/page.html", &[("range", "bytes=3-7")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &b"hello"[..]));
        assert_eq!(part.cache_status(), expected);
        assert_eq!(part.header("content-range"), Some(&*format!("bytes 3-7/{}", PAGE.len())));
        assert_eq!(part.header("content-length"), Some("5"));
        let beyond = http_client::get(addr, "/page.html", &[("range", "bytes=900-")]).await;
        assert_eq!((beyond.status, beyond.cache_status().as_str()), (416, expected));
        assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{}", PAGE.len())));
        // and neither is taken for the other
        let whole = http_client::get(addr, "/page.html", &[]).await;
        assert_eq!((whole.status, &whole.body[..]), (200, PAGE));
    }
    let seen = ["GET /page.html 206", "GET /page.html 416", "GET /page.html 200"];
    assert_eq!(stack.seen().await, seen);
}

async fn unsafe_methods_invalidate_what_they_change(place: Place) {
    let directives = "expires 60s; dav_methods PUT DELETE; dav_access user:rw;";
    let stack = Stack::start(place, directives, &[("page.html", PAGE), ("other.html", PAGE)]);
    let addr = stack.proxy.addr();
    assert_eq!(get(addr, "/page.html", &[]).await.1, MISS_STORED);
    assert_eq!(get(addr, "/other.html", &[]).await.1, MISS_STORED);
    // nginx refuses it, so nothing has changed
    let refused = send(addr, "POST", "/page.html", &[], b"x").await;
    assert_eq!((refused.status, refused.cache_status()), (405, FORWARDED.to_owned()));
    assert_eq!(get(addr, "/page.html", &[]).await.1, HIT);
    // now it really changes
    let put = send(addr, "PUT", "/page.html", &[], b"new content").await;
    assert_eq!((put.status, put.cache_status()), (204, FORWARDED.to_owned()));
    let (text, status) = get(addr, "/page.html", &[]).await;
    assert_eq!((text.as_str(), status.as_str()), ("new content", MISS_STORED));
    assert_eq!(get(addr, "/page.html", &[]).await.1, HIT);
    assert_eq!(send(addr, "DELETE", "/page.html", &[], b"").await.status, 204);
    assert_eq!(http_client::get(addr, "/page.html", &[]).await.status, 404);
    assert_eq!(get(addr, "/other.html", &[]).await.1, HIT);
}

/// nginx compresses for those who accept it: one URL, two variants, each with its own ETag.
async fn compressed_and_plain_are_two_variants(place: Place) {
    // Without gzip_proxied, nginx takes `Via` for a reason not to.
    let directives = "expires 60s; gzip on; gzip_proxied any; gzip_vary on; gzip_min_length 1;
        gzip_types text/plain;";
    let text = "the same words again and again, ".repeat(50);
    let stack = Stack::start(place, directives, &[("page.txt", text.as_bytes())]);
    let addr = stack.proxy.addr();
    let gzip: &[(&str, &str)] = &[("accept-encoding", "gzip")];
    let (plain, status) = get(addr, "/page.txt", &[]).await;
    assert_eq!((plain.as_str(), status.as_str()), (text.as_str(), MISS_STORED));
    let small = http_client::get(addr, "/page.txt", gzip).await;
    assert_eq!(small.cache_status(), "cache-tower; fwd=vary-miss; stored");
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert!(small.body.len() < text.len() / 2);
    for _ in 0..2 {
        assert_eq!(get(addr, "/page.txt", &[]).await, (text.clone(), HIT.to_owned()));
        let again = http_client::get(addr, "/page.txt", gzip).await;
        assert_eq!(again.cache_status(), HIT);
        assert_eq!(again.header("content-encoding"), Some("gzip"));
        assert_eq!(again.body, small.body);
    }
    assert_eq!(stack.seen().await.len(), 2);
}

macro_rules! in_memory_and_on_redis {
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(
            #[tokio::test]
            async fn $name() { super::$name(super::Place::Memory).await; }
        )* }
        mod on_redis { $(
            #[tokio::test]
            async fn $name() {
                crate::setup::within_budget(|| super::$name(super::Place::Redis)).await;
            }
        )* }
    };
}

in_memory_and_on_redis!(
    a_response_is_stored_and_then_hit,
    the_age_of_a_hit_is_the_time_that_has_passed,
    the_age_that_upstream_caches_report_counts,
    conditional_requests_are_answered_without_nginx,
    a_condition_on_a_cold_cache_still_fills_it,
    head_is_answered_from_a_stored_get,
    ranges_are_cut_out_of_what_is_stored,
    unsafe_methods_invalidate_what_they_change,
    compressed_and_plain_are_two_variants,
);
