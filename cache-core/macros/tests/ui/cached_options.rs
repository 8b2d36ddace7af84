//! Options that are missing, unknown, or have a fault.

#![allow(unused)]

use cache_macros::cached;

struct Cache;

#[cached(namespace = "n", key = "k")]
async fn no_cache() -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "{}", skip(cache))]
async fn empty_hole(cache: &Cache) -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "k", time = "5m", skip(cache))]
async fn unknown_option(cache: &Cache) -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "k", ttl = "5 minutes", skip(cache))]
async fn odd_ttl(cache: &Cache) -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "k", ttl = 300, skip(cache))]
async fn ttl_without_unit(cache: &Cache) -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "k", skip(cache))]
fn not_async(cache: &Cache) -> u8 {
    1
}

#[cached(cache = cache, namespace = "n", key = "k", skip(cache))]
async fn no_value(cache: &Cache) {}

#[cached(cache = cache, namespace = "n", key = "k", skip(cache))]
async fn no_name(cache: &Cache) -> impl Clone {
    1
}

fn main() {}
