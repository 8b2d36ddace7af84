//! How much this process' memory holds: by bytes, by entries, and what fits.

use cache_core::{Cache, Namespace};

use crate::setup::{Setup, text};

const MIB: u64 = 1024 * 1024;

async fn held(cache: &Cache) -> (usize, u64) {
    let health = cache.health().await;
    (health.l1_entries, health.l1_bytes)
}

#[tokio::test]
async fn memory_is_bounded_by_bytes() {
    for size in [1, 1024, 100 * 1024] {
        let cache = Setup::memory().builder().l1_bytes(8 * MIB).build().unwrap();
        let value = "x".repeat(size);
        for n in 0..(32 * MIB / (size as u64 + 1000)) {
            cache.set("users", n.to_string(), &value).await.unwrap();
            if n % 64 == 0 {
                assert!(held(&cache).await.1 <= 8 * MIB);
            }
        }
        let (entries, bytes) = held(&cache).await;
        assert!((6 * MIB..=8 * MIB).contains(&bytes), "{size}: {bytes}");
        assert!(entries as u64 * size as u64 <= 8 * MIB, "{size}: {entries}");
        cache.clear("users").await.unwrap();
        assert_eq!(held(&cache).await, (0, 0));
    }
}

#[tokio::test]
async fn a_value_of_the_largest_size_fits_beside_others() {
    let defaults = Setup::tiered().builder();
    let small = Setup::memory().builder().l1_bytes(5 * MIB);
    let bounded = Setup::memory().builder().namespace(Namespace::new("few").max_entries(7));
    for builder in [defaults, small, bounded] {
        let cache = builder.build().unwrap();
        let largest = "x".repeat(1024 * 1024 - 5);
        for namespace in ["users", "few"] {
            for n in 0..20 {
                let key = n.to_string();
                cache.set(namespace, &key, &largest).await.unwrap();
                let before = cache.stats().namespaces[namespace].l1_hits;
                assert!(text(&cache, namespace, &key).await.is_some(), "{namespace} {n}");
                assert_eq!(cache.stats().namespaces[namespace].l1_hits, before + 1);
            }
        }
    }
}

/// Pinned: rounding made room for one entry less than asked for.
#[tokio::test]
async fn a_namespace_holds_as_many_entries_as_it_says() {
    for max in [1, 2, 3, 7, 100, 1_000, 10_000] {
        let namespace = Namespace::new("few").max_entries(max);
        let cache = Setup::memory().builder().namespace(namespace).build().unwrap();
        for n in 0..max * 3 {
            cache.set("few", n.to_string(), &n).await.unwrap();
            if n < 100 || n % 100 == 0 {
                let (entries, _) = held(&cache).await;
                assert!(entries <= max, "{entries} of {max}");
                assert!(n + 1 > max || entries == n + 1, "{entries} of {max} after {n}");
            }
        }
        let (entries, _) = held(&cache).await;
        assert!(entries <= max && entries * 10 >= max * 9, "{entries} of {max}");
    }
}

#[tokio::test]
async fn a_namespace_of_few_entries_leaves_the_others_their_room() {
    let few = Namespace::new("few").max_entries(10);
    let cache = Setup::memory().builder().namespace(few).l1_bytes(16 * MIB).build().unwrap();
    for n in 0..1_000 {
        cache.set("users", n.to_string(), &"x".repeat(1024)).await.unwrap();
    }
    for n in 0..10_000 {
        cache.set("few", n.to_string(), &"x".repeat(1024)).await.unwrap();
    }
    let (entries, bytes) = held(&cache).await;
    assert!((1_001..=1_010).contains(&entries), "{entries}");
    assert!(bytes <= 16 * MIB);
    for n in 0..1_000 {
        assert!(text(&cache, "users", &n.to_string()).await.is_some());
    }
}

/// Pinned: what many tags cost in memory was not counted.
#[tokio::test]
async fn keys_and_tags_are_counted_too() {
    let cache = Setup::memory().cache();
    cache.set("users", "1", "v").await.unwrap();
    let (_, plain) = held(&cache).await;
    let mut set = cache.set("users", "2", "v");
    for n in 0..1_000 {
        set = set.tag(n.to_string());
    }
    set.await.unwrap();
    let (_, with_tags) = held(&cache).await;
    assert!(with_tags - 2 * plain > 1_000 * 32, "{with_tags}");
    cache.delete("users", "2").await.unwrap();
    cache.set("users", "k".repeat(5_000), "v").await.unwrap();
    let (_, with_long_key) = held(&cache).await;
    assert!(with_long_key - 2 * plain > 5_000, "{with_long_key}");
}
