//! Where entries are kept in a run.

/// The arrangements that every guarantee holds in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the memory of one process.
    Memory,
    /// In Redis only.
    Redis,
    /// In memory, over Redis.
    Tiered,
    /// The same, and what is kept are the responses of an application.
    Http,
}

impl Place {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Redis, Self::Tiered, Self::Http];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Tiered => "tiered",
            Self::Http => "http",
        }
    }

    /// Without Redis nothing is shared, and one process is all there is to a cache.
    pub(crate) fn processes(self) -> usize {
        if self.has_redis() { 3 } else { 1 }
    }

    pub(crate) fn has_redis(self) -> bool {
        self != Self::Memory
    }

    pub(crate) fn has_l1(self) -> bool {
        self != Self::Redis
    }
}
