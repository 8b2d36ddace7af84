//! Keys that don't fit the parameters.

#![allow(unused)]

use cache_macros::cached;

struct Cache;

struct Service {
    cache: Cache,
}

impl Service {
    #[cached(cache = self.cache, namespace = "n", key = "{id}")]
    async fn forgotten(&self, id: u64, page: u64, (size, _): (u64, u64)) -> u64 {
        id + page + size
    }

    #[cached(cache = self.cache, namespace = "n", key = "{id}")]
    async fn forgotten_type<T: Default + ToString>(&self, id: u64) -> String {
        T::default().to_string()
    }

    #[cached(cache = self.cache, namespace = "n", key = "{campaign}", skip(id, page))]
    async fn unknown(&self, id: u64) -> u64 {
        id
    }

    #[cached(cache = self.cache, namespace = "n", key = "{id}", skip(id, self))]
    async fn twice(&self, id: u64) -> u64 {
        id
    }

    #[cached(cache = self.cache, namespace = "n", key = "{a}-{b}")]
    async fn ambiguous(&self, a: &str, b: &str) -> u64 {
        1
    }

    #[cached(cache = self.cache, namespace = "n", key = "a:*")]
    async fn wildcard(&self) -> u64 {
        1
    }

    #[cached(cache = self.cache, namespace = "n", key = "{self.cache")]
    async fn brace(&self) -> u64 {
        1
    }

    #[cached(cache = self.cache, namespace = "n", key = "{id + 1}")]
    async fn expression(&self, id: u64) -> u64 {
        id
    }
}

#[cached(cache = cache, namespace = "n", key = "{self.id}", skip(cache))]
async fn no_receiver(cache: &Cache) -> u8 {
    1
}

fn main() {}
