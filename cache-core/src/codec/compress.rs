//! Compression of payloads. Pure.
//!
//! A compressed payload begins with the length that it has uncompressed (u32, little-endian). It is
//! checked before anything is inflated, and nothing is ever inflated past it.

use bytes::{BufMut, Bytes};

use super::frame::{Coding, Unreadable};

/// How the values of a namespace are compressed on the way to the store:
/// [`Namespace::compression`](crate::Namespace::compression).
///
/// Only values of at least [`Builder::compression_threshold`](crate::Builder::compression_threshold)
/// bytes are, and only where that makes them smaller by a tenth or more; others are stored as they
/// are. Each entry says how it was compressed, and is read by that. In this process' memory values
/// are not compressed.
///
/// An instance that was built without the feature `compression` can't read what is compressed: to
/// it, that is a miss (counted in [`NamespaceStats::unreadable`](crate::NamespaceStats::unreadable)),
/// and it leaves the entry to those who can read it; it computes, and keeps the value in its own
/// memory. The others read what it stores.
///
/// ```
/// use cache_core::{Cache, Compression, Namespace};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache = Cache::builder()
///     .compression(Compression::Zstd)
///     .namespace(Namespace::new("exports").compression(Compression::Zlib))
///     .namespace(Namespace::new("images").compression(Compression::Off))
///     .build()?;
/// cache.set("exports", "2024", &"date,amount\n".repeat(1000)).await?;
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Values are stored as they are. The default.
    #[default]
    Off,
    /// RFC 1950, what other languages can read without more ado.
    Zlib,
    /// RFC 8878: smaller than zlib and several times as fast.
    Zstd,
}

const LENGTH: usize = 4;

impl Compression {
    /// In the flags of an envelope; 3 is nobody's yet.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Zlib => 1,
            Self::Zstd => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Zlib),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Compresses the payloads of a namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compressor {
    with: Compression,
    threshold: usize,
}

impl Compressor {
    /// For payloads of at least `threshold` bytes.
    pub(crate) fn new(with: Compression, threshold: usize) -> Self {
        Self { with, threshold }
    }

    /// Whether it tries to make a payload of this length smaller.
    pub(super) fn takes(&self, payload: usize) -> bool {
        self.with != Compression::Off && payload >= self.threshold
    }

    /// The payload compressed, and by what code; `None` if that does not pay.
    pub(super) fn compress(&self, payload: &[u8]) -> Option<(u8, Vec<u8>)> {
        if !self.takes(payload.len()) {
            return None;
        }
        Some((self.with.code(), compress(self.with, payload)?))
    }
}

fn compress(with: Compression, payload: &[u8]) -> Option<Vec<u8>> {
    // What takes more room than this is not worth the time of its readers.
    let room = (payload.len() - payload.len() / 10).checked_sub(LENGTH)?;
    let compressed = match with {
        Compression::Off => None,
        Compression::Zlib => zlib(payload, room),
        Compression::Zstd => zstd(payload, room),
    }?;
    let mut out = Vec::with_capacity(LENGTH + compressed.len());
    out.put_u32_le(u32::try_from(payload.len()).ok()?);
    out.put_slice(&compressed);
    Some(out)
}

fn zlib(payload: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(room);
    let mut stream = flate2::Compress::new(flate2::Compression::default(), true);
    let status = stream.compress_vec(payload, &mut out, flate2::FlushCompress::Finish).ok()?;
    (status == flate2::Status::StreamEnd).then_some(out)
}

fn zstd(payload: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(room);
    let mut context = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL).ok()?;
    context.compress_to_buffer(payload, &mut out).ok()?;
    Some(out)
}

