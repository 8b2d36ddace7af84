//! Responses in a namespace that is compressed or encrypted.

use cache_core::{Builder, Cache, Clock, Compression, Keyring, Namespace, RedisOptions, seconds};
use cache_tests::RedisServer;
use cache_tower::HttpCache;

use super::origin::{App, HIT, MISS, Origin, START, field, reply, told};

fn app(redis: &RedisServer, clock: &Clock, origin: &Origin, namespace: Namespace) -> App {
    let options = RedisOptions::url(&redis.url()).expect("valid");
    let builder: Builder = Cache::builder().prefix("p").l1(false).redis(options);
    let builder = builder.clock(clock.clone()).operation_budget(seconds(10)).namespace(namespace);
    let cache = builder.keyring(Keyring::new(1, [1; 32])).build().expect("valid");
    App::layered(&HttpCache::builder(cache).build(), origin)
}

/// `/text` can be made smaller, `/coded` can't: it is compressed already.
fn origin() -> Origin {
    Origin::new(|request| {
        if request.uri().path() == "/coded" {
            let lines = [("cache-control", "max-age=60"), ("content-encoding", "br")];
            let noise: Vec<u8> = (0..6000).map(|_| fastrand::u8(..)).collect();
            return reply(200, &lines, "").map(|_| noise.into());
        }
        let page = "<p>a row of a table</p>".repeat(500);
        reply(200, &[("cache-control", "max-age=60"), ("x-kept", "yes")], &page)
    })
}

/// The flags of each envelope of a response under a path.
fn flags(redis: &RedisServer, path: &str) -> Vec<u8> {
    let keys = redis.keys(&format!("p:api_responses:v1:*{path}*"));
    keys.iter().map(|key| redis.get(key).expect("it is there")[7]).collect()
}

#[tokio::test]
async fn responses_are_the_same_however_they_are_stored() {
    let namespace = || Namespace::new(cache_core::API_RESPONSES);
    let zstd = namespace().compression(Compression::Zstd);
    let both = namespace().sensitive().compression(Compression::Zlib);
    for (namespace, of_text, of_coded) in [
        (namespace(), 0, 0),
        (zstd, 0b0100, 0),
        (namespace().encrypted(), 0b1000, 0b1000),
        (both, 0b1010, 0b1000),
    ] {
        let (redis, clock, origin) = (RedisServer::start(), Clock::manual(START), origin());
        for path in ["/text", "/coded"] {
            let writer = app(&redis, &clock, &origin, namespace.clone());
            let first = writer.get(path, &[]).await;
            assert_eq!(told(&first), MISS);
            let reader = app(&redis, &clock, &origin, namespace.clone());
            let second = reader.get(path, &[]).await;
            assert_eq!(told(&second), HIT, "{path}");
            assert_eq!(second.body(), first.body());
            for name in ["x-kept", "content-encoding"] {
                assert_eq!(field(&second, name), field(&first, name));
            }
            let parts = reader.get(path, &[("range", "bytes=10-19")]).await;
            assert_eq!((parts.status().as_u16(), &parts.body()[..]), (206, &first.body()[10..20]));
        }
        assert_eq!(flags(&redis, "text"), [of_text]);
        assert_eq!(flags(&redis, "coded"), [of_coded]);
        assert_eq!(origin.calls(), 2);
    }
}
