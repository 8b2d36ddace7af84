//! A cache with entries of every kind, and what their keys held when they were written.

use std::sync::{Arc, LazyLock};

use cache_core::store::MemoryStore;
use cache_core::{Cache, Clock, Compression, Keyring, Namespace};
use fastrand::Rng;
use tokio::runtime::Runtime;

use crate::mutation::{Mutation, bombs, fix_checksum};
use crate::report::Counts;

/// What is larger is refused.
pub(crate) const LIMIT: usize = 48 * 1024;
/// How much a read may have allocated at once: what was stored, inflated, and the value made of it,
/// with room for the rest.
pub(crate) const MEMORY: u64 = 4 * LIMIT as u64;
const KEYS: usize = 16;
static BOMBS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(bombs);

/// Kinds of entries; each has a namespace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Tagged,
    Zlib,
    Zstd,
    Encrypted,
    ZstdEncrypted,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Plain, Self::Tagged, Self::Zlib, Self::Zstd, Self::Encrypted, Self::ZstdEncrypted];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tagged => "tagged",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
            Self::Encrypted => "encrypted",
            Self::ZstdEncrypted => "zstd-encrypted",
        }
    }

    pub(crate) fn is_encrypted(self) -> bool {
        matches!(self, Self::Encrypted | Self::ZstdEncrypted)
    }

    fn namespace(self) -> Namespace {
        let namespace = Namespace::new(self.name());
        match self {
            Self::Plain | Self::Tagged => namespace,
            Self::Zlib => namespace.compression(Compression::Zlib),
            Self::Zstd => namespace.compression(Compression::Zstd),
            Self::Encrypted => namespace.encrypted(),
            Self::ZstdEncrypted => namespace.encrypted().compression(Compression::Zstd),
        }
    }
}

/// One entry as it was written.
pub(crate) struct Original {
    kind: Kind,
    key: String,
    value: String,
    pub(crate) bytes: Vec<u8>,
}

impl Original {
    fn in_store(&self) -> String {
        format!("t:{}:v1:{}", self.kind.name(), self.key)
    }
}

pub(crate) struct World {
    runtime: Runtime,
    store: Arc<MemoryStore>,
    cache: Cache,
    originals: Vec<Original>,
    bombs: &'static [Vec<u8>],
    rng: Rng,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Clock::manual(1_700_000_000_000);
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let builder = Cache::builder().prefix("t").store(store.clone()).clock(clock).l1(false);
        let builder = builder.max_value_size(LIMIT).compression_threshold(64);
        let builder = builder.keyring(Keyring::new(2, [2; 32]).older(1, [1; 32]));
        let builder = builder.operation_budget(cache_core::minutes(10));
        let namespaces = Kind::ALL.map(Kind::namespace);
        let cache = namespaces.into_iter().fold(builder, cache_core::Builder::namespace);
        let cache = cache.build().expect("valid");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let mut world = Self {
            runtime: runtime.expect("a runtime"),
            store,
            cache,
            originals: Vec::new(),
            bombs: &BOMBS,
            rng: Rng::with_seed(seed),
        };
        for kind in Kind::ALL {
            for n in 0..KEYS {
                let original = world.written(kind, n);
                world.originals.push(original);
            }
        }
        world
    }

    /// Values of some bytes to some thousand.
    fn written(&mut self, kind: Kind, n: usize) -> Original {
        let (key, length) = (format!("key:{n}"), self.rng.usize(..20) << (n % 10));
        let word = |rng: &mut Rng| format!("{} {n} ", rng.u8(..40));
        let value: String = (0..length).map(|_| word(&mut self.rng)).collect();
        let mut set = self.cache.set(kind.name(), &*key, &value);
        if kind == Kind::Tagged {
            set = set.tag("user:1").tag(key.clone()).tag("ü");
        }
        self.runtime.block_on(async { set.await.expect("written") });
        let stored = self.store.get(&format!("t:{}:v1:{key}", kind.name())).expect("stored");
        Original { kind, key, value, bytes: stored.to_vec() }
    }

    /// Changes so many envelopes, and reads each.
    pub(crate) fn run(mut self, count: u64) -> Counts {
        let mut counts = Counts::default();
        for _ in 0..count {
            let index = self.rng.usize(..self.originals.len());
            let other = self.rng.usize(..self.originals.len());
            let (original, other) = (&self.originals[index], &self.originals[other]);
            let mutation = Mutation::any(&mut self.rng);
            let mut bytes =
                mutation.apply(&original.bytes, &other.bytes, self.bombs, &mut self.rng);
            let forged = (mutation.needs_checksum() || self.rng.u8(..4) != 0) && bytes.len() >= 64;
            if forged {
                fix_checksum(&mut bytes);
            }
            self.store.put(&original.in_store(), bytes);
            let mut found = None;
            let read = self.cache.get::<String>(original.kind.name(), &*original.key);
            let allocated = allocation_counter::measure(|| {
                found = Some(self.runtime.block_on(read));
            });
            let found = found.expect("it was run").expect("a read is never an error");
            let same = found.as_ref().map(|value| *value == original.value);
            counts.note(original.kind, mutation, forged, same, allocated.bytes_max);
        }
        counts
    }
}
