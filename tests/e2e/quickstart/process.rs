//! The quickstart as a process: what it says, its environment, its end.

use std::process::ExitStatus;
use std::time::Duration;

use cache_tests::http_client::Client;
use cache_tests::{Example, RedisServer, eventually, http_client};

use crate::setup::{HIT, MISS_STORED, PATIENCE, get, join, quickstart};

const WS1: [(&str, &str); 1] = [("x-workspace-id", "ws1")];

/// A newcomer reads how to try it, and can.
#[tokio::test]
async fn it_says_how_to_try_it() {
    let service = quickstart().start();
    let output = service.output();
    let addr = service.addr();
    assert_eq!(output.last(), Some(&format!("listening on {addr}")));
    assert!(output.contains(&"cached in: memory".to_owned()), "{output:?}");
    let urls: Vec<_> = output.iter().filter_map(|line| line.split("http://").nth(1)).collect();
    assert_eq!(urls.len(), 6, "{output:?}");
    for url in urls {
        let url = url.split(['\'', ' ']).next().expect("a first word");
        let path = url.strip_prefix(&addr.to_string()).expect("this very service");
        assert_eq!(http_client::get(addr, path, &WS1).await.status, 200, "{path}");
    }
    let help = http_client::get(addr, "/", &[]).await;
    assert!(help.text().contains("curl -i") && help.status == 200);
}

#[tokio::test]
async fn a_taken_port_and_wrong_words_are_named() {
    let service = quickstart().start();
    let taken = service.addr().to_string();
    let of = || Example::of("quickstart").env_remove("REDIS_URL");
    for (args, code, said) in [
        (&["--listen", &taken][..], 1, format!("can't listen on {taken}: ")),
        (&["--listen", "3000"], 2, "--listen doesn't accept `3000`".to_owned()),
        (&["--port", "3000"], 2, "unknown option `--port`".to_owned()),
    ] {
        let (status, text) = of().args(args.iter().copied()).run();
        assert_eq!(status.code(), Some(code), "{text}");
        assert!(text.starts_with("error: ") && text.contains(&said), "{text}");
    }
}

#[test]
fn an_invalid_variable_is_one_error_that_names_it_and_not_its_value() {
    for (name, value) in [
        ("REDIS_URL", "redis://:s3cret@host:port"),
        ("REDIS_URL", "s3cret"),
        ("REDIS_URL", "rediss://:s3cret@localhost:port"),
        ("REDIS_DEFAULT_TTL", "s3cret"),
        ("SEARCH_CACHE_TTL", "-1"),
        ("REDIS_MAX_CONNECTIONS", "s3cret"),
        ("ENABLE_CACHING", "s3cret"),
        ("REDIS_CLUSTER_NODES", "s3cret:port"),
        ("REDIS_USE_SENTINEL", "s3cret"),
        ("REDIS_SSL_ENABLED", "s3cret"),
    ] {
        let (status, text) = quickstart().env(name, value).run();
        assert_eq!(status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(name), "{name}: {text}");
        assert_eq!(text.matches("error").count(), 1, "{name}: {text}");
        assert!(!text.contains("s3cret") && !text.contains("listening on"), "{name}: {text}");
    }
}

#[tokio::test]
async fn the_password_of_redis_is_never_printed() {
    let redis = RedisServer::builder().password("s3cret").start();
    let mut service = quickstart().env("REDIS_URL", redis.url()).start();
    get(service.addr(), "/campaigns", &WS1).await;
    redis.kill();
    get(service.addr(), "/campaigns/1", &WS1).await;
    assert_eq!(service.interrupt(PATIENCE).expect("it ends").code(), Some(0));
    let text = service.output().join("\n");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_is_an_outage_like_any_other() {
    let redis = RedisServer::builder().password("right").start();
    let url = format!("redis://:wr0ng@127.0.0.1:{}", redis.port());
    let service = quickstart().env("REDIS_URL", url).start();
    assert_eq!(get(service.addr(), "/campaigns", &WS1).await.1, MISS_STORED);
    assert_eq!(get(service.addr(), "/campaigns", &WS1).await.1, HIT);
    assert!(!service.output().join("\n").contains("wr0ng"));
}

#[tokio::test]
async fn caching_can_be_switched_off() {
    let redis = RedisServer::start();
    let service = quickstart().env("ENABLE_CACHING", "false").env("REDIS_URL", redis.url()).start();
    // It said "cached in: redis", and nothing was cached.
    let said = service.output().join("\n");
    assert!(said.contains("cached in: nothing (ENABLE_CACHING is off)"), "{said}");
    for _ in 0..2 {
        let (_, status) = get(service.addr(), "/campaigns/42/stats", &WS1).await;
        assert_eq!(status, "cache-tower; fwd=bypass; detail=disabled");
    }
    assert_eq!(redis.keys("*"), Vec::<String>::new());
}

/// The statistics take long enough for a signal to come in between.
async fn a_signal_drains(stop: fn(&mut Example, Duration) -> Option<ExitStatus>) {
    let mut service = quickstart().start();
    let addr = service.addr();
    let mut busy = Client::connect(addr).await.unwrap();
    // More than the four connections to the database can answer at once.
    for id in 1..=12 {
        let path = format!("/campaigns/{id}/stats");
        busy.send("GET", &path, &WS1, b"").await.unwrap();
    }
    assert_eq!(busy.read_response().await.unwrap().status, 200);
    let ending = tokio::task::spawn_blocking(move || stop(&mut service, PATIENCE));
    eventually(PATIENCE, "new connections are refused", || {
        std::net::TcpStream::connect(addr).is_err()
    })
    .await;
    // What was being answered is answered whole; then the connection ends.
    while let Ok(head) = busy.read_head().await {
        assert_eq!(head.status, 200);
        let body = busy.read_body().await.expect("a whole body");
        assert!(body.ends_with(b"}"));
    }
    assert_eq!(join(ending).await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_drains() {
    a_signal_drains(Example::interrupt).await;
}

#[tokio::test]
async fn sigterm_drains() {
    a_signal_drains(Example::terminate).await;
}

/// The database goes with the process.
#[tokio::test]
async fn nothing_is_left_in_the_temporary_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut service = quickstart().env("TMPDIR", directory.path()).start();
    get(service.addr(), "/campaigns", &WS1).await;
    let entries = || std::fs::read_dir(directory.path()).expect("readable").count();
    assert_eq!(entries(), 1);
    assert_eq!(service.interrupt(PATIENCE).expect("it ends").code(), Some(0));
    assert_eq!(entries(), 0);
}
