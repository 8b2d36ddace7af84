//! Stable digests of structured input, to be segments of keys: a prompt with its model and
//! parameters, the filters of a search. Pure.
//!
//! ```
//! use cache_core::{AnyOrder, Key, KeyHash};
//! use serde::Serialize;
//!
//! #[derive(Serialize)]
//! struct Params { temperature: f32, max_tokens: Option<u32> }
//!
//! let params = Params { temperature: 0.2, max_tokens: None };
//! let digest = KeyHash::new("completion")
//!     .field("model", "large")
//!     .field("prompt", "Say hello")
//!     .field("params", &params)
//!     .field("filters", &AnyOrder(["new", "paid"]))
//!     .finish()?;
//! assert_eq!(digest.len(), 48);
//! let key = Key::workspace("ws1").segment(digest);
//! # Ok::<(), cache_core::Error>(())
//! ```
//!
//! # What is equal to what
//!
//! The input is encoded first, in a way that is injective up to the rows below: each value with
//! its kind and its length, so that nothing in one value can look like the border to the next.
//! The encoding is then hashed together with what it is for (the argument of [`KeyHash::new`]).
//! Neither depends on the machine, the width of its pointers, the order of its bytes or the release
//! of this crate: digests are part of the stored format, and change with its major version only.
//!
//! | these are equal | these are not |
//! |---|---|
//! | fields, struct fields and map entries in any order | elements of a sequence in another order, unless within [`AnyOrder`] |
//! | a struct and a map with its fields' names as keys; structs of different names | a map with the key `1` and one with the key `"1"` |
//! | integers of one value, whatever their type: `1u8`, `1i64` | `1` and `1.0`; `1` and `true`; `1` and `"1"` |
//! | `0.0` and `-0.0`; all NaNs; `0.5f32` and `0.5f64` | `0.1f32` and `0.1f64`, which are different numbers |
//! | a string and a character that is all of it | strings that look the same in different bytes: nothing is normalized, neither Unicode nor case |
//! | a sequence, a tuple, an array, a tuple struct | bytes (`serialize_bytes`) and a sequence of small integers |
//! | a newtype struct and what is in it | `Some(1)` and `1`; `Some(None)` and `None`; `None` and `()` |
//! | `()` and a unit struct | a field that is `None` and one that is missing (`skip_serializing_if`) |
//! | variants of different enums with one name and equal content | a unit variant and a string of its name; variants of different names, whatever their position |
//! | | an [`AnyOrder`] and a plain sequence; `["a"]` and `["a", "a"]`, in either |
//!
//! A `HashSet` is a sequence to serde, in an order that is another each time: put it into
//! [`AnyOrder`]. Types that serialize as text for people and as bytes for machines (addresses,
//! UUIDs) do the former.
//!
//! Nothing is left out: what serde skips is not part of the digest, everything else is.

mod encoding;
mod items;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use encoding::{ANY_ORDER, encode, encode_fields, push_text};

/// Set apart from all other uses of the hash function; its number changes with the encoding.
const CONTEXT: &[u8] = b"cache-core key hash 1\n";

/// 192 bits: nobody finds two inputs with the same digest, even who may choose both.
const DIGEST_BYTES: usize = 24;

/// Hashes structured input to a digest that is the same on every machine and in every release;
/// [this module](self) says what counts as equal.
#[derive(Debug)]
#[must_use = "nothing is hashed before `finish`"]
pub struct KeyHash {
    purpose: String,
    /// Encoded, by name. Or why there is no digest.
    fields: Result<BTreeMap<String, Vec<u8>>, Error>,
}

impl KeyHash {
    /// Starts without fields. Digests for different purposes differ, whatever the fields.
    pub fn new(purpose: impl Into<String>) -> Self {
        Self { purpose: purpose.into(), fields: Ok(BTreeMap::new()) }
    }

    /// Adds a field; in which order does not matter.
    pub fn field<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        let name = name.into();
        self.fields = self.fields.and_then(|mut fields| {
            let encoded = encode(value).map_err(|error| in_field(&name, error))?;
            if fields.contains_key(&name) {
                return Err(error(format!("the field `{name}` is there twice")));
            }
            fields.insert(name, encoded);
            Ok(fields)
        });
        self
    }

    /// The digest: 48 lower-case hexadecimal digits (192 bits).
    ///
    /// # Errors
    /// Of kind [`Encode`](ErrorKind::Encode): a name was given to two fields, a map has one key
    /// twice, something other than a sequence is in [`AnyOrder`], values are nested more than 128
    /// deep, or a type's own `Serialize` failed. The message names the field, never a value.
    pub fn finish(self) -> Result<String, Error> {
        Ok(digest(&self.purpose, &encode_fields(&self.fields?)))
    }

    /// The digest of one value. That of a struct is the same as if each of its fields had been
    /// added by [`field`](Self::field).
    ///
    /// ```
    /// use cache_core::KeyHash;
    ///
    /// let filters = [("status", "paid"), ("page", "2")];
    /// let digest = KeyHash::of("search", &filters)?;
    /// # assert_eq!(digest.len(), 48);
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn of<T: Serialize + ?Sized>(purpose: impl AsRef<str>, value: &T) -> Result<String, Error> {
        Ok(digest(purpose.as_ref(), &encode(value)?))
    }
}

fn digest(purpose: &str, encoding: &[u8]) -> String {
    let mut input = CONTEXT.to_vec();
    push_text(purpose, &mut input);
    input.extend_from_slice(encoding);
    hex(Sha256::digest(&input).iter().take(DIGEST_BYTES))
}

fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::with_capacity(2 * DIGEST_BYTES), |mut hex, byte| {
        use std::fmt::Write;
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn error(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Encode, message)
}

fn in_field(name: &str, error: Error) -> Error {
    Error::new(error.kind(), format!("the field `{name}`: {error}")).with_source(error)
}

/// A sequence whose order does not matter to a [`KeyHash`], however deep inside; how often
/// something is in it does. Serialized for anything else, it is what it holds.
///
/// ```
/// use cache_core::{AnyOrder, KeyHash, any_order};
/// use serde::Serialize;
/// use std::collections::HashSet;
///
/// # fn main() -> Result<(), cache_core::Error> {
/// let (ab, ba) = (["a", "b"], ["b", "a"]);
/// assert_eq!(KeyHash::of("tags", &AnyOrder(ab))?, KeyHash::of("tags", &AnyOrder(ba))?);
///
/// // As a field of a struct:
/// #[derive(Serialize)]
/// struct Search {
///     text: String,
///     #[serde(serialize_with = "any_order")]
///     filters: Option<HashSet<String>>,
/// }
/// # let search = Search { text: String::new(), filters: Some(HashSet::new()) };
/// # KeyHash::of("search", &search)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnyOrder<T>(
    /// A sequence, or an `Option` of one.
    pub T,
);

impl<T: Serialize> Serialize for AnyOrder<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        any_order(&self.0, serializer)
    }
}

/// [`AnyOrder`] for a field: `#[serde(serialize_with = "cache_core::any_order")]`.
pub fn any_order<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(ANY_ORDER, value)
}
