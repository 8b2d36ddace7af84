//! Running it on Redis as it really is.

pub mod rights {
    #![doc = include_str!("rights.md")]
}
