//! Sequences and maps, element by element.

use std::ops::Range;

use serde::{Serialize, ser};

use super::encoding::{Encoder, Refused, push_length};

/// The kind and the number of what follows.
const HEADER: usize = 1 + 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sequence,
    AnyOrder,
    Map,
}

/// The elements of a sequence or the entries of a map, while they arrive.
#[derive(Debug)]
pub(super) struct Items<'a> {
    out: &'a mut Vec<u8>,
    room: u8,
    kind: Kind,
    /// Where the header begins, whose number is known at the end.
    header: usize,
    count: usize,
    /// Where each is, and how much of it is its key, if order does not matter.
    places: Vec<(Range<usize>, usize)>,
    /// Of the entry whose value is still to come.
    key: Range<usize>,
}

impl<'a> Items<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, room: u8, kind: Kind) -> Self {
        let header = out.len();
        out.resize(header + HEADER, 0);
        Self { out, room, kind, header, count: 0, places: Vec::new(), key: 0..0 }
    }

    fn append<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Range<usize>, Refused> {
        let begin = self.out.len();
        value.serialize(Encoder { out: self.out, room: self.room, any_order: false })?;
        Ok(begin..self.out.len())
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let place = self.append(value)?;
        self.count += 1;
        if self.kind == Kind::AnyOrder {
            self.places.push((place, 0));
        }
        Ok(())
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key = self.append(key)?;
        Ok(())
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let place = self.append(value)?;
        self.count += 1;
        self.places.push((self.key.start..place.end, self.key.len()));
        Ok(())
    }

    fn finish(self) -> Result<(), Refused> {
        let mut header = vec![match self.kind {
            Kind::Sequence => b'[',
            Kind::AnyOrder => b'*',
            Kind::Map => b'{',
        }];
        push_length(self.count, &mut header);
        if self.kind != Kind::Sequence {
            let sorted = self.sorted()?;
            self.out.truncate(self.header + HEADER);
            self.out.extend_from_slice(&sorted);
        }
        self.out.splice(self.header..self.header + HEADER, header);
        Ok(())
    }

    /// The elements or entries, in the order of their encodings.
    fn sorted(&self) -> Result<Vec<u8>, Refused> {
        let split = |(place, key): &(Range<usize>, usize)| {
            self.out.get(place.clone())?.split_at_checked(*key)
        };
        let mut sorted: Vec<(&[u8], &[u8])> = self.places.iter().filter_map(split).collect();
        // Keys say for themselves where they end: entries are in the order of their keys.
        sorted.sort_unstable();
        let twice = |pair: &[(&[u8], &[u8])]| matches!(pair, [(a, _), (b, _)] if a == b);
        if self.kind == Kind::Map && sorted.windows(2).any(twice) {
            return Err(Refused("a map has one key twice".to_owned()));
        }
        Ok(sorted.into_iter().flat_map(|(key, value)| [key, value]).flatten().copied().collect())
    }
}

/// The traits by which serde hands over elements, which all mean the same here.
macro_rules! elements {
    ($($compound:ident: $method:ident),*) => { $(
        impl ser::$compound for Items<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.element(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish()
            }
        }
    )* };
}

elements! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
}

/// As `elements`, for named fields.
macro_rules! fields {
    ($($compound:ident),*) => { $(
        impl ser::$compound for Items<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.key(name)?;
                self.value(value)
            }

            fn end(self) -> Result<(), Refused> {
                self.finish()
            }
        }
    )* };
}

fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.value(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.finish()
    }
}
