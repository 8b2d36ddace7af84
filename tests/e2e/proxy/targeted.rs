//! `CDN-Cache-Control` speaks to the proxy, whatever `Cache-Control` says to others.

use cache_tests::{Origin, body, http_client};

use crate::setup::{HIT, MISS_STORED, get, proxy};

#[tokio::test]
async fn cdn_cache_control_comes_first() {
    let cases: &[(&[(&str, &str)], bool)] = &[
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")], true),
        (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], false),
        (&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "private")], false),
        (&[("cdn-cache-control", "max-age=60"), ("cdn-cache-control", "max-age=0")], false),
        (&[("cdn-cache-control", "max-age=0"), ("cdn-cache-control", "max-age=60")], true),
        // Malformed, empty, or for others: Cache-Control is heard.
        (&[("cdn-cache-control", "MAX-AGE=60"), ("cache-control", "no-store")], false),
        (&[("cdn-cache-control", "no-store, a="), ("cache-control", "max-age=60")], true),
        (&[("cdn-cache-control", ""), ("cache-control", "max-age=60")], true),
        (&[("surrogate-control", "no-store"), ("cache-control", "max-age=60")], true),
    ];
    let origin = Origin::start(move |request| async move {
        let case: usize = request.uri().path()[1..].parse().expect("the number of a case");
        body::fixed(200, cases[case].0, "x")
    })
    .await;
    let proxy = proxy(origin.addr(), &[]);
    for (number, (response, stored)) in cases.iter().enumerate() {
        let path = format!("/{number}");
        let first = get(proxy.addr(), &path, &[]).await.1;
        assert_eq!(first == MISS_STORED, *stored, "{response:?}: {first}");
        let second = http_client::get(proxy.addr(), &path, &[]).await;
        assert_eq!(second.cache_status() == HIT, *stored, "{response:?}");
        for (name, value) in response.iter().filter(|(_, value)| !value.is_empty()).take(1) {
            assert_eq!(second.header(name), Some(*value), "passed on");
        }
    }
}
