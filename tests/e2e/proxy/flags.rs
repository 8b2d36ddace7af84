//! The command line: each flag does what `--help` says, and mistakes are named.

use cache_tests::{Example, Origin, RedisServer, body, http_client};

use crate::setup::{
    HIT, MISS_STORED, PATIENCE, counting_origin, get, proxy, proxy_on, shared_redis, unique_prefix,
    until_kept,
};

const NO_WORKSPACE: &str = "cache-tower; fwd=bypass; detail=workspace";

#[tokio::test]
async fn workspaces_are_kept_apart_by_the_usual_header() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &[]);
    let none: &[(&str, &str)] = &[];
    let (one, two) = ([("x-workspace-id", "ws1")], [("X-Workspace-ID", "ws2")]);
    for (number, headers) in [none, &one, &two].iter().enumerate() {
        let text = (number + 1).to_string();
        assert_eq!(get(proxy.addr(), "/", headers).await, (text.clone(), MISS_STORED.to_owned()));
        assert_eq!(get(proxy.addr(), "/", headers).await, (text, HIT.to_owned()));
    }
    for unclear in [&[("x-workspace-id", "")][..], &[one[0], one[0]], &[("x-workspace-id", "a,b")]]
    {
        assert_eq!(get(proxy.addr(), "/", unclear).await.1, NO_WORKSPACE, "{unclear:?}");
    }
}

#[tokio::test]
async fn another_header_may_name_the_workspace() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &["--workspace-header", "X-Tenant"]);
    assert_eq!(get(proxy.addr(), "/", &[("x-tenant", "a")]).await.0, "1");
    assert_eq!(get(proxy.addr(), "/", &[("x-tenant", "b")]).await.0, "2");
    // the usual one means nothing here
    assert_eq!(get(proxy.addr(), "/", &[("x-workspace-id", "a")]).await.0, "3");
    assert_eq!(get(proxy.addr(), "/", &[]).await, ("3".into(), HIT.into()));
    assert_eq!(get(proxy.addr(), "/", &[("x-tenant", "a")]).await, ("1".into(), HIT.into()));
}

#[tokio::test]
async fn a_workspace_may_be_required() {
    let origin = counting_origin().await;
    let proxy = proxy(origin.addr(), &["--require-workspace"]);
    for text in ["1", "2"] {
        assert_eq!(get(proxy.addr(), "/", &[]).await, (text.into(), NO_WORKSPACE.into()));
    }
    let workspace = [("x-workspace-id", "ws1")];
    assert_eq!(get(proxy.addr(), "/", &workspace).await, ("3".into(), MISS_STORED.into()));
    assert_eq!(get(proxy.addr(), "/", &workspace).await, ("3".into(), HIT.into()));
}

/// Answers `/N` with N bytes.
async fn sized_origin() -> Origin {
    Origin::start(async |request| {
        let size = request.uri().path().trim_start_matches('/').parse().unwrap_or(0);
        let chunked = request.uri().query() == Some("chunked");
        let headers = [("cache-control", "max-age=60")];
        if !chunked {
            return body::fixed(200, &headers, vec![b'x'; size]);
        }
        let (writer, body) = body::channel();
        tokio::spawn(async move { writer.send(vec![b'x'; size]).await });
        body::respond(200, &headers, body)
    })
    .await
}

#[tokio::test]
async fn larger_bodies_are_not_stored() {
    let origin = sized_origin().await;
    let small = proxy(origin.addr(), &["--max-body", "1000"]);
    let usual = proxy(origin.addr(), &[]);
    let large = proxy(origin.addr(), &["--max-body=3000000"]);
    for (proxy, size, kept) in [
        (&small, 1000, true),
        (&small, 1001, false),
        (&usual, 1_000_000, true),
        (&usual, 1_100_000, false),
        (&large, 3_000_000, true),
        (&large, 3_000_001, false),
    ] {
        for form in ["", "?chunked"] {
            let path = format!("/{size}{form}");
            for turn in 0..2 {
                let response = http_client::get(proxy.addr(), &path, &[]).await;
                assert_eq!(response.body.len(), size);
                let hit = response.cache_status() == HIT;
                assert_eq!(hit, kept && turn == 1, "{path}: {}", response.cache_status());
            }
        }
        let known = http_client::get(proxy.addr(), &format!("/{size}"), &[]).await;
        let told = if kept { HIT } else { "cache-tower; fwd=uri-miss; detail=too-large" };
        assert_eq!(known.cache_status(), told);
    }
}

