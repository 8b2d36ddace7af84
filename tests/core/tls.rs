//! TLS to a real server, with certificates made on the fly.

use std::path::Path;
use std::sync::LazyLock;

use cache_core::{Cache, CoherenceMode, Error, ErrorKind, RedisOptions, TlsOptions, seconds};
use cache_tests::ports::free_port;
use cache_tests::wait::eventually_some;
use cache_tests::{Certificates, RedisServer, eventually};

use crate::coherence::in_mode;
use crate::recovery::healed;
use crate::setup::{PATIENCE, text};

fn certificates() -> &'static Certificates {
    static MADE: LazyLock<Certificates> = LazyLock::new(Certificates::generate);
    &MADE
}

/// A server with this certificate; `clients` is whether it wants theirs. And its port for TLS.
fn server(name: &str, clients: &str) -> (RedisServer, u16) {
    let port = free_port();
    let file = |name: &str| certificates().path(name).to_str().unwrap().to_owned();
    let mut builder = RedisServer::builder();
    for (option, value) in [
        ("--tls-port", port.to_string()),
        ("--tls-ca-cert-file", file("ca.pem")),
        ("--tls-cert-file", file(&format!("{name}.pem"))),
        ("--tls-key-file", file(&format!("{name}.key"))),
        ("--tls-auth-clients", clients.to_owned()),
    ] {
        builder = builder.arg(option).arg(value);
    }
    (builder.start(), port)
}

fn trusting(ca: &str) -> TlsOptions {
    TlsOptions::new().ca_file(certificates().path(ca)).unwrap()
}

fn client(tls: TlsOptions, name: &str) -> TlsOptions {
    let file = |kind: &str| certificates().path(&format!("{name}.{kind}"));
    tls.client_certificate_files(file("pem"), file("key")).unwrap()
}

fn cache(url: &str, tls: TlsOptions) -> Cache {
    let options = RedisOptions::url(url).unwrap().tls(tls);
    let builder = Cache::builder().prefix("coldcopy").redis(options);
    builder.operation_budget(seconds(10)).build().unwrap()
}

/// Why a cache can't reach its server.
async fn fault(cache: &Cache) -> String {
    let failed = eventually_some(PATIENCE, "an operation fails", async || {
        cache.set("users", "1", "v").await.err()
    });
    failed.await.to_string()
}

#[tokio::test]
async fn reads_writes_and_what_others_change_go_over_tls() {
    let (redis, port) = server("server", "no");
    let url = format!("rediss://localhost:{port}");
    let (here, there) = (cache(&url, trusting("ca.pem")), cache(&url, trusting("ca.pem")));
    for cache in [&here, &there] {
        healed(cache).await;
        in_mode(cache, CoherenceMode::Tracking).await;
    }
    here.set("users", "1", "old").await.unwrap();
    assert_eq!(text(&there, "users", "1").await.as_deref(), Some("old"));
    here.set("users", "1", "new").await.unwrap();
    eventually_some(PATIENCE, "the other hears of it", async || {
        (text(&there, "users", "1").await.as_deref() == Some("new")).then_some(())
    })
    .await;
    assert!(redis.get("coldcopy:users:v1:1").is_some());
    let large = "x".repeat(900_000);
    here.set("users", "large", &large).await.unwrap();
    let read = cache(&url, trusting("ca.pem"));
    assert_eq!(text(&read, "users", "large").await, Some(large));
}