/// The length that a payload says it has uncompressed.
fn declared(compressed: &[u8]) -> Option<usize> {
    let length = compressed.first_chunk::<LENGTH>()?;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

/// About how many bytes there are to be gone through to have the payload.
pub(super) fn inflated(coding: Coding, payload: &Bytes) -> usize {
    if coding.compression() == 0 {
        payload.len()
    } else if coding.is_encrypted() {
        // What it says is encrypted too.
        payload.len().saturating_mul(4)
    } else {
        declared(payload).unwrap_or_default().max(payload.len())
    }
}

/// The payload as it was, if it is not longer than `limit`.
pub(super) fn decompress(code: u8, compressed: &Bytes, limit: usize) -> Result<Bytes, Unreadable> {
    let with = Compression::from_code(code).ok_or(Unreadable::UnknownCompression)?;
    let length = declared(compressed).ok_or(Unreadable::NotInflated)?;
    if length > limit {
        return Err(Unreadable::TooLarge);
    }
    let stream = compressed.get(LENGTH..).unwrap_or_default();
    let payload = match with {
        Compression::Off => None,
        Compression::Zlib => unzlib(stream, length),
        Compression::Zstd => unzstd(stream, length),
    };
    payload.map(Bytes::from).ok_or(Unreadable::NotInflated)
}

/// Both write into the room that there is, and no more is made.
fn unzlib(stream: &[u8], length: usize) -> Option<Vec<u8>> {
    // One byte more, so that the end of the stream is found within.
    let mut out = Vec::with_capacity(length + 1);
    let mut inflate = flate2::Decompress::new(true);
    let status = inflate.decompress_vec(stream, &mut out, flate2::FlushDecompress::Finish).ok()?;
    let whole = status == flate2::Status::StreamEnd
        && inflate.total_in() == stream.len() as u64
        && out.len() == length;
    whole.then_some(out)
}

fn unzstd(stream: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let mut context = zstd::bulk::Decompressor::new().ok()?;
    context.decompress_to_buffer(stream, &mut out).ok()?;
    (out.len() == length).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Compression; 2] = [Compression::Zlib, Compression::Zstd];

    fn undo(with: Compression, compressed: &[u8], limit: usize) -> Result<Bytes, Unreadable> {
        decompress(with.code(), &Bytes::copy_from_slice(compressed), limit)
    }

    #[test]
    fn what_is_compressed_comes_back_up_to_the_limit() {
        for with in BOTH {
            for payload in [vec![7; 100], b"abc".repeat(400_000), vec![0; 2_000_000]] {
                let compressed = compress(with, &payload).unwrap();
                assert!(compressed.len() < payload.len() / 2);
                assert_eq!(declared(&compressed), Some(payload.len()));
                assert_eq!(undo(with, &compressed, payload.len()).unwrap(), payload);
                let refused = undo(with, &compressed, payload.len() - 1);
                assert_eq!(refused, Err(Unreadable::TooLarge), "{with:?}");
            }
        }
    }

    #[test]
    fn what_does_not_pay_is_not_compressed() {
        let random: Vec<u8> = (0..5000).map(|_| fastrand::u8(..)).collect();
        for with in BOTH {
            // As that which is compressed already.
            for payload in [&random, &Vec::new(), &vec![1; 12]] {
                assert_eq!(compress(with, payload), None, "{with:?} {}", payload.len());
            }
            // A fifth of it can be saved, and a twentieth can't.
            let mut some = random.clone();
            some[..1000].fill(0);
            assert!(compress(with, &some).is_some());
            some[250..].copy_from_slice(&random[250..]);
            assert_eq!(compress(with, &some), None, "{with:?}");
        }
        assert_eq!(compress(Compression::Off, &[0; 5000]), None);
    }

    #[test]
    fn a_length_that_is_not_true_is_noticed_wherever_it_lies() {
        for with in BOTH {
            let payload = b"0123456789".repeat(300);
            let good = compress(with, &payload).unwrap();
            for length in [0, 1, payload.len() - 1, payload.len() + 1, 1_000_000] {
                let mut bad = good.clone();
                bad[..LENGTH].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
                assert_eq!(
                    undo(with, &bad, 1 << 20),
                    Err(Unreadable::NotInflated),
                    "{with:?} {length}"
                );
            }
            for cut in 0..good.len() {
                assert!(undo(with, &good[..cut], 1 << 20).is_err(), "{with:?} {cut}");
            }
            let longer = [&good[..], b"x"].concat();
            assert_eq!(undo(with, &longer, 1 << 20), Err(Unreadable::NotInflated), "{with:?}");
        }
    }

    #[test]
    fn a_code_that_nobody_has_is_unknown() {
        for code in [0, 3] {
            assert_eq!(
                decompress(code, &Bytes::from_static(&[0; 40]), 100),
                Err(Unreadable::UnknownCompression)
            );
        }
    }
}
