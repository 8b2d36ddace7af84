//! Wire bytes: how an entry looks in Redis. Pure.
//!
//! - `envelope`: the versioned frame around a value, with its checksum and key binding;
//! - `format`: how a typed value becomes bytes.

mod envelope;
mod format;

pub use envelope::is_tombstone;
pub(crate) use envelope::{Decoded, WriteId, decode, encode, tombstone, write_id};
pub use format::Format;
pub(crate) use format::{from_bytes, to_bytes};
