//! How values are computed, and running it on Redis as it really is.

#[cfg(feature = "redis")]
pub mod cluster {
    #![doc = include_str!("cluster.md")]
}

pub mod computing {
    #![doc = include_str!("computing.md")]
}

pub mod faults {
    #![doc = include_str!("faults.md")]
}

pub mod rights {
    #![doc = include_str!("rights.md")]
}

pub mod sentinel {
    #![doc = include_str!("sentinel.md")]
}

pub mod tls {
    #![doc = include_str!("tls.md")]
}
