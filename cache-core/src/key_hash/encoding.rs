//! The canonical encoding of whatever serde can serialize: bytes that say for themselves where
//! each value ends.
//!
//! | value | bytes (numbers: big-endian) |
//! |---|---|
//! | `None`, `Some(v)` | `N`; `O` v |
//! | unit, unit struct | `U` |
//! | `true`, `false` | `T`; `F` |
//! | integer | `i`, `+` or `-`, magnitude (16 bytes) |
//! | float | `f`, bits as a double (8 bytes) |
//! | text, character | `s`, length (8 bytes), UTF-8 |
//! | bytes | `b`, length (8 bytes), bytes |
//! | sequence, tuple | `[`, number (8 bytes), elements |
//! | the same in `AnyOrder` | `*`, number (8 bytes), elements, in the order of their encodings |
//! | map, struct | `{`, number (8 bytes), keys and values, in the order of the keys' encodings |
//! | variant | `v`, length of the name (8 bytes), name, content (`U` if there is none) |

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer, ser};

use super::error;
use super::items::{Items, Kind};
use crate::error::Error;

/// The name under which `AnyOrder` makes itself known; no type in Rust can be called so.
pub(super) const ANY_ORDER: &str = "$cache_core::AnyOrder";

/// Deeper values would be a danger to the stack.
const MAX_DEPTH: u8 = 128;

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let encoder = Encoder { out: &mut out, room: MAX_DEPTH, any_order: false };
    value.serialize(encoder).map_err(|Refused(why)| error(why))?;
    Ok(out)
}

/// As a struct with these fields, each of which is encoded already.
pub(super) fn encode_fields(fields: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut entries: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let mut entry = Vec::new();
            push_text(name, &mut entry);
            entry.extend_from_slice(value);
            entry
        })
        .collect();
    entries.sort_unstable();
    let mut out = vec![b'{'];
    push_length(entries.len(), &mut out);
    out.extend(entries.into_iter().flatten());
    out
}

pub(super) fn push_text(text: &str, out: &mut Vec<u8>) {
    out.push(b's');
    push_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn push_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u64).to_be_bytes());
}

/// Why a value has no encoding. Never holds values.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    /// What a type's own `Serialize` says may hold a value.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("a value can't be serialized".to_owned())
    }
}

/// Appends the encoding of one value.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// How much deeper values may be nested.
    pub(super) room: u8,
    /// Directly within `AnyOrder`.
    pub(super) any_order: bool,
}

impl<'a> Encoder<'a> {
    /// For what is within the value that this one is for.
    fn inner(self) -> Result<Self, Refused> {
        let room = self.room.checked_sub(1);
        let room = room.ok_or_else(|| Refused("values are nested too deep".to_owned()))?;
        Ok(Self { room, ..self })
    }

    /// To be called for all that is not a sequence.
    fn single(self) -> Result<&'a mut Vec<u8>, Refused> {
        if self.any_order {
            return Err(Refused("what is in `AnyOrder` is no sequence".to_owned()));
        }
        Ok(self.out)
    }

    fn integer(self, sign: u8, magnitude: u128) -> Result<(), Refused> {
        let out = self.single()?;
        out.extend([b'i', sign]);
        out.extend_from_slice(&magnitude.to_be_bytes());
        Ok(())
    }

    fn variant(self, name: &str) -> Result<Self, Refused> {
        let room = self.room;
        let out = self.single()?;
        out.push(b'v');
        push_length(name.len(), out);
        out.extend_from_slice(name.as_bytes());
        Encoder { out, room, any_order: false }.inner()
    }

    fn sequence(self) -> Result<Items<'a>, Refused> {
        let kind = if self.any_order { Kind::AnyOrder } else { Kind::Sequence };
        self.items(kind)
    }

    fn entries(self) -> Result<Items<'a>, Refused> {
        let Encoder { room, .. } = self;
        let out = self.single()?;
        Encoder { out, room, any_order: false }.items(Kind::Map)
    }

    fn items(self, kind: Kind) -> Result<Items<'a>, Refused> {
        let Encoder { out, room, .. } = self.inner()?;
        Ok(Items::new(out, room, kind))
    }
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Items<'a>;
    type SerializeStruct = Items<'a>;
    type SerializeStructVariant = Items<'a>;

    fn serialize_bool(self, v: bool) -> Result<(), Refused> {
        self.single()?.push(if v { b'T' } else { b'F' });
        Ok(())
    }

    fn serialize_i8(self, v: i8) -> Result<(), Refused> {
        self.serialize_i128(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<(), Refused> {
        self.serialize_i128(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<(), Refused> {
        self.serialize_i128(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<(), Refused> {
        self.serialize_i128(v.into())
    }

    fn serialize_i128(self, v: i128) -> Result<(), Refused> {
        self.integer(if v < 0 { b'-' } else { b'+' }, v.unsigned_abs())
    }

    fn serialize_u8(self, v: u8) -> Result<(), Refused> {
        self.serialize_u128(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<(), Refused> {
        self.serialize_u128(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<(), Refused> {
        self.serialize_u128(v.into())
    }

    fn serialize_u64(self, v: u64) -> Result<(), Refused> {
        self.serialize_u128(v.into())
    }

    fn serialize_u128(self, v: u128) -> Result<(), Refused> {
        self.integer(b'+', v)
    }

    fn serialize_f32(self, v: f32) -> Result<(), Refused> {
        self.serialize_f64(v.into())
    }

    fn serialize_f64(self, v: f64) -> Result<(), Refused> {
        // One form of each number: signs of zeros and the bits of NaNs mean nothing.
        let v = if v.is_nan() { CANONICAL_NAN } else { (v + 0.0).to_bits() };
        let out = self.single()?;
        out.push(b'f');
        out.extend_from_slice(&v.to_be_bytes());
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result<(), Refused> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result<(), Refused> {
        push_text(v, self.single()?);
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<(), Refused> {
        let out = self.single()?;
        out.push(b'b');
        push_length(v.len(), out);
        out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.out.push(b'N');
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        let inner = self.inner()?;
        inner.out.push(b'O');
        value.serialize(inner)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.single()?.push(b'U');
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.variant(variant)?.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        let any_order = self.any_order || name == ANY_ORDER;
        value.serialize(Encoder { any_order, ..self.inner()? })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self.variant(variant)?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Refused> {
        self.sequence()
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Refused> {
        self.sequence()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        self.sequence()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        self.variant(variant)?.sequence()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items<'a>, Refused> {
        self.entries()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Refused> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Refused> {
        self.variant(variant)?.entries()
    }
}

const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;
