//! Values that are compressed on the way to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cache_core::{Builder, Cache, Compression, ErrorKind, Namespace, NamespaceStats, minutes};

use crate::setup::{Setup, fill, join, kind, on_every_setup, on_shared_setups, settled, text};

const BOTH: [Compression; 2] = [Compression::Zlib, Compression::Zstd];
const KIB: usize = 1024;

fn built(builder: Builder, with: Compression) -> Cache {
    builder.compression(with).build().unwrap()
}

fn stats(cache: &Cache) -> NamespaceStats {
    cache.stats().namespaces["pages"]
}

fn page(size: usize) -> String {
    "date,amount\n2024-02-29,17\n".chars().cycle().take(size).collect()
}

fn noise(size: usize) -> Vec<u8> {
    (0..size).map(|_| fastrand::u8(..)).collect()
}

/// The flags in the envelope under a key.
fn flags(setup: &Setup, key: &str) -> u8 {
    setup.stored("pages", key).unwrap()[7]
}

async fn large_values_take_less_room_and_come_back(setup: Setup) {
    for with in BOTH {
        let cache = built(setup.builder(), with);
        let page = page(100 * KIB);
        cache.set("pages", "set", &page).await.unwrap();
        cache.set_many("pages", [("many", &page)]).await.unwrap();
        cache.delete("pages", "filled").await.unwrap();
        assert_eq!(fill(&cache, "pages", "filled", &page).await, page);
        settled(&cache).await;
        for key in ["set", "many", "filled"] {
            assert_eq!(text(&cache, "pages", key).await.as_ref(), Some(&page));
            if setup.is_memory() {
                continue;
            }
            assert!(setup.stored("pages", key).unwrap().len() < 5 * KIB);
            let flag = if with == Compression::Zlib { 0b010 } else { 0b100 };
            assert_eq!(flags(&setup, key), flag);
            // Whatever is compressed how in the one that reads.
            let fresh = setup.cache();
            assert_eq!(text(&fresh, "pages", key).await.as_ref(), Some(&page));
            assert_eq!(stats(&fresh).unreadable, 0);
        }
        let NamespaceStats { compressed, uncompressed_bytes, compressed_bytes, .. } = stats(&cache);
        if setup.is_memory() {
            assert_eq!((compressed, uncompressed_bytes, compressed_bytes), (0, 0, 0));
        } else {
            assert_eq!(compressed, 3);
            assert!(uncompressed_bytes > 300 * KIB as u64 && compressed_bytes < 15 * KIB as u64);
        }
    }
}

async fn what_is_small_or_does_not_pay_is_stored_as_it_is(setup: Setup) {
    for with in BOTH {
        let cache = built(setup.builder(), with);
        cache.set("pages", "small", &page(1000)).await.unwrap();
        cache.set("pages", "noise", &bytes::Bytes::from(noise(10 * KIB))).await.unwrap();
        assert_eq!(stats(&cache).compressed, 0);
        assert_eq!(text(&cache, "pages", "small").await, Some(page(1000)));
        if !setup.is_memory() {
            assert_eq!((flags(&setup, "small"), flags(&setup, "noise")), (0, 0));
        }
    }
}

async fn namespaces_choose_for_themselves(setup: Setup) {
    if setup.is_memory() {
        return;
    }
    let off = Namespace::new("pages").compression(Compression::Off);
    let cache = built(setup.builder().namespace(off), Compression::Zstd);
    cache.set("pages", "off", &page(5000)).await.unwrap();
    let on = Namespace::new("pages").compression(Compression::Zlib);
    let cache = setup.builder().namespace(on).compression_threshold(100).build().unwrap();
    cache.set("pages", "on", &page(200)).await.unwrap();
    cache.set("pages", "below", &page(80)).await.unwrap();
    assert_eq!(["off", "on", "below"].map(|key| flags(&setup, key)), [0, 0b010, 0]);
}

/// The limit is about the value, not about what became of it.
async fn the_limit_counts_what_is_uncompressed(setup: Setup) {
    for with in BOTH {
        let cache = built(setup.builder().max_value_size(10 * KIB), with);
        // A MessagePack string of this length has three bytes of head.
        let (fits, too_large) = (page(10 * KIB - 3), page(10 * KIB - 2));
        cache.set("pages", "1", &fits).await.unwrap();
        assert_eq!(text(&cache, "pages", "1").await, Some(fits));
        assert_eq!(kind(cache.set("pages", "1", &too_large).await), ErrorKind::TooLarge);
    }
}

async fn a_new_lifetime_keeps_the_value(setup: Setup) {
    for with in BOTH {
        let cache = built(setup.builder(), with);
        cache.set("pages", "1", &page(5000)).ttl(minutes(1)).await.unwrap();
        assert!(cache.touch("pages", "1", minutes(60)).await.unwrap());
        setup.clock.advance(minutes(30));
        assert_eq!(text(&cache, "pages", "1").await, Some(page(5000)));
        assert!(cache.exists("pages", "1").await.unwrap());
    }
}

/// Above a size they are compressed on other threads, with few of those.
async fn many_large_values_at_once(setup: Setup) {
    let cache = Arc::new(built(setup.builder(), Compression::Zstd));
    let tasks: Vec<_> = (0..20usize)
        .map(|n| {
            let cache = Arc::clone(&cache);
            tokio::spawn(async move {
                let page = page(500 * KIB + n);
                let key = n.to_string();
                cache.set("pages", &key, &page).await.unwrap();
                assert_eq!(fill(&cache, "pages", &key, "not asked for").await, page);
            })
        })
        .collect();
    for task in tasks {
        join(task).await;
    }
    let keys: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let fresh = if setup.is_memory() { Cache::clone(&cache) } else { setup.cache() };
    let found = fresh.get_many::<String, _>("pages", &keys).await.unwrap();
    let lengths: Vec<_> = found.into_iter().map(|page| page.unwrap().len()).collect();
    assert_eq!(lengths, (0..20).map(|n| 500 * KIB + n).collect::<Vec<_>>());
}

