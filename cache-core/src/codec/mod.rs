//! Wire bytes: how an entry looks in Redis. Pure.
//!
//! - `envelope`: the versioned frame around a value, with its checksum and key binding;
//! - `format`, `raw`: how a typed value becomes bytes;
//! - `frame`, `compress`, `encrypt`: what becomes of those bytes on the way to the store.

#[cfg_attr(not(feature = "compression"), path = "compress_off.rs")]
mod compress;
#[cfg_attr(not(feature = "encryption"), path = "encrypt_off.rs")]
mod encrypt;
mod envelope;
mod format;
mod frame;
mod raw;

#[cfg(feature = "compression")]
pub use compress::Compression;
pub(crate) use compress::Compressor;
pub(crate) use encrypt::Encryptor;
#[cfg(feature = "encryption")]
pub use encrypt::Keyring;
pub use envelope::is_tombstone;
pub(crate) use envelope::{Decoded, Wrapping, WriteId, decode, encode, tombstone, write_id};
pub use format::Format;
pub(crate) use format::{from_bytes, is_nothing, nothing, to_bytes};
pub(crate) use frame::{Packed, Packing, Unreadable, cost, pack, unpack};
