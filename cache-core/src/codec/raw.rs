//! The raw format: what serde calls bytes, or a sequence of `u8`, is taken as it is. Everything
//! else is an error, so that bytes are never read as what they are not.

mod read;
mod write;

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// The value, or the type asked for, is not bytes.
#[derive(Debug, thiserror::Error)]
#[error("not bytes")]
pub(super) struct NotBytes;

impl serde::ser::Error for NotBytes {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl serde::de::Error for NotBytes {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

pub(super) fn to_bytes<V: Serialize + ?Sized>(value: &V) -> Result<Bytes, NotBytes> {
    value.serialize(write::Whole).map(Bytes::from)
}

pub(super) fn from_bytes<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, NotBytes> {
    V::deserialize(read::Whole(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Page(Bytes);

    fn round<V: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &V) {
        assert_eq!(from_bytes::<V>(&to_bytes(value).unwrap()).unwrap(), *value);
    }

    #[test]
    fn bytes_come_back() {
        for bytes in [&b""[..], b"a", b"\x00\xff\x80"] {
            round(&Bytes::from_static(bytes));
            round(&bytes.to_vec());
            assert_eq!(to_bytes(bytes).unwrap(), bytes);
            assert_eq!(to_bytes(&bytes.to_vec()).unwrap(), bytes);
        }
        round(&[1u8, 2, 3]);
        round(&Page(Bytes::from_static(b"<p>")));
        assert!(from_bytes::<[u8; 2]>(b"abc").is_err(), "and not a part of them");
    }

    #[test]
    fn nothing_else_is_written() {
        assert!(to_bytes("text").is_err() && to_bytes(&1u8).is_err() && to_bytes(&()).is_err());
        assert!(to_bytes(&vec![1u16]).is_err() && to_bytes(&Some(Bytes::new())).is_err());
        assert!(to_bytes(&vec!["a"]).is_err() && to_bytes(&vec![vec![1u8]]).is_err());
        assert!(to_bytes(&(1u8, 2u16)).is_err() && to_bytes(&'x').is_err());
        assert!(to_bytes(&std::collections::BTreeMap::from([(1u8, 2u8)])).is_err());
    }

    #[test]
    fn nothing_else_is_read() {
        for bytes in [&b"\xa1a"[..], b"\"a\"", b"1", b"\x01\x00"] {
            assert!(from_bytes::<String>(bytes).is_err() && from_bytes::<u64>(bytes).is_err());
            assert!(from_bytes::<Vec<u16>>(bytes).is_err() && from_bytes::<()>(bytes).is_err());
            assert!(from_bytes::<serde_json::Value>(bytes).is_err());
            assert!(from_bytes::<Option<Bytes>>(bytes).is_err());
        }
    }
}
