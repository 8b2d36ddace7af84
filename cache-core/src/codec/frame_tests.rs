use smallvec::SmallVec;

use super::super::envelope::{Decoded, decode, encode};
use super::*;
use crate::codec::Format;
use crate::entry::EntryTimes;

const KEY: &str = "shop:exports:v1:2024";

fn entry(payload: &[u8]) -> Entry {
    Entry {
        id: 0x0123_4567_89AB_CDEF,
        times: EntryTimes {
            created: 1_700_000_000_000,
            fresh_until: 1_700_000_300_000,
            stale_until: 1_700_000_360_000,
        },
        schema: 7,
        format: Format::Raw,
        generations: SmallVec::new(),
        tags: vec!["user:123".into()],
        etag: None,
        identity: Bytes::from_static(b"\x07exports\x01\0\0\0\x002024"),
        payload: Bytes::copy_from_slice(payload),
    }
}

fn unpacked(bytes: &Bytes, packing: &Packing) -> Result<Entry, Unreadable> {
    let (entry, wrapping) = match decode(bytes) {
        Decoded::Value(entry) => (entry, None),
        Decoded::Packed(entry, wrapping) => (entry, Some(wrapping)),
        other => panic!("{other:?}"),
    };
    let payload = unpack(wrapping.as_ref(), &entry.payload, packing, KEY)?;
    Ok(Entry { payload, ..entry })
}

fn plain() -> Packing {
    Packing { limit: 1 << 20, ..Packing::default() }
}

#[test]
fn without_options_the_bytes_are_the_plain_ones() {
    let entry = entry(&[b'x'; 5000]);
    let packed = pack(&entry, &plain(), KEY).unwrap();
    assert_eq!(packed.bytes, encode(&entry).unwrap());
    assert_eq!(packed.compressed, None);
    assert!(!plain().changes(usize::MAX) && !plain().concerns(None));
    assert_eq!(unpacked(&packed.bytes, &plain()).unwrap(), entry);
}

/// What packed values looked like when they were first released. These files never change.
#[cfg(all(feature = "compression", feature = "encryption"))]
fn golden(name: &str) -> Bytes {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/envelope-v1/");
    std::fs::read(format!("{fixtures}{name}")).unwrap().into()
}

#[cfg(all(feature = "compression", feature = "encryption"))]
const GOLDEN: [&str; 4] = ["zlib.bin", "zstd.bin", "encrypted.bin", "zstd-encrypted.bin"];

#[cfg(all(feature = "compression", feature = "encryption"))]
mod with_both {
    use std::sync::Arc;

    use super::*;
    use crate::codec::{Compression, Keyring};

    fn packing(with: Compression, ring: impl Into<Option<Keyring>>) -> Packing {
        let ring = ring.into();
        let encrypts = ring.is_some();
        Packing {
            limit: 1 << 20,
            compressor: Compressor::new(with, 1024),
            encryptor: Encryptor::new(ring.map(Arc::new).as_ref(), encrypts),
        }
    }

    fn ring() -> Keyring {
        Keyring::new(7, *b"0123456789abcdef0123456789abcdef")
    }

    fn all() -> [Packing; 4] {
        [
            packing(Compression::Zlib, None),
            packing(Compression::Zstd, None),
            packing(Compression::Off, ring()),
            packing(Compression::Zstd, ring()),
        ]
    }

    fn text() -> Vec<u8> {
        b"date,amount\n2024-02-29,17\n".repeat(100)
    }

