//! The setups that operations are tested on, and small helpers.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cache_core::store::MemoryStore;
use cache_core::{Builder, Cache, Clock, Invalidated, Key, RedisOptions, seconds};
use cache_tests::{RedisCluster, RedisServer, eventually};

/// The server of all tests that do not harm it; each has a prefix of its own there.
pub(crate) fn shared_redis() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    &SERVER
}

/// The cluster of all tests that do not harm it.
pub(crate) fn shared_cluster() -> &'static RedisCluster {
    static CLUSTER: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);
    &CLUSTER
}

/// A prefix that no other test has.
pub(crate) fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) const START: u64 = 1_700_000_000_000;

#[derive(Debug, Clone)]
enum Place {
    Memory,
    Redis,
    Tiered,
    /// In memory over a Redis Cluster.
    Cluster,
    /// Tiered, over a store in memory: several caches share it as they share a Redis.
    Shared(Arc<MemoryStore>),
}

/// Where entries are kept in one run of a test.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) prefix: String,
    pub(crate) clock: Clock,
    place: Place,
    deaf: bool,
    /// Of Redis; `None`: the one who may do all.
    user: Option<&'static str>,
}

impl Setup {
    fn new(place: Place, clock: Clock) -> Self {
        Self { prefix: unique_prefix(), clock, place, deaf: false, user: None }
    }

    /// In this process' memory only.
    pub(crate) fn memory() -> Self {
        Self::new(Place::Memory, Clock::manual(START))
    }

    /// In Redis only.
    pub(crate) fn redis() -> Self {
        Self::new(Place::Redis, Clock::manual(START))
    }

    /// In memory over Redis.
    pub(crate) fn tiered() -> Self {
        Self::new(Place::Tiered, Clock::manual(START))
    }

    /// In Redis, as a user who may run no scripts.
    pub(crate) fn unscripted() -> Self {
        Self { user: Some(crate::rights::UNSCRIPTED), ..Self::redis() }
    }

    /// In Redis, as a user who may read and write, and nothing else.
    pub(crate) fn least() -> Self {
        Self { user: Some(crate::rights::LEAST), ..Self::redis() }
    }

    /// In memory over a Redis Cluster.
    pub(crate) fn cluster() -> Self {
        Self::new(Place::Cluster, Clock::manual(START))
    }

    /// In memory over a store in memory.
    pub(crate) fn shared() -> Self {
        let clock = Clock::manual(START);
        Self::new(Place::Shared(Arc::new(MemoryStore::new(clock.clone()))), clock)
    }

    /// As where the store tells nothing: what others change, L1 learns when its short TTL has
    /// passed on the clock.
    pub(crate) fn deaf(self) -> Self {
        Self { deaf: true, ..self }
    }

    /// To build a cache here; several on one setup share the store. The budget is generous: a
    /// busy machine is no fault.
    pub(crate) fn builder(&self) -> Builder {
        let builder = Cache::builder()
            .prefix(&self.prefix)
            .clock(self.clock.clone())
            .coherence(!self.deaf)
            .operation_budget(seconds(10));
        match &self.place {
            Place::Memory => builder.memory(),
            Place::Redis => builder.l1(false).redis(match self.user {
                Some(user) => crate::rights::shared_as(user),
                None => options(&shared_redis().url()),
            }),
            Place::Tiered => builder.redis(options(&shared_redis().url())),
            Place::Cluster => builder.redis(nodes(shared_cluster())),
            Place::Shared(store) => builder.store(store.clone()),
        }
    }

    pub(crate) fn cache(&self) -> Cache {
        self.builder().build().unwrap()
    }

    /// What the store holds under a key of a namespace; `None` where there is no store.
    pub(crate) fn stored(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        let key = format!("{}:{namespace}:v1:{key}", self.prefix);
        match &self.place {
            Place::Memory => None,
            Place::Redis | Place::Tiered => shared_redis().get(&key),
            Place::Cluster => shared_cluster().get(&key),
            Place::Shared(store) => store.get(&key).map(Vec::from),
        }
    }

    /// Puts bytes into the store, past the cache.
    pub(crate) fn put(&self, namespace: &str, key: &str, bytes: &[u8]) {
        let key = format!("{}:{namespace}:v1:{key}", self.prefix);
        match &self.place {
            Place::Memory => panic!("no store"),
            Place::Redis | Place::Tiered => {
                let put = shared_redis().command_bytes(&[b"SET", key.as_bytes(), bytes]);
                assert!(!put.is_error());
            }
            Place::Cluster => {
                let put = [&b"SET"[..], key.as_bytes(), bytes];
                assert!(!shared_cluster().command_bytes_at(&key, &put).is_error());
            }
            Place::Shared(store) => store.put(&key, bytes.to_vec()),
        }
    }

    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.place, Place::Memory)
    }

    pub(crate) fn is_on_redis(&self) -> bool {
        matches!(self.place, Place::Redis | Place::Tiered)
    }

    pub(crate) fn has_l1(&self) -> bool {
        !matches!(self.place, Place::Redis)
    }
}

