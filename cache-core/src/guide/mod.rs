//! Running it on Redis as it really is.

pub mod faults {
    #![doc = include_str!("faults.md")]
}

pub mod rights {
    #![doc = include_str!("rights.md")]
}
