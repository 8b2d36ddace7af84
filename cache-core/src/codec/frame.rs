//! Payloads on the way between memory and the store: compressed, then encrypted, and back. Pure.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::compress::{Compressor, decompress, inflated};
use super::encrypt::Encryptor;
use super::envelope::{Wrapping, encode_with};
use crate::entry::Entry;

/// How the payload of an envelope was made: bits 1 to 3 of its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coding(u8);

const ENCRYPTED: u8 = 0b1000;

impl Coding {
    /// As it is.
    pub(super) const PLAIN: Self = Self(0);
    /// Its bits among the flags.
    pub(super) const MASK: u8 = 0b1110;

    fn new(compression: u8, is_encrypted: bool) -> Self {
        Self((compression << 1) & Self::MASK | if is_encrypted { ENCRYPTED } else { 0 })
    }

    pub(super) fn from_flags(flags: u8) -> Self {
        Self(flags & Self::MASK)
    }

    pub(super) fn flags(self) -> u8 {
        self.0
    }

    /// The code of the compression; zero: none.
    pub(super) fn compression(self) -> u8 {
        (self.0 >> 1) & 0b11
    }

    pub(super) fn is_encrypted(self) -> bool {
        self.0 & ENCRYPTED != 0
    }
}

/// What becomes of the payloads of a namespace on the way to the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packing {
    /// The namespace's `max_value_size`: nothing larger is inflated.
    pub(crate) limit: usize,
    pub(crate) compressor: Compressor,
    pub(crate) encryptor: Encryptor,
}

/// An envelope ready for the store.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) bytes: Bytes,
    /// The length of the payload before and after compression, if it was compressed.
    pub(crate) compressed: Option<(usize, usize)>,
}

/// Why the payload of a sound envelope can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(feature = "compression", feature = "encryption")),
    allow(dead_code, reason = "some need a feature to be found out")
)]
pub(crate) enum Unreadable {
    /// Compressed in a way that this build does not know.
    UnknownCompression,
    /// The compressed bytes are not what they say.
    NotInflated,
    /// Larger than the namespace's limit.
    TooLarge,
    /// Encrypted with a key that this instance does not have, or not yet.
    NoKey,
    /// Encrypted with a key that was dropped.
    DroppedKey,
    /// Encrypted for another place, or changed.
    NotAuthentic,
    /// Not encrypted, though all that this namespace stores is.
    NotEncrypted,
    /// There was no time to find out.
    NoTime,
}

impl Unreadable {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCompression => "compressed in an unknown way",
            Self::NotInflated => "not what it says to be uncompressed",
            Self::TooLarge => "larger than the limit",
            Self::NoKey => "encrypted with a key that is not here",
            Self::DroppedKey => "encrypted with a key that was dropped",
            Self::NotAuthentic => "not authentic",
            Self::NotEncrypted => "not encrypted",
            Self::NoTime => "not opened in time",
        }
    }

    /// Whether other instances may read it: then it is not this one's to overwrite, or two that
    /// differ would undo each other's work for ever.
    pub(crate) fn is_for_others(self) -> bool {
        matches!(self, Self::UnknownCompression | Self::NoKey | Self::NoTime)
    }
}

impl Wrapping {
    /// Whether the payload is compressed, and whether it is encrypted.
    pub(crate) fn told(&self) -> (bool, bool) {
        (self.coding.compression() != 0, self.coding.is_encrypted())
    }
}

impl Packing {
    /// Whether a payload of this length may be stored as anything but what it is.
    pub(crate) fn changes(&self, payload: usize) -> bool {
        self.encryptor.is_on() || self.compressor.takes(payload)
    }

    /// Whether there is anything to be done about what was stored so.
    pub(crate) fn concerns(&self, wrapping: Option<&Wrapping>) -> bool {
        wrapping.is_some() || self.encryptor.is_on()
    }
}

/// The bytes of an entry as its namespace wants them in the store. `None` if a part is longer than
/// its length field can say, or there is no randomness to encrypt with.
pub(crate) fn pack(entry: &Entry, packing: &Packing, key: &str) -> Option<Packed> {
    let (code, payload): (u8, Cow<'_, [u8]>) = match packing.compressor.compress(&entry.payload) {
        Some((code, compressed)) => (code, compressed.into()),
        None => (0, (&entry.payload[..]).into()),
    };
    let coding = Coding::new(code, packing.encryptor.is_on());
    let bytes = encode_with(entry, coding, payload.len(), |out| {
        if !coding.is_encrypted() {
            out.put_slice(&payload);
            return Some(());
        }
        let sealed = packing.encryptor.encrypt(&bound_to(out, key), &payload)?;
        out.put_slice(&sealed);
        Some(())
    })?;
    let compressed = (code != 0).then(|| (entry.payload.len(), payload.len()));
    Some(Packed { bytes, compressed })
}

/// The payload as it was before it was packed; `wrapping` is `None` for one that was not.
pub(crate) fn unpack(
    wrapping: Option<&Wrapping>,
    payload: &Bytes,
    packing: &Packing,
    key: &str,
) -> Result<Bytes, Unreadable> {
    let coding = wrapping.map_or(Coding::PLAIN, |wrapping| wrapping.coding);
    let payload = match wrapping {
        Some(wrapping) if coding.is_encrypted() => {
            packing.encryptor.decrypt(&wrapping.bound_to(key), payload)?
        }
        _ if packing.encryptor.is_on() => return Err(Unreadable::NotEncrypted),
        _ => payload.clone(),
    };
    match coding.compression() {
        0 => Ok(payload),
        code => decompress(code, &payload, packing.limit),
    }
}

/// About how many bytes [`unpack`] will go through.
pub(crate) fn cost(wrapping: Option<&Wrapping>, payload: &Bytes) -> usize {
    wrapping.map_or(0, |wrapping| inflated(wrapping.coding, payload))
}

/// What an encrypted payload is bound to: all of the envelope before it (with no length and no
/// checksum yet), and the key in the store.
fn bound_to(head: &BytesMut, key: &str) -> Vec<u8> {
    [head, key.as_bytes()].concat()
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
