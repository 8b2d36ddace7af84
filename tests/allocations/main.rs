//! What a hit allocates, counted: the budget of a hit in memory is two, the two tables of the
//! header map's clone. Only a test of its own can count, since it has to own the allocator.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cache_core::{Cache, Clock, minutes};
use cache_tower::{
    CacheLayer, ForwardedFields, HttpCache, HttpCacheBuilder, RoutePolicy, Workspace,
};
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

/// The two tables of a header map.
const BUDGET: u64 = 2;

fn poll_now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit does not wait"),
    }
}

fn request(headers: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::get("/items/42?page=2").header("host", "shop.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).expect("a valid request")
}

/// Twelve headers, 1 KiB; eleven where the request says that nothing is said of caching.
async fn origin(request: Request<Empty<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::builder();
    if !request.headers().contains_key("x-plain") {
        response = response.header("cache-control", "max-age=3600");
    }
    for n in 0..10 {
        response = response.header(format!("x-header-{n}"), format!("value {n}"));
    }
    let response = response.header("vary", "accept-language");
    Ok(response.body(Full::from(vec![b'x'; 1024])).expect("a valid response"))
}

async fn allocations_of_a_hit(headers: &[(&str, &str)], age: u64) -> u64 {
    allocations_with(|builder| builder, headers, age).await
}

async fn allocations_with(
    options: impl FnOnce(HttpCacheBuilder) -> HttpCacheBuilder,
    headers: &[(&str, &str)],
    age: u64,
) -> u64 {
    allocations_of(options, CacheLayer::new, headers, Some(age)).await
}

/// `age`: what the hit says; `None`: nothing.
async fn allocations_of(
    options: impl FnOnce(HttpCacheBuilder) -> HttpCacheBuilder,
    layer: impl FnOnce(&HttpCache) -> CacheLayer,
    headers: &[(&str, &str)],
    age: Option<u64>,
) -> u64 {
    let clock = Clock::manual(1_700_000_000_000);
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("a valid cache");
    let workspace = Workspace::optional_header("x-workspace-id");
    let http = options(HttpCache::builder(cache).workspace(workspace)).build();
    let mut service = layer(&http).layer(service_fn(origin));
    let miss = service.clone().oneshot(request(headers)).await.expect("infallible");
    miss.into_body().collect().await.expect("a whole body");
    clock.advance(cache_core::seconds(age.unwrap_or(7)));
    // Once before, so that what is made on first use exists.
    poll_now(service.call(request(headers))).expect("infallible");

    let request = request(headers);
    let mut response = None;
    let counted = allocation_counter::measure(|| {
        response = Some(poll_now(service.call(request)).expect("infallible"));
    });
    let response = response.expect("was called");
    let hit = response.headers().get_all("cache-status").iter().any(|v| v == "cache-tower; hit");
    assert!(hit, "{:?}", response.headers());
    let said = response.headers().get("age").map(|age| age.to_str().expect("digits").to_owned());
    assert_eq!(said, age.map(|age| age.to_string()));
    counted.count_total
}

#[tokio::test]
async fn a_hit_allocates_the_two_tables_of_its_header_map() {
    for headers in [
        &[][..],
        &[("x-workspace-id", "ws1")],
        &[("x-workspace-id", "ws1"), ("accept-language", "de, en;q=0.5")],
        &[("x-forwarded-host", "shop.example"), ("x-forwarded-proto", "https")],
    ] {
        assert_eq!(allocations_of_a_hit(headers, 7).await, BUDGET, "{headers:?}");
    }
}

#[tokio::test]
async fn nor_do_options_allocate_on_a_hit() {
    let options = |builder: HttpCacheBuilder| {
        builder
            .normalize_accept_language()
            .ignore_request_directives(true)
            .key_by_header(HeaderName::from_static("x-country"))
            .key_query_only(["page"])
            .forwarded_fields(ForwardedFields::Stripped)
            .skip_cache(|request| request.headers().contains_key("x-preview"))
    };
    let headers = [
        ("accept-language", "de-AT;q=0.9, EN;q=0.5"),
        ("x-country", "at"),
        ("x-forwarded-host", "evil.example"),
    ];
    assert_eq!(allocations_with(options, &headers, 7).await, BUDGET);
}

#[tokio::test]
async fn nor_does_what_a_layer_or_the_table_says() {
    let headers = [("x-country", "at"), ("cookie", "theme=dark"), ("x-project", "p1")];
    let policy = || {
        RoutePolicy::new(minutes(5))
            .key_by_header(HeaderName::from_static("x-country"))
            .key_by_cookie("theme")
            .key_query_only(["page"])
            .tag("item:{id}")
            .workspace(Workspace::header("x-project"))
            .namespace("items")
            .grace(minutes(1))
    };
    let table = |builder: HttpCacheBuilder| {
        let builder = builder.share_within_workspace().never("/billing/{*rest}");
        builder.route("/items/{id}", policy()).route("/items/new", minutes(1))
    };
    let share = HttpCacheBuilder::share_within_workspace;
    assert_eq!(allocations_with(table, &headers, 7).await, BUDGET);
    let endpoint = |http: &HttpCache| CacheLayer::endpoint(http, policy());
    assert_eq!(allocations_of(share, endpoint, &headers, Some(7)).await, BUDGET);
    // It takes the place of lines that go.
    let told = |http: &HttpCache| endpoint(http).client_cache_control("private, max-age=30");
    assert_eq!(allocations_of(share, told, &headers, None).await, BUDGET);
    let plain = [&headers[..], &[("x-plain", "1")]].concat();
    assert_eq!(allocations_of(share, told, &plain, None).await, BUDGET);
}

#[tokio::test]
async fn an_age_beyond_the_table_of_small_ones_allocates_its_digits() {
    assert!(minutes(20).as_secs() >= 1024);
    assert_eq!(allocations_of_a_hit(&[], minutes(20).as_secs()).await, BUDGET + 1);
}

#[tokio::test]
async fn a_hit_of_get_or_compute_allocates_no_more_than_one_of_get() {
    let cache = Cache::builder().memory().build().expect("a valid cache");
    cache.set("users", "1", &7_u64).await.expect("set");
    let compute = async || -> Result<u64, Infallible> { panic!("it is there") };
    let values = cache.namespace("users");
    let count = |hit: &mut dyn FnMut()| {
        hit();
        allocation_counter::measure(hit).count_total
    };
    let get = count(&mut || assert_eq!(poll_now(values.get("1")).expect("memory"), Some(7_u64)));
    let computed = count(&mut || {
        assert_eq!(poll_now(values.get_or_compute("1", compute).into_future()).expect("there"), 7);
    });
    assert_eq!(get, 1, "the key");
    assert_eq!(computed, get);
}