/// What it says to be is looked at before anything is inflated.
async fn what_would_be_too_large_is_a_miss_that_a_fill_repairs(setup: Setup) {
    for with in BOTH {
        let generous = built(setup.builder().max_value_size(16 << 20), with);
        generous.set("pages", "bomb", &page(8 << 20)).await.unwrap();
        assert!(setup.stored("pages", "bomb").unwrap().len() < 64 * KIB);
        let cache = built(setup.builder(), with);
        assert_eq!(text(&cache, "pages", "bomb").await, None);
        assert!(!cache.exists("pages", "bomb").await.unwrap());
        let NamespaceStats { misses, unreadable, errors, .. } = stats(&cache);
        assert_eq!((misses, unreadable, errors), (1, 2, 0));
        assert_eq!(fill(&cache, "pages", "bomb", "small").await, "small");
        settled(&cache).await;
        assert_eq!(text(&setup.cache(), "pages", "bomb").await.as_deref(), Some("small"));
    }
}

/// The checksum is right, and what it is about is not.
async fn a_stream_that_is_not_one_is_a_miss_that_a_fill_repairs(setup: Setup) {
    for with in BOTH {
        let writer = built(setup.builder(), with);
        for (n, change) in [-1isize, -20, -40].into_iter().enumerate() {
            writer.set("pages", "1", &page(5000)).await.unwrap();
            let mut bytes = setup.stored("pages", "1").unwrap();
            let at = bytes.len().checked_add_signed(change).unwrap();
            bytes[at] ^= 0xFF;
            crate::setup::fix_checksum(&mut bytes);
            setup.put("pages", "1", &bytes);
            let cache = setup.cache();
            match text(&cache, "pages", "1").await {
                None => assert_eq!(stats(&cache).misses, 1),
                // zstd has no checksum of its own; the envelope's was forged.
                Some(forged) => assert_eq!((with, forged.len()), (Compression::Zstd, 5000), "{n}"),
            }
        }
        writer.set("pages", "1", &page(5000)).await.unwrap();
        let mut bytes = setup.stored("pages", "1").unwrap();
        // A code that nobody has yet.
        bytes[7] = 0b110;
        crate::setup::fix_checksum(&mut bytes);
        setup.put("pages", "1", &bytes);
        let cache = setup.cache();
        assert_eq!(text(&cache, "pages", "1").await, None);
        assert_eq!(fill(&cache, "pages", "1", "computed").await, "computed");
        settled(&cache).await;
        assert_eq!(setup.stored("pages", "1").unwrap(), bytes, "those who know it read it");
        cache.set("pages", "1", "written").await.unwrap();
        assert_eq!(text(&setup.cache(), "pages", "1").await.as_deref(), Some("written"));
    }
}

async fn the_environment_turns_it_on(setup: Setup) {
    let build = |variables: &[(&str, &str)], builder: Builder| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        builder.from_vars(variables.iter().map(owned)).unwrap().build().unwrap()
    };
    let on = ("REDIS_ENABLE_COMPRESSION", "true");
    let threshold = ("REDIS_COMPRESSION_THRESHOLD", "4000");
    let off = ("REDIS_ENABLE_COMPRESSION", "false");
    for (variables, expected) in [
        (&[on][..], [0b100, 0b100]),
        (&[on, threshold], [0, 0b100]),
        (&[off, threshold], [0, 0]),
        (&[threshold], [0, 0]),
    ] {
        let cache = build(variables, setup.builder());
        cache.set("pages", "small", &page(2000)).await.unwrap();
        cache.set("pages", "large", &page(5000)).await.unwrap();
        let found = ["small", "large"].map(|key| flags(&setup, key));
        assert_eq!(found, expected, "{variables:?}");
    }
    let code = setup.builder().compression(Compression::Off);
    build(&[on], code).set("pages", "large", &page(5000)).await.unwrap();
    assert_eq!(flags(&setup, "large"), 0, "what code says beats it");
}

on_every_setup!(
    large_values_take_less_room_and_come_back,
    what_is_small_or_does_not_pay_is_stored_as_it_is,
    namespaces_choose_for_themselves,
    the_limit_counts_what_is_uncompressed,
    a_new_lifetime_keeps_the_value,
    many_large_values_at_once,
);

on_shared_setups!(
    what_would_be_too_large_is_a_miss_that_a_fill_repairs,
    a_stream_that_is_not_one_is_a_miss_that_a_fill_repairs,
    the_environment_turns_it_on,
);

/// How many threads are started beside the one that does this.
fn other_threads(work: impl Future<Output = ()>) -> usize {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&started);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().on_thread_start(move || {
        counted.fetch_add(1, SeqCst);
    });
    runtime.build().unwrap().block_on(work);
    started.load(SeqCst)
}

/// Those that answer requests are not held up.
#[test]
fn large_values_are_worked_on_by_other_threads() {
    for (size, others) in [(10 * KIB, 0), (500 * KIB, 1)] {
        let (setup, page) = (Setup::shared(), page(size));
        let set = other_threads(async {
            let cache = built(setup.builder(), Compression::Zstd);
            cache.set("pages", "1", &page).await.unwrap();
        });
        let get = other_threads(async {
            assert_eq!(text(&setup.cache(), "pages", "1").await.as_ref(), Some(&page));
        });
        assert_eq!((set, get), (others, others), "{size} bytes");
    }
}
