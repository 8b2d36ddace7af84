//! Instances that differ in what they can read: each does its own work once, and none undoes that
//! of the others.

use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::{Cache, Compression, Keyring, Namespace};

use crate::setup::{Setup, on_shared_setups, settled, text};

const ROUNDS: u32 = 10;

/// How often each of two computes, who are asked in turn.
async fn computed(caches: [&Cache; 2]) -> [u32; 2] {
    let counts = [AtomicU32::new(0), AtomicU32::new(0)];
    for _ in 0..ROUNDS {
        for (cache, count) in caches.into_iter().zip(&counts) {
            let compute = async || {
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>("page, ".repeat(1000))
            };
            let page: String = cache.get_or_compute("pages", "1", compute).await.unwrap();
            assert_eq!(page.len(), 6000);
            settled(cache).await;
        }
    }
    counts.map(AtomicU32::into_inner)
}

/// As often as it has nothing in memory.
fn each_time(setup: &Setup) -> u32 {
    if setup.has_l1() { 1 } else { ROUNDS }
}

fn with_ring(setup: &Setup, ring: Keyring) -> Cache {
    let pages = Namespace::new("pages").encrypted();
    setup.builder().namespace(pages).keyring(ring).build().unwrap()
}

async fn one_without_the_keys_leaves_what_is_encrypted(setup: Setup) {
    let (with, without) = (with_ring(&setup, Keyring::new(1, [1; 32])), setup.cache());
    assert_eq!(computed([&with, &without]).await, [1, each_time(&setup)]);
    assert_eq!(setup.stored("pages", "1").unwrap()[7], 0b1000);
}

/// What the one without keys has stored is overwritten once.
async fn encryption_wins_whoever_comes_first(setup: Setup) {
    let (with, without) = (with_ring(&setup, Keyring::new(1, [1; 32])), setup.cache());
    let [by_without, by_with] = computed([&without, &with]).await;
    assert_eq!(by_with, 1);
    assert!(by_without <= each_time(&setup).max(2), "{by_without}");
    assert_eq!(setup.stored("pages", "1").unwrap()[7], 0b1000);
}

async fn the_newer_key_wins_whoever_comes_first(setup: Setup) {
    let old = with_ring(&setup, Keyring::new(1, [1; 32]));
    let new = with_ring(&setup, Keyring::new(2, [2; 32]));
    let [by_old, by_new] = computed([&old, &new]).await;
    assert_eq!(by_new, 1);
    assert!(by_old <= each_time(&setup).max(2), "{by_old}");
}

async fn during_a_rotation_nothing_is_computed_by_those_who_have_both_keys(setup: Setup) {
    let old = with_ring(&setup, Keyring::new(1, [1; 32]));
    let new = with_ring(&setup, Keyring::new(2, [2; 32]).older(1, [1; 32]));
    assert_eq!(computed([&old, &new]).await, [1, 0]);
}

/// Which compression an instance writes with is nobody else's concern.
async fn every_compression_is_read_by_all(setup: Setup) {
    let with = |compression| setup.builder().compression(compression).build().unwrap();
    let (zlib, off) = (with(Compression::Zlib), with(Compression::Off));
    assert_eq!(computed([&zlib, &off]).await, [1, 0]);
    let zstd = with(Compression::Zstd);
    assert!(text(&zstd, "pages", "1").await.is_some());
    assert_eq!(setup.stored("pages", "1").unwrap()[7], 0b0010);
}

on_shared_setups!(
    one_without_the_keys_leaves_what_is_encrypted,
    encryption_wins_whoever_comes_first,
    the_newer_key_wins_whoever_comes_first,
    during_a_rotation_nothing_is_computed_by_those_who_have_both_keys,
    every_compression_is_read_by_all,
);