#[tokio::test]
async fn memory_has_a_bound() {
    let origin = sized_origin().await;
    let proxy = proxy(origin.addr(), &["--l1-bytes", "8000000", "--max-body", "500000"]);
    let mut hits = 0;
    for round in 0..2 {
        for number in 0..60 {
            let (text, status) = get(proxy.addr(), &format!("/400000?{number}"), &[]).await;
            assert_eq!(text.len(), 400_000);
            assert!(round == 1 || status == MISS_STORED);
            hits += usize::from(status == HIT);
        }
    }
    // 24 MB were asked for; one that just came is there.
    assert!(hits <= 20, "{hits} hits: more than 8 MB were kept");
    get(proxy.addr(), "/400000?again", &[]).await;
    assert_eq!(get(proxy.addr(), "/400000?again", &[]).await.1, HIT);
}

/// How many keys Redis was asked for.
fn lookups(redis: &RedisServer) -> u64 {
    ["keyspace_hits", "keyspace_misses"]
        .map(|field| redis.info("stats", field).unwrap().parse::<u64>().unwrap())
        .iter()
        .sum()
}

#[tokio::test]
async fn without_l1_redis_sees_every_read_and_with_it_few() {
    let (origin, redis) = (counting_origin().await, RedisServer::start());
    let with = proxy_on(&redis.url(), "with", origin.addr(), &[]);
    let without = proxy_on(&redis.url(), "without", origin.addr(), &["--no-l1"]);
    for (proxy, prefix) in [(&with, "with"), (&without, "without")] {
        let glob = |turn| format!("{prefix}:api_responses:v1:-:page-{turn}:*");
        let ask = async |turn| {
            get(proxy.addr(), &format!("/page-{turn}"), &[]).await;
        };
        let path = format!("/page-{}", until_kept(&redis, glob, ask).await);
        let (before, mut hits) = (lookups(&redis), 0);
        while hits < 100 {
            hits += u64::from(get(proxy.addr(), &path, &[]).await.1 == HIT);
        }
        // Now and then the proxy reads for its own part, to keep generations alive.
        let seen = lookups(&redis) - before;
        assert_eq!(seen >= hits, prefix == "without", "{prefix}: {seen}");
    }
    redis.flushall();
    assert_eq!(get(without.addr(), "/page-0", &[]).await.1, MISS_STORED);
}

#[tokio::test]
async fn keys_in_redis_begin_with_the_prefix_and_read_as_expected() {
    let (origin, redis) = (counting_origin().await, RedisServer::start());
    let named = proxy_on(&redis.url(), "shop", origin.addr(), &[]);
    let unnamed = proxy(origin.addr(), &["--redis", &redis.url()]);
    let workspace = [("x-workspace-id", "ws1")];
    for (proxy, path, headers, key) in [
        (
            &named,
            "/campaigns/42/stats",
            &workspace[..],
            "shop:api_responses:v1:ws1:campaigns:42:stats",
        ),
        (&named, "/campaigns/42/stats", &[], "shop:api_responses:v1:-:campaigns:42:stats"),
        (&unnamed, "/a%20b*", &workspace, "cache:api_responses:v1:ws1:a b%2A"),
        (&unnamed, "/", &[], "cache:api_responses:v1:-:"),
    ] {
        until_kept(
            &redis,
            |_| format!("{key}:~*"),
            async |turn| {
                get(proxy.addr(), &format!("{path}?turn={turn}"), headers).await;
            },
        )
        .await;
    }
    for key in redis.keys("*") {
        assert!(key.starts_with("shop:") || key.starts_with("cache:"), "{key}");
        assert!(redis.command(&["TTL", &key]).int().unwrap() > 0, "{key} stays for ever");
    }
}

