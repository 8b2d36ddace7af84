//! What is done to envelopes.

use std::ops::Range;

use fastrand::Rng;

use crate::world::LIMIT;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// One to eight bits.
    FlipBits,
    Cut,
    Longer,
    /// Random bytes in place of some.
    Overwrite,
    /// The beginning of one and the end of another.
    Splice,
    /// Another envelope altogether.
    Moved,
    /// A length or count says something else.
    Length,
    /// Kind, format or flags say something else.
    Meaning,
    /// Its payload is a bomb.
    Bomb,
    /// Nothing is left of it.
    Noise,
}

const HEADER: usize = 64;
const MEANING: Range<usize> = 4..8;
const LENGTHS: [Range<usize>; 4] = [44..48, 48..52, 52..54, 54..56];

impl Mutation {
    pub(crate) const ALL: [Self; 10] = [
        Self::FlipBits,
        Self::Cut,
        Self::Longer,
        Self::Overwrite,
        Self::Splice,
        Self::Moved,
        Self::Length,
        Self::Meaning,
        Self::Bomb,
        Self::Noise,
    ];

    pub(crate) fn any(rng: &mut Rng) -> Self {
        Self::ALL[rng.usize(..Self::ALL.len())]
    }

    /// Without a right checksum nothing would be tried but the checksum.
    pub(crate) fn needs_checksum(self) -> bool {
        matches!(self, Self::Length | Self::Meaning | Self::Bomb)
    }

    pub(crate) fn apply(
        self,
        good: &[u8],
        other: &[u8],
        bombs: &[Vec<u8>],
        rng: &mut Rng,
    ) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match self {
            Self::FlipBits => {
                for _ in 0..rng.usize(1..=8) {
                    bytes[rng.usize(..good.len())] ^= 1 << rng.u8(..8);
                }
            }
            Self::Cut => bytes.truncate(rng.usize(..good.len())),
            Self::Longer => bytes.extend((0..rng.usize(1..300)).map(|_| rng.u8(..))),
            Self::Overwrite => {
                let from = rng.usize(..good.len());
                let to = (from + rng.usize(1..40)).min(good.len());
                rng.fill(&mut bytes[from..to]);
            }
            Self::Splice => {
                bytes.truncate(rng.usize(..=good.len()));
                bytes.extend_from_slice(&other[rng.usize(..=other.len())..]);
            }
            Self::Moved => bytes = other.to_vec(),
            Self::Length => {
                let field = LENGTHS[rng.usize(..LENGTHS.len())].clone();
                let value = match rng.u8(..4) {
                    0 => rng.u32(..),
                    1 => u32::MAX,
                    2 => 0,
                    _ => read(&bytes[field.clone()]).wrapping_add_signed(rng.i32(-3..=3)),
                };
                let len = field.len();
                bytes[field].copy_from_slice(&value.to_le_bytes()[..len]);
            }
            Self::Meaning => {
                let at = rng.usize(MEANING);
                bytes[at] = if rng.bool() { rng.u8(..16) } else { rng.u8(..) };
            }
            Self::Bomb => {
                let bomb = &bombs[rng.usize(..bombs.len())];
                let payload = read(&good[LENGTHS[0].clone()]) as usize;
                bytes.truncate(good.len() - payload);
                bytes.extend_from_slice(&bomb[1..]);
                let length = u32::try_from(bomb.len() - 1).expect("short");
                bytes[LENGTHS[0].clone()].copy_from_slice(&length.to_le_bytes());
                bytes[7] = bomb[0] | if rng.u8(..8) == 0 { 0b1000 } else { 0 };
            }
            Self::Noise => rng.fill(&mut bytes),
        }
        bytes
    }
}

fn read(field: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    bytes[..field.len()].copy_from_slice(field);
    u32::from_le_bytes(bytes)
}

/// Payloads of a few kilobytes that say, truly or not, how large they get: with the flags first.
pub(crate) fn bombs() -> Vec<Vec<u8>> {
    const TRUE: usize = 4 << 20;
    let zeros = vec![0; TRUE];
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut zlib, &zeros).expect("into memory");
    let zlib = zlib.finish().expect("into memory");
    let zstd = zstd::bulk::compress(&zeros, 3).expect("into memory");
    let lengths = [TRUE, LIMIT, LIMIT + 1, 0, 1, LIMIT / 2, u32::MAX as usize];
    let mut bombs = Vec::new();
    for (flags, stream) in [(0b010u8, &zlib), (0b100, &zstd), (0b100, &zlib), (0b110, &zstd)] {
        for length in lengths {
            let length = u32::try_from(length).expect("32 bits");
            bombs.push([&[flags][..], &length.to_le_bytes(), stream].concat());
        }
    }
    bombs
}

/// Makes the checksum right again.
pub(crate) fn fix_checksum(envelope: &mut [u8]) {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&envelope[..HEADER - 8]);
    hash.update(&envelope[HEADER..]);
    envelope[HEADER - 8..HEADER].copy_from_slice(&hash.digest().to_le_bytes());
}
