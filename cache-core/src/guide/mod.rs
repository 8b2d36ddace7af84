//! What it takes to run a service on this cache.

#[cfg(feature = "redis")]
pub mod cluster {
    #![doc = include_str!("cluster.md")]
}