/// Until the answer through this proxy has this body and is a hit.
async fn becomes_a_hit(proxy: &Example, path: &str, host: &str, text: &str) {
    let found = async || {
        let (found, status) = get(proxy.addr(), path, &[("host", host)]).await;
        (found == text && status == HIT).then_some(())
    };
    cache_tests::wait::eventually_some(PATIENCE, "a shared entry", found).await;
}

#[tokio::test]
async fn two_proxies_on_one_redis_share_entries_of_equal_hosts() {
    // each response says which URL it is of
    let origin = Origin::start(async |request| {
        let text = request.uri().path().to_owned();
        body::fixed(200, &[("cache-control", "max-age=60")], text)
    })
    .await;
    let (redis, prefix) = (shared_redis(), unique_prefix());
    let one = proxy_on(&redis.url(), &prefix, origin.addr(), &[]);
    let other = proxy_on(&redis.url(), &prefix, origin.addr(), &["--no-l1"]);
    let stranger = proxy_on(&redis.url(), &unique_prefix(), origin.addr(), &[]);
    let host = [("host", "shared.test")];
    let glob = |turn| format!("{prefix}:api_responses:v1:-:page-{turn}:*");
    let ask = async |turn| {
        get(one.addr(), &format!("/page-{turn}"), &host).await;
    };
    let path = format!("/page-{}", until_kept(redis, glob, ask).await);
    let calls = origin.count();
    becomes_a_hit(&other, &path, "shared.test", &path).await;
    becomes_a_hit(&other, &path, "SHARED.test", &path).await;
    // without the same Host there is nothing to share: each proxy has its own address
    for (proxy, host) in [(&one, None), (&other, None), (&one, Some(("host", "other.test")))] {
        let headers: Vec<_> = host.into_iter().collect();
        assert_eq!(get(proxy.addr(), &path, &headers).await.1, MISS_STORED);
    }
    assert_eq!(get(stranger.addr(), &path, &host).await.1, MISS_STORED);
    assert!(origin.count() >= calls + 4);
    // and an unsafe request through one counts at the other (once Redis has heard of it in time)
    let missed = async || {
        http_client::request(one.addr(), "POST", &path, &host, b"").await.unwrap();
        (get(other.addr(), &path, &host).await.1 == MISS_STORED).then_some(())
    };
    cache_tests::wait::eventually_some(PATIENCE, "a miss after the invalidation", missed).await;
}

#[test]
fn mistakes_are_named_and_secrets_are_not() {
    let run = |line: &str| {
        Example::of("reverse_proxy").args(line.split_whitespace().map(str::to_owned)).run()
    };
    for (line, code, said) in [
        ("", 2, "--upstream is missing"),
        ("--upstream ftp://a", 2, "--upstream"),
        ("--upstream http://a --port 1", 2, "unknown option `--port`"),
        ("--upstream http://a --listen nowhere", 2, "--listen doesn't accept `nowhere`"),
        ("--upstream http://a --max-body lots", 2, "--max-body doesn't accept `lots`"),
        ("--upstream http://a --no-l1", 2, "--no-l1 needs --redis"),
        ("--upstream http://a --redis redis://:s3cret@a:b", 1, "redis://"),
        ("--upstream http://a --redis http://s3cret", 1, "redis://"),
        ("--upstream http://a --prefix a:b", 1, "prefix"),
    ] {
        let (status, text) = run(&format!("--listen 127.0.0.1:0 {line}"));
        assert_eq!(status.code(), Some(code), "{line}: {text}");
        assert!(text.starts_with("error: ") && text.contains(said), "{line}: {text}");
        assert!(!text.contains("s3cret") && !text.contains("listening on"), "{line}: {text}");
    }
    let (status, text) = run("--help");
    assert!(status.success() && text.contains("--workspace-header NAME"), "{text}");
}
