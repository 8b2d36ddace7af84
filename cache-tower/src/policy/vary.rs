//! Which request headers select between the variants of a URI (RFC 9111 §4.1).
//!
//! ```text
//! let Vary::Fields(fields) = Vary::parse(&headers) else { return };   // Accept, accept-language
//! let mut key = Vec::new();
//! fields.write_key(request.headers(), Normalize::default(), &mut |bytes| key.extend_from_slice(bytes));
//! ```

use http::header::VARY;
use http::{HeaderMap, HeaderName};

use super::field::members;

mod normalize;

pub(crate) use normalize::Normalize;

/// More fields than this are as good as `*`: such a response is practically never selected again.
const MAX_FIELDS: usize = 32;

/// What a response says about how it was selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vary {
    /// By no request header.
    None,
    /// By these.
    Fields(VaryFields),
    /// By something the cache can't see (`*`), or can't read: the response matches no request.
    Any,
}

impl Vary {
    /// Reads the `Vary` lines of a response. A member that isn't a field name makes it [`Vary::Any`],
    /// and so do more than 32 fields.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        // RFC 9111 §4.1: a member "*" always fails to match; "*" is a valid token, so look first.
        let names = members(headers, &VARY).map(|member| match member {
            b"*" => None,
            name => HeaderName::from_bytes(name).ok(),
        });
        match names.collect::<Option<Vec<_>>>() {
            Some(names) if names.is_empty() => Self::None,
            Some(names) => VaryFields::new(names).map_or(Self::Any, Self::Fields),
            None => Self::Any,
        }
    }
}

/// A set of up to 32 field names, sorted. None: where variants are told apart by other things only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct VaryFields(Box<[HeaderName]>);

impl VaryFields {
    fn new(mut names: Vec<HeaderName>) -> Option<Self> {
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        (names.len() <= MAX_FIELDS).then(|| Self(names.into()))
    }

    /// The fields of both; `None` where they would be more than 32, as good as [`Vary::Any`].
    pub(crate) fn union(&self, other: &Self) -> Option<Self> {
        Self::new(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether every field of `other` is one of these.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|name| self.0.contains(name))
    }

    /// Writes these fields and what `request` has in them, piece by piece (into a hash or a buffer).
    ///
    /// The bytes are equal only for equal fields with equal lines: everything has its length before
    /// it, an absent field differs from an empty one and two lines from one that joins them. Only
    /// the white space around a line, which is not part of its value (RFC 9110 §5.5), is left out.
    /// Fields that are to be normalized are equal where they say the same.
    pub(crate) fn write_key(
        &self,
        request: &HeaderMap,
        options: Normalize,
        out: &mut impl FnMut(&[u8]),
    ) {
        write_length(self.0.len(), out);
        for name in &self.0 {
            write_bytes(name.as_str().as_bytes(), out);
            if options.covers(name)
                && let Some(found) = normalize::read(request, name)
            {
                // A number of lines that no request has: what is normalized never equals what is
                // not, as another instance may have it.
                write_length(usize::MAX, out);
                normalize::write(&found, out);
                continue;
            }
            let lines = request.get_all(name);
            write_length(lines.iter().count(), out);
            lines.iter().for_each(|line| write_bytes(line.as_bytes().trim_ascii(), out));
        }
    }

    /// Appends the wire form: the number of names in one byte, then each name with its length in
    /// two bytes, big end first, before it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        // At most 32 names of less than 64 KiB each (the limit of `HeaderName`).
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for name in &self.0 {
            let name = name.as_str().as_bytes();
            out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(name);
        }
    }

    /// Reads the wire form; `None` for anything that [`VaryFields::encode`] wouldn't have written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = bytes.split_first()?;
        let mut names = Vec::new();
        for _ in 0..*count {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (name, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into())?;
            names.push(HeaderName::from_lowercase(name).ok()?);
            rest = tail;
        }
        let fields = Self::new(names.clone())?;
        (rest.is_empty() && *fields.0 == *names).then_some(fields)
    }
}

fn write_bytes(bytes: &[u8], out: &mut impl FnMut(&[u8])) {
    write_length(bytes.len(), out);
    out(bytes);
}

fn write_length(length: usize, out: &mut impl FnMut(&[u8])) {
    out(&(length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests;
