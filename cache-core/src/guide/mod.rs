//! Running it on Redis as it really is.

pub mod faults {
    #![doc = include_str!("faults.md")]
}
