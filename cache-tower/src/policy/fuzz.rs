//! Fuzz targets for everything that is parsed: directives, structured fields, groups, `Vary`,
//! ranges, entity tags (stored responses have theirs in `stored_fuzz.rs`).
//!
//! They start from values that mean something and change them a little, since near misses reach
//! further into a parser than noise does; and each checks more than that nothing panics. They run
//! with the other unit tests, for a few hundred cases each. For longer, on stable Rust too:
//!
//! ```console
//! $ PROPTEST_CASES=200000 cargo test --release -p cache-tower --lib fuzz
//! ```
//!
//! A case that fails is made as small as it gets, printed, and tried first from then on.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

mod directives;
mod groups;
mod range;
mod structured;
mod tags;
mod vary;

/// What is put in where nothing better is known: what the grammars are made of, and what breaks
/// them.
const PIECES: [&[u8]; 30] = [
    b"\"",
    b"\"",
    b"\\",
    b",",
    b",",
    b", ",
    b";",
    b"=",
    b"=",
    b"-",
    b"/",
    b"*",
    b" ",
    b"\t",
    b"W/",
    b"w/",
    b"?1",
    b"?0",
    b"(",
    b")",
    b":",
    b"@",
    b"%\"",
    b".",
    b"0",
    b"9",
    b"2147483649",
    b"18446744073709551616",
    b"\xff",
    b"\xc3\xa9",
];

/// A small change of some bytes.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// One is another.
    Set(Index, u8),
    /// More come in between.
    Insert(Index, Vec<u8>),
    /// Some are missing.
    Remove(Index, usize),
    /// Some are somewhere else too.
    Repeat(Index, usize, Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let places = bytes.len() + 1;
        match self {
            Self::Set(at, byte) => {
                if let Some(old) = bytes.get_mut(at.index(places)) {
                    *old = *byte;
                }
            }
            Self::Insert(at, new) => {
                let at = at.index(places);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(from, count) => {
                let from = from.index(places);
                bytes.drain(from..bytes.len().min(from + count));
            }
            Self::Repeat(from, count, to) => {
                let (from, to) = (from.index(places), to.index(places));
                let again = bytes[from..bytes.len().min(from + count)].to_vec();
                bytes.splice(to..to, again);
            }
        }
    }
}

/// Makes all the changes.
pub(crate) fn apply(edits: &[Edit], bytes: &mut Vec<u8>) {
    for edit in edits {
        edit.apply(bytes);
    }
}

/// Up to so many changes.
pub(crate) fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let piece = prop_oneof![
        4 => select(&PIECES[..]).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
    ];
    let edit = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), 1..8_usize).prop_map(|(from, count)| Edit::Remove(from, count)),
        (any::<Index>(), 1..24_usize, any::<Index>())
            .prop_map(|(from, count, to)| Edit::Repeat(from, count, to)),
    ];
    vec(edit, 0..=most)
}

/// A field value made from one of these.
fn value(seeds: &'static [&'static str]) -> impl Strategy<Value = HeaderValue> {
    (select(seeds), edits(6)).prop_map(|(seed, edits)| {
        let mut bytes = seed.as_bytes().to_vec();
        apply(&edits, &mut bytes);
        bytes.retain(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
        HeaderValue::from_bytes(&bytes).unwrap()
    })
}

/// A few lines of a field.
fn lines(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<HeaderValue>> {
    vec(value(seeds), 0..4)
}

/// These lines, and nothing else.
fn headers<'v>(name: &HeaderName, lines: impl IntoIterator<Item = &'v HeaderValue>) -> HeaderMap {
    lines.into_iter().map(|line| (name.clone(), line.clone())).collect()
}