    #[test]
    fn golden_files_are_still_read() {
        for (name, packing) in GOLDEN.into_iter().zip(all()) {
            assert_eq!(unpacked(&golden(name), &packing).unwrap(), entry(&text()), "{name}");
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_and_says_how() {
        for (packing, flags) in all().into_iter().zip([0b0010, 0b0100, 0b1000, 0b1100]) {
            let packed = pack(&entry(&text()), &packing, KEY).unwrap();
            assert_eq!(packed.bytes[7], flags);
            assert_eq!(unpacked(&packed.bytes, &packing).unwrap(), entry(&text()));
            let compressed = packed.compressed;
            assert_eq!(compressed.is_some(), flags & 0b0110 != 0);
            assert!(compressed.is_none_or(|(before, after)| before == 2600 && after < 200));
        }
    }

    #[test]
    fn short_values_and_those_it_does_not_pay_for_are_not_compressed() {
        let packing = packing(Compression::Zstd, None);
        let noise: Vec<u8> = (0..5000).map(|_| fastrand::u8(..)).collect();
        for payload in [&[b'x'; 1023][..], &noise, b""] {
            let packed = pack(&entry(payload), &packing, KEY).unwrap();
            assert_eq!(packed.bytes, encode(&entry(payload)).unwrap());
        }
        let packed = pack(&entry(&[b'x'; 1024]), &packing, KEY).unwrap();
        assert_eq!(packed.compressed.unwrap().0, 1024);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for packing in all() {
            let good = pack(&entry(&text()), &packing, KEY).unwrap().bytes;
            for position in 0..good.len() {
                let mut bad = good.to_vec();
                bad[position] ^= 1 << (position % 8);
                assert_eq!(decode(&bad.into()), Decoded::Corrupt, "byte {position}");
                assert_eq!(decode(&good.slice(..position)), Decoded::Corrupt);
            }
        }
    }

    /// With a checksum that is right again.
    fn forged(bytes: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut bytes = bytes.to_vec();
        change(&mut bytes);
        let rest = [&bytes[..56], &bytes[64..]].concat();
        let sum = xxhash_rust::xxh3::xxh3_64(&rest).to_le_bytes();
        bytes[56..64].copy_from_slice(&sum);
        bytes.into()
    }

    #[test]
    fn nothing_that_an_encrypted_entry_says_can_be_changed() {
        for packing in [packing(Compression::Off, ring()), packing(Compression::Zstd, ring())] {
            let good = pack(&entry(&text()), &packing, KEY).unwrap().bytes;
            assert!(unpacked(&forged(&good, |_| ()), &packing).is_ok(), "the forger forges well");
            for position in 0..good.len() {
                let bad = forged(&good, |bytes| bytes[position] ^= 1 << (position % 8));
                // The checksum's own place is put right again.
                if bad == good {
                    continue;
                }
                let opened = match decode(&bad) {
                    Decoded::Value(entry) => unpack(None, &entry.payload, &packing, KEY),
                    Decoded::Packed(entry, wrapping) => {
                        unpack(Some(&wrapping), &entry.payload, &packing, KEY)
                    }
                    _ => continue,
                };
                assert!(opened.is_err(), "byte {position}");
            }
        }
    }

    #[test]
    fn what_is_encrypted_opens_under_its_own_key_only() {
        let packing = packing(Compression::Off, ring());
        let bytes = pack(&entry(b"secret"), &packing, KEY).unwrap().bytes;
        let Decoded::Packed(entry, wrapping) = decode(&bytes) else { panic!("not encrypted") };
        let under = |key| unpack(Some(&wrapping), &entry.payload, &packing, key);
        assert_eq!(under(KEY).unwrap(), &b"secret"[..]);
        assert_eq!(under("shop:exports:v1:2025"), Err(Unreadable::NotAuthentic));
    }

    #[test]
    fn keys_and_codes_that_are_not_here_are_for_others() {
        let sealed = pack(&entry(&text()), &packing(Compression::Off, ring()), KEY).unwrap().bytes;
        let with = |ring| unpacked(&sealed, &packing(Compression::Off, ring));
        assert_eq!(unpacked(&sealed, &plain()), Err(Unreadable::NoKey));
        assert_eq!(with(Keyring::new(6, [6; 32])), Err(Unreadable::NoKey));
        assert_eq!(with(Keyring::new(8, [8; 32])), Err(Unreadable::DroppedKey));
        assert_eq!(with(Keyring::new(7, [7; 32])), Err(Unreadable::NotAuthentic));
        let older = Keyring::new(8, [8; 32]).older(7, *b"0123456789abcdef0123456789abcdef");
        assert_eq!(with(older).unwrap(), entry(&text()));
        let zstd = pack(&entry(&text()), &packing(Compression::Zstd, None), KEY).unwrap().bytes;
        let future = forged(&zstd, |bytes| bytes[7] = 0b0110);
        assert_eq!(unpacked(&future, &plain()), Err(Unreadable::UnknownCompression));
        assert!(
            Unreadable::NoKey.is_for_others() && Unreadable::UnknownCompression.is_for_others()
        );
        assert!(!Unreadable::DroppedKey.is_for_others());
        assert_eq!(
            unpacked(&zstd, &plain()).unwrap(),
            entry(&text()),
            "whatever is asked for here"
        );
    }

    #[test]
    fn what_is_not_encrypted_is_refused_where_all_is() {
        for found in [plain(), packing(Compression::Zstd, None)] {
            let bytes = pack(&entry(&text()), &found, KEY).unwrap().bytes;
            let refused = unpacked(&bytes, &packing(Compression::Off, ring()));
            assert_eq!(refused, Err(Unreadable::NotEncrypted));
            assert!(!Unreadable::NotEncrypted.is_for_others());
        }
        let reads_both = Encryptor::new(Some(&Arc::new(ring())), false);
        let reads_both = Packing { encryptor: reads_both, ..plain() };
        for found in all() {
            let bytes = pack(&entry(&text()), &found, KEY).unwrap().bytes;
            assert!(unpacked(&bytes, &reads_both).is_ok());
        }
    }

    #[test]
    fn a_bomb_is_refused_by_what_it_says_and_by_what_it_does() {
        for with in [Compression::Zlib, Compression::Zstd] {
            for ring in [None, Some(ring())] {
                let packing = packing(with, ring);
                let bomb = pack(&entry(&vec![0; 4 << 20]), &packing, KEY).unwrap().bytes;
                assert!(bomb.len() < 8192);
                assert_eq!(unpacked(&bomb, &packing), Err(Unreadable::TooLarge));
            }
            let packing = packing(with, None);
            let bomb = pack(&entry(&vec![0; 4 << 20]), &packing, KEY).unwrap().bytes;
            let payload = entry(b"").tags.iter().map(|tag| 2 + tag.len()).sum::<usize>()
                + 64
                + entry(b"").identity.len();
            let lying = forged(&bomb, |bytes| {
                bytes[payload..payload + 4].copy_from_slice(&4096u32.to_le_bytes());
            });
            assert_eq!(unpacked(&lying, &packing), Err(Unreadable::NotInflated));
        }
    }
}

#[cfg(not(feature = "compression"))]
#[test]
fn without_the_feature_what_is_compressed_is_for_others() {
    let bytes = encode_with(&entry(b""), Coding::new(2, false), 4, |out| {
        out.put_slice(b"\x04\0\0\0....");
        Some(())
    });
    assert_eq!(unpacked(&bytes.unwrap(), &plain()), Err(Unreadable::UnknownCompression));
    assert!(Unreadable::UnknownCompression.is_for_others());
}

#[cfg(not(feature = "encryption"))]
#[test]
fn without_the_feature_what_is_encrypted_is_for_others() {
    let bytes = encode_with(&entry(b""), Coding::new(0, true), 4, |out| {
        out.put_slice(&[0; 60]);
        Some(())
    });
    assert_eq!(unpacked(&bytes.unwrap(), &plain()), Err(Unreadable::NoKey));
    assert!(Unreadable::NoKey.is_for_others());
}
