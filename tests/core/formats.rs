//! The formats that a namespace can have.

use bytes::Bytes;
use cache_core::{Cache, ErrorKind, Format, Namespace};
use serde::{Deserialize, Serialize};

use crate::setup::{Setup, fill, kind, on_every_setup, settled, text};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rate {
    code: String,
    euros: f64,
    seen: Vec<u64>,
}

fn euro() -> Rate {
    Rate { code: "EUR".into(), euros: 1.08, seen: vec![1, u64::MAX] }
}

fn cache_with(setup: &Setup, format: Format) -> Cache {
    setup.builder().namespace(Namespace::new("rates").format(format)).build().unwrap()
}

/// What stands in the store behind the rest of the envelope.
fn payload(setup: &Setup, len: usize) -> Vec<u8> {
    let stored = setup.stored("rates", "EUR").unwrap();
    stored[stored.len() - len..].to_vec()
}

async fn json_is_json_in_the_store(setup: Setup) {
    let cache = cache_with(&setup, Format::Json);
    cache.set("rates", "EUR", &euro()).await.unwrap();
    assert_eq!(cache.get("rates", "EUR").await.unwrap(), Some(euro()));
    let json = serde_json::to_vec(&euro()).unwrap();
    if !setup.is_memory() {
        assert_eq!(payload(&setup, json.len()), json);
        let fresh = cache_with(&setup, Format::Json);
        assert_eq!(fresh.get("rates", "EUR").await.unwrap(), Some(euro()));
    }
    let compute = async || Ok::<_, std::io::Error>(euro());
    let computed = cache.get_or_compute("rates", "USD", compute).await.unwrap();
    assert_eq!(computed, euro());
    settled(&cache).await;
    assert_eq!(cache.get("rates", "USD").await.unwrap(), Some(euro()));
    cache.set_many("rates", [("GBP", euro()), ("CHF", euro())]).await.unwrap();
    let many = cache.get_many::<Rate, _>("rates", ["GBP", "CHF", "JPY"]).await.unwrap();
    assert_eq!(many, [Some(euro()), Some(euro()), None]);
}

async fn raw_bytes_are_stored_as_they_are(setup: Setup) {
    let cache = cache_with(&setup, Format::Raw);
    let image = Bytes::from_static(b"\x89PNG\r\n\x1a\n\x00\xff");
    cache.set("rates", "EUR", &image).await.unwrap();
    assert_eq!(cache.get("rates", "EUR").await.unwrap(), Some(image.clone()));
    assert_eq!(cache.get("rates", "EUR").await.unwrap(), Some(image.to_vec()));
    if !setup.is_memory() {
        assert_eq!(payload(&setup, image.len()), image);
    }
    let compute = async || Ok::<_, std::io::Error>(image.to_vec());
    for _ in 0..2 {
        let computed = cache.get_or_compute("rates", "USD", compute).await.unwrap();
        assert_eq!(computed, image);
        settled(&cache).await;
    }
    let stats = cache.stats().namespaces["rates"];
    assert_eq!((stats.hits, stats.misses, stats.errors), (3, 1, 0), "{stats:?}");
}

/// A type that is not bytes is refused by a write, and nothing is made of bytes by a read.
async fn a_raw_namespace_can_not_be_taken_for_another(setup: Setup) {
    let cache = cache_with(&setup, Format::Raw);
    let refused = cache.set("rates", "EUR", "a text").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Encode);
    assert!(refused.to_string().contains("raw bytes"), "{refused}");
    assert_eq!(kind(cache.set_many("rates", [("EUR", 7)]).await), ErrorKind::Encode);
    assert!(!cache.exists("rates", "EUR").await.unwrap());
    // What would be a text, a number and a list in the other formats.
    for bytes in [&b"\xa6a text"[..], b"\"a text\"", b"7", b"\x07", b"\x91\x07", b"[7]"] {
        cache.set("rates", "EUR", &bytes).await.unwrap();
        assert_eq!(text(&cache, "rates", "EUR").await, None);
        assert_eq!(cache.get::<u64>("rates", "EUR").await.unwrap(), None);
        assert_eq!(cache.get::<Vec<u16>>("rates", "EUR").await.unwrap(), None);
        assert_eq!(cache.get::<serde_json::Value>("rates", "EUR").await.unwrap(), None);
    }
    let stats = cache.stats().namespaces["rates"];
    assert_eq!((stats.hits, stats.misses, stats.errors), (0, 24, 24), "{stats:?}");
    assert_eq!(fill(&cache, "rates", "USD", "not cached, but had").await, "not cached, but had");
    assert!(!cache.exists("rates", "USD").await.unwrap());
}

/// A namespace that gets another format reads what it had.
async fn what_was_stored_in_another_format_is_still_read(setup: Setup) {
    if setup.is_memory() {
        return;
    }
    let formats = [Format::MessagePack, Format::Json, Format::Raw];
    for written in [Format::MessagePack, Format::Json] {
        cache_with(&setup, written).set("rates", "EUR", &euro()).await.unwrap();
        for now in formats {
            let cache = cache_with(&setup, now);
            assert_eq!(
                cache.get("rates", "EUR").await.unwrap(),
                Some(euro()),
                "{written:?} {now:?}"
            );
        }
    }
    let bytes = Bytes::from_static(b"\xa1x");
    cache_with(&setup, Format::Raw).set("rates", "EUR", &bytes).await.unwrap();
    for now in formats {
        let cache = cache_with(&setup, now);
        assert_eq!(cache.get("rates", "EUR").await.unwrap(), Some(bytes.clone()), "{now:?}");
        assert_eq!(text(&cache, "rates", "EUR").await, None, "{now:?}");
    }
}

on_every_setup!(
    json_is_json_in_the_store,
    raw_bytes_are_stored_as_they_are,
    a_raw_namespace_can_not_be_taken_for_another,
    what_was_stored_in_another_format_is_still_read,
);
