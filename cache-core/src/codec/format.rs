//! How typed values become bytes.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind};

/// The encoding of a value inside its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Bytes that the caller made sense of.
    Raw,
    /// MessagePack with named fields, so that a field may be added to a struct.
    MessagePack,
}

impl Format {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::MessagePack => 1,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::MessagePack),
            _ => None,
        }
    }
}

/// Serializes a typed value.
pub(crate) fn to_bytes<V: Serialize + ?Sized>(value: &V) -> Result<Bytes, Error> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|e| Error::new(ErrorKind::Encode, "the value can't be serialized").with_source(e))
}

/// Reads a typed value; `None` if the bytes are something else.
pub(crate) fn from_bytes<V: DeserializeOwned>(format: Format, bytes: &[u8]) -> Option<V> {
    match format {
        Format::MessagePack => rmp_serde::from_slice(bytes).ok(),
        Format::Raw => None,
    }
}
