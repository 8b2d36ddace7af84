//! Reading: bytes for a type that asks for bytes, or for a sequence of `u8`.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::NotBytes;

/// All of the bytes.
pub(super) struct Whole<'b>(pub(super) &'b [u8]);

impl<'de> Deserializer<'de> for Whole<'de> {
    type Error = NotBytes;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotBytes> {
        Err(NotBytes)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_bytes(self.0)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_byte_buf(self.0.to_vec())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        let mut rest = Rest(self.0);
        let value = visitor.visit_seq(&mut rest)?;
        if rest.0.is_empty() { Ok(value) } else { Err(NotBytes) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, NotBytes> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotBytes> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string option unit
        unit_struct tuple_struct map struct enum identifier ignored_any
    }
}

/// The bytes that are left.
struct Rest<'b>(&'b [u8]);

impl<'de> SeqAccess<'de> for Rest<'de> {
    type Error = NotBytes;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NotBytes> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(None) };
        self.0 = rest;
        seed.deserialize(One(*first)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// One byte, for nothing but a `u8`.
struct One(u8);

impl<'de> Deserializer<'de> for One {
    type Error = NotBytes;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotBytes> {
        Err(NotBytes)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_u8(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}
