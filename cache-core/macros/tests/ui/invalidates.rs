//! `#[invalidates]` with faults.

#![allow(unused)]

use cache_macros::invalidates;

struct Cache;

#[invalidates(cache = cache)]
async fn nothing(cache: &Cache) {}

#[invalidates(cache = cache, keys("{id}"))]
async fn no_namespace(cache: &Cache, id: u64) {}

#[invalidates(cache = cache, tags("campaign:{campaign}"))]
async fn unknown(cache: &Cache, id: u64) {}

#[invalidates(cache = cache, namespace = "n", patterns("{id}:a*"))]
async fn wildcard_in_a_segment(cache: &Cache, id: u64) {}

#[invalidates(cache = cache, namespace = "n", patterns("*:*"))]
async fn everything(cache: &Cache) {}

#[invalidates(cache = cache, namespace = "n", patterns("campaign-{id}:*"))]
async fn value_in_a_segment(cache: &Cache, id: u64) {}

#[invalidates(cache = cache, key = "a")]
async fn unknown_option(cache: &Cache) {}

fn main() {}
