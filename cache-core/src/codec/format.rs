//! How typed values become bytes.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::raw;
use crate::error::{Error, ErrorKind};

/// The encoding of a namespace's values: [`Namespace::format`](crate::Namespace::format).
///
/// Each entry says which one it is in, and is read by that: what was stored before a namespace got
/// another format is still read.
///
/// ```
/// use bytes::Bytes;
/// use cache_core::{Cache, ErrorKind, Format, Namespace};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder()
///     .namespace(Namespace::new("rates").format(Format::Json))
///     .namespace(Namespace::new("thumbnails").format(Format::Raw))
///     .build()?;
///
/// cache.set("rates", "EUR", &1.08).await?;
/// cache.set("thumbnails", "7", &Bytes::from_static(b"\x89PNG")).await?;
/// assert_eq!(cache.get::<Bytes>("thumbnails", "7").await?.as_deref(), Some(&b"\x89PNG"[..]));
///
/// // Anything but bytes has no place there, and is never made of them.
/// let refused = cache.set("thumbnails", "8", "a text").await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Encode);
/// assert_eq!(cache.get::<String>("thumbnails", "7").await?, None);
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// The bytes that the caller gives: values are `bytes::Bytes`, `Vec<u8>` or the like. Any other
    /// type is refused by a write and a miss to a read. (`Vec<u8>` goes byte by byte: prefer
    /// `Bytes`.)
    Raw,
    /// MessagePack with named fields, so that a field may be added to a struct. The default.
    #[default]
    MessagePack,
    /// JSON, for people who look into Redis and for services in other languages. Larger and slower;
    /// bytes become lists of numbers, and what is not finite among numbers does not come back.
    Json,
}

impl Format {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::MessagePack => 1,
            Self::Json => 2,
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            _ => None,
        }
    }
}

/// Serializes a typed value. However large, it is done where it is called: a value that is only
/// borrowed can't go to another thread.
pub(crate) fn to_bytes<V: Serialize + ?Sized>(format: Format, value: &V) -> Result<Bytes, Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Encode, "the value can't be serialized").with_source(source)
    };
    match format {
        Format::MessagePack => {
            rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|e| failed(e.into()))
        }
        Format::Json => serde_json::to_vec(value).map(Bytes::from).map_err(|e| failed(e.into())),
        Format::Raw => raw::to_bytes(value).map_err(|e| {
            Error::new(
                ErrorKind::Encode,
                "the namespace holds raw bytes, and the value is not that",
            )
            .with_source(e)
        }),
    }
}

/// Reads a typed value; `None` if the bytes are something else.
pub(crate) fn from_bytes<V: DeserializeOwned>(format: Format, bytes: &[u8]) -> Option<V> {
    match format {
        Format::MessagePack => rmp_serde::from_slice(bytes).ok(),
        Format::Json => serde_json::from_slice(bytes).ok(),
        Format::Raw => raw::from_bytes(bytes).ok(),
    }
}

/// Whether a serialized value says that there is nothing.
pub(crate) fn is_nothing(format: Format, payload: &[u8]) -> bool {
    const NIL: &[u8] = &[0xC0];
    match format {
        Format::MessagePack => payload == NIL,
        Format::Json => payload == b"null",
        Format::Raw => false,
    }
}

/// What says that there is nothing.
///
/// # Errors
/// If the format has no such value.
pub(crate) fn nothing(format: Format) -> Result<Bytes, Error> {
    to_bytes(format, &())
}
