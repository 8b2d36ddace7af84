//! Writing: a value that says it is bytes, or a sequence of `u8`.

use serde::Serialize;
use serde::ser::{Impossible, SerializeSeq, SerializeTuple, Serializer};

use super::NotBytes;

/// A whole value.
pub(super) struct Whole;

/// The bytes of a sequence so far.
pub(super) struct Bytes(Vec<u8>);

/// Lengths are a hint only: no more is reserved for what a type claims.
const RESERVE_AT_MOST: usize = 64 * 1024;

impl SerializeSeq for Bytes {
    type Ok = Vec<u8>;
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        self.0.push(value.serialize(One)?);
        Ok(())
    }

    fn end(self) -> Result<Vec<u8>, NotBytes> {
        Ok(self.0)
    }
}

impl SerializeTuple for Bytes {
    type Ok = Vec<u8>;
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Vec<u8>, NotBytes> {
        Ok(self.0)
    }
}

/// An element of a sequence.
struct One;

/// The methods of a serializer for what is refused.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $answer:ty;)*) => { $(
        fn $method(self, $(_: $argument),*) -> Result<$answer, NotBytes> {
            Err(NotBytes)
        }
    )* };
}

/// What neither a whole value nor an element can be.
macro_rules! refuse_all_but_bytes {
    ($ok:ty) => {
        type Ok = $ok;
        type Error = NotBytes;
        type SerializeTupleStruct = Impossible<$ok, NotBytes>;
        type SerializeTupleVariant = Impossible<$ok, NotBytes>;
        type SerializeMap = Impossible<$ok, NotBytes>;
        type SerializeStruct = Impossible<$ok, NotBytes>;
        type SerializeStructVariant = Impossible<$ok, NotBytes>;

        refuse! {
            serialize_bool(bool) -> $ok;
            serialize_i8(i8) -> $ok;
            serialize_i16(i16) -> $ok;
            serialize_i32(i32) -> $ok;
            serialize_i64(i64) -> $ok;
            serialize_u16(u16) -> $ok;
            serialize_u32(u32) -> $ok;
            serialize_u64(u64) -> $ok;
            serialize_f32(f32) -> $ok;
            serialize_f64(f64) -> $ok;
            serialize_char(char) -> $ok;
            serialize_str(&str) -> $ok;
            serialize_none() -> $ok;
            serialize_unit() -> $ok;
            serialize_unit_struct(&'static str) -> $ok;
            serialize_unit_variant(&'static str, u32, &'static str) -> $ok;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeTupleVariant;
            serialize_map(Option<usize>) -> Self::SerializeMap;
            serialize_struct(&'static str, usize) -> Self::SerializeStruct;
            serialize_struct_variant(&'static str, u32, &'static str, usize)
                -> Self::SerializeStructVariant;
        }

        fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<$ok, NotBytes> {
            Err(NotBytes)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<$ok, NotBytes> {
            Err(NotBytes)
        }
    };
}

impl Serializer for Whole {
    type SerializeSeq = Bytes;
    type SerializeTuple = Bytes;

    refuse_all_but_bytes!(Vec<u8>);

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Vec<u8>, NotBytes> {
        Ok(bytes.to_vec())
    }

    fn serialize_u8(self, _: u8) -> Result<Vec<u8>, NotBytes> {
        Err(NotBytes)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, NotBytes> {
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Bytes, NotBytes> {
        Ok(Bytes(Vec::with_capacity(len.unwrap_or(0).min(RESERVE_AT_MOST))))
    }

    fn serialize_tuple(self, len: usize) -> Result<Bytes, NotBytes> {
        self.serialize_seq(Some(len))
    }
}

impl Serializer for One {
    type SerializeSeq = Impossible<u8, NotBytes>;
    type SerializeTuple = Impossible<u8, NotBytes>;

    refuse_all_but_bytes!(u8);

    refuse! {
        serialize_bytes(&[u8]) -> u8;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
    }

    fn serialize_u8(self, byte: u8) -> Result<u8, NotBytes> {
        Ok(byte)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NotBytes> {
        Err(NotBytes)
    }
}