pub(crate) fn options(url: &str) -> RedisOptions {
    RedisOptions::url(url).unwrap()
}

/// The nodes of a cluster.
pub(crate) fn nodes(cluster: &RedisCluster) -> RedisOptions {
    RedisOptions::cluster(cluster.nodes()).unwrap()
}

/// A cache on this server, with a generous budget.
pub(crate) fn on(redis: &RedisServer) -> Builder {
    at(&redis.url())
}

/// A cache at this URL, with a generous budget.
pub(crate) fn at(url: &str) -> Builder {
    Cache::builder().prefix("coldcopy").redis(options(url)).operation_budget(seconds(10))
}

/// Makes the checksum of a changed envelope right again.
pub(crate) fn fix_checksum(envelope: &mut [u8]) {
    let rest = [&envelope[..56], &envelope[64..]].concat();
    envelope[56..64].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(&rest).to_le_bytes());
}

/// Waits until no write is under way.
pub(crate) async fn settled(cache: &Cache) {
    eventually(PATIENCE, "background writes end", || cache.background().running() == 0).await;
}

/// For what takes milliseconds, on a machine that does other things too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the cache holds under a key, as text.
pub(crate) async fn text(cache: &Cache, namespace: &str, key: &str) -> Option<String> {
    cache.get(namespace, key).await.unwrap()
}

/// Deletes a key everywhere.
pub(crate) async fn delete(cache: &Cache, namespace: &str, key: impl Into<Key>) {
    assert_eq!(cache.delete(namespace, key).await.unwrap(), Invalidated::Complete);
}

/// `get_or_compute` of a text that is ready at once.
pub(crate) async fn fill(cache: &Cache, namespace: &str, key: &str, value: &str) -> String {
    let compute = async || Ok::<_, std::io::Error>(value.to_owned());
    cache.get_or_compute(namespace, key, compute).await.unwrap()
}

/// Waits until so many reads of a namespace have found nothing.
pub(crate) async fn missed(cache: &Cache, namespace: &str, count: u64) {
    eventually(PATIENCE, "callers come", || {
        cache.stats().namespaces.get(namespace).is_some_and(|counted| counted.misses >= count)
    })
    .await;
}

/// Waits for a task, but not for ever.
pub(crate) async fn join<T>(task: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, task).await.expect("the task ends").expect("no panic")
}

/// The kind of an error.
pub(crate) fn kind<T: Debug>(result: Result<T, cache_core::Error>) -> cache_core::ErrorKind {
    result.expect_err("an error").kind()
}

/// Runs each function as a test of its own on every kind of setup.
macro_rules! on_every_setup {
    (and on a cluster: $($name:ident),* $(,)?) => {
        crate::setup::on_every_setup!($($name),*);
        mod on_a_cluster { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::cluster()).await; }
        )* }
    };
    ($($name:ident),* $(,)?) => {
        mod in_memory { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::memory()).await; }
        )* }
        mod on_redis { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::redis()).await; }
        )* }
        mod tiered { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::tiered()).await; }
        )* }
    };
}

/// As `on_every_setup`, where several caches share a store.
macro_rules! on_shared_setups {
    (and on a cluster: $($name:ident),* $(,)?) => {
        crate::setup::on_shared_setups!($($name),*);
        mod shared_on_a_cluster { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::cluster()).await; }
        )* }
    };
    ($($name:ident),* $(,)?) => {
        mod shared_on_redis { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::redis()).await; }
        )* }
        mod shared_tiered { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::tiered()).await; }
        )* }
        mod shared_in_memory { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::shared()).await; }
        )* }
    };
}

/// Also as users who may do less: without scripts, and with neither scripts nor transactions.
macro_rules! on_restricted_setups {
    ($($name:ident),* $(,)?) => {
        mod unscripted { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::unscripted()).await; }
        )* }
        mod least { $(
            #[tokio::test]
            async fn $name() { super::$name(crate::setup::Setup::least()).await; }
        )* }
    };
}

pub(crate) use {on_every_setup, on_restricted_setups, on_shared_setups};
