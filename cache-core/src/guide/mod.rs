//! Running it on Redis as it really is.

pub mod sentinel {
    #![doc = include_str!("sentinel.md")]
}
pub mod tls {
    #![doc = include_str!("tls.md")]
}