/// A user who may not track listens over a connection of another kind.
#[tokio::test]
async fn so_does_what_is_published() {
    let (redis, port) = server("server", "no");
    let rules = ["on", ">pw", "~*", "&*", "+@all", "-client|tracking"];
    redis.command(&[&["ACL", "SETUSER", "app"][..], &rules].concat());
    let url = format!("rediss://app:pw@localhost:{port}");
    let cache = cache(&url, trusting("ca.pem"));
    healed(&cache).await;
    in_mode(&cache, CoherenceMode::PubSub).await;
    assert_eq!(redis.command(&["PUBSUB", "NUMSUB", "coldcopy:changes"]).items()[1].int(), Some(1));
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate() {
    let (_redis, port) = server("server", "yes");
    let url = format!("rediss://localhost:{port}");
    let without = fault(&cache(&url, trusting("ca.pem"))).await;
    assert!(without.contains("wants a client certificate") || without.contains("want a client"));
    let stranger = fault(&cache(&url, client(trusting("ca.pem"), "other-client"))).await;
    assert!(stranger.contains("does not accept the client certificate"), "{stranger}");
    healed(&cache(&url, client(trusting("ca.pem"), "client"))).await;
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let (_redis, port) = server("named", "no");
    let url = format!("rediss://127.0.0.1:{port}");
    let wrong = fault(&cache(&url, trusting("ca.pem"))).await;
    assert!(wrong.contains("is not for the name 127.0.0.1"), "{wrong}");
    let named = trusting("ca.pem").server_name("redis.test").unwrap();
    healed(&cache(&url, named)).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_should_trust() {
    let (_redis, port) = server("server", "no");
    let url = format!("rediss://localhost:{port}");
    for tls in [trusting("other-ca.pem"), TlsOptions::new()] {
        let wrong = fault(&cache(&url, tls)).await;
        assert!(wrong.contains("not from a CA that is trusted"), "{wrong}");
    }
    let (_redis, port) = server("expired", "no");
    let url = format!("rediss://localhost:{port}");
    let old = fault(&cache(&url, trusting("ca.pem"))).await;
    assert!(old.contains("has expired"), "{old}");
}

/// Either end expects what the other does not speak.
#[tokio::test]
async fn tls_on_one_side_only() {
    let (redis, port) = server("server", "no");
    let url = format!("rediss://localhost:{}", redis.port());
    let options = RedisOptions::url(&url).unwrap().tls(trusting("ca.pem"));
    // A server waits for the end of the line.
    let options = options.connection_timeout(seconds(1));
    let hopeful = Cache::builder().redis(options).operation_budget(seconds(10)).build().unwrap();
    let text = fault(&hopeful).await;
    let told = ["does not speak TLS on that port", "does the server speak TLS on that port"];
    assert!(told.iter().any(|told| text.contains(told)), "{text}");

    let plain =
        Cache::builder().redis(RedisOptions::url(&format!("redis://localhost:{port}")).unwrap());
    let text = fault(&plain.operation_budget(seconds(10)).build().unwrap()).await;
    assert!(text.contains("no connection to Redis"), "{text}");
}

#[tokio::test]
async fn a_connection_that_dies_is_replaced_by_one_with_tls() {
    let (redis, port) = server("server", "no");
    let url = format!("rediss://localhost:{port}");
    let cache = cache(&url, trusting("ca.pem"));
    for _ in 0..2 {
        healed(&cache).await;
        redis.restart();
    }
    healed(&cache).await;
    eventually(PATIENCE, "all is well", || cache.gauges().breaker.is_some()).await;
}

fn from_env(variables: &[(&str, &str)]) -> Result<Cache, Error> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let builder = Cache::builder().from_vars(variables.iter().map(owned))?;
    builder.operation_budget(seconds(10)).build()
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn the_environment_names_the_files() {
    let (_redis, port) = server("named", "yes");
    let plain = format!("redis://127.0.0.1:{port}");
    let certificates = certificates();
    let (ca, cert, key) = (
        certificates.path("ca.pem"),
        certificates.path("client.pem"),
        certificates.path("client.key"),
    );
    let files = [
        ("REDIS_SSL_CA_CERTS", utf8(&ca)),
        ("REDIS_SSL_CERTFILE", utf8(&cert)),
        ("REDIS_SSL_KEYFILE", utf8(&key)),
        ("REDIS_SSL_SERVER_NAME", "redis.test"),
    ];
    let with = |more: &[(&'static str, &str)]| from_env(&[&files[..], more].concat());
    let url = format!("rediss://127.0.0.1:{port}");
    healed(&with(&[("REDIS_URL", &url)]).unwrap()).await;
    healed(&with(&[("REDIS_URL", &plain), ("REDIS_SSL_ENABLED", "true")]).unwrap()).await;
}

#[test]
fn a_file_that_is_no_good_is_an_error_that_names_the_variable() {
    let certificates = certificates();
    let (ca, cert) = (certificates.path("ca.pem"), certificates.path("client.pem"));
    let (key, other) = (certificates.path("client.key"), certificates.path("other-client.key"));
    let url = ("REDIS_URL", "rediss://localhost");
    for (name, files) in [
        ("REDIS_SSL_CA_CERTS", vec![("REDIS_SSL_CA_CERTS", "/s3cret/nowhere")]),
        ("REDIS_SSL_CA_CERTS", vec![("REDIS_SSL_CA_CERTS", utf8(&key))]),
        ("REDIS_SSL_KEYFILE", vec![("REDIS_SSL_CERTFILE", utf8(&cert))]),
        ("REDIS_SSL_CERTFILE", vec![("REDIS_SSL_KEYFILE", utf8(&key))]),
        (
            "REDIS_SSL_KEYFILE",
            vec![("REDIS_SSL_CERTFILE", utf8(&cert)), ("REDIS_SSL_KEYFILE", utf8(&ca))],
        ),
        (
            "client certificate and its key",
            vec![
                ("REDIS_SSL_CA_CERTS", utf8(&ca)),
                ("REDIS_SSL_CERTFILE", utf8(&cert)),
                ("REDIS_SSL_KEYFILE", utf8(&other)),
            ],
        ),
        ("REDIS_SSL_SERVER_NAME", vec![("REDIS_SSL_SERVER_NAME", "s3cret !")]),
        ("REDIS_SSL_ENABLED", vec![("REDIS_SSL_ENABLED", "s3cret")]),
    ] {
        let error = from_env(&[&[url][..], &files].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(name) && !text.contains("s3cret"), "{name}: {text}");
    }
    // In the clear by oversight.
    let plain = ("REDIS_URL", "redis://localhost");
    let error = from_env(&[plain, ("REDIS_SSL_CA_CERTS", utf8(&ca))]).unwrap_err().to_string();
    assert!(error.contains("REDIS_SSL_CA_CERTS") && error.contains("rediss://"), "{error}");
    let error = from_env(&[("REDIS_URL", "rediss://localhost/#insecure")]).unwrap_err().to_string();
    assert!(error.contains("REDIS_URL") && error.contains("verified"), "{error}");
}

#[test]
fn no_debug_shows_a_key() {
    let key = std::fs::read_to_string(certificates().path("client.key")).unwrap();
    let inside = key.lines().nth(1).unwrap();
    let tls = client(trusting("ca.pem"), "client");
    let options = RedisOptions::url("rediss://localhost").unwrap().tls(tls.clone());
    for shown in [format!("{tls:?}"), format!("{options:#?}")] {
        assert!(!shown.contains(&inside[..16]) && !shown.contains("key: ["), "{shown}");
    }
    // Where the key itself was put into the variable.
    let error = from_env(&[
        ("REDIS_URL", "rediss://localhost"),
        ("REDIS_SSL_CERTFILE", "/nowhere"),
        ("REDIS_SSL_KEYFILE", &key),
    ]);
    let error = format!("{:?}", error.unwrap_err());
    assert!(!error.contains(&inside[..16]), "{error}");
}
