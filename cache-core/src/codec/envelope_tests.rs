use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn recorded(scope: u64, id: u64, soft: u64) -> Recorded {
    Recorded { scope, id, soft }
}

fn sample() -> Entry {
    Entry {
        id: 0x0123_4567_89AB_CDEF,
        times: EntryTimes {
            created: 1_700_000_000_000,
            fresh_until: 1_700_000_300_000,
            stale_until: 1_700_000_360_000,
        },
        schema: 7,
        format: Format::MessagePack,
        generations: SmallVec::from_slice(&[recorded(1, 2, 0), recorded(3, 4, 0)]),
        tags: vec!["user:123".into(), "ü".into()],
        etag: None,
        identity: Bytes::from_static(b"\x00analytics:ws1:42"),
        payload: Bytes::from_static(b"\x81\xa4name\xa5alice"),
    }
}

/// What version 1 looked like on the day it was released. These files never change.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/envelope-v1").join(name)
}

#[test]
fn golden_files_are_still_read_and_still_written() {
    let expires_never = Entry {
        times: EntryTimes { created: 5, fresh_until: u64::MAX, stale_until: u64::MAX },
        format: Format::Raw,
        generations: SmallVec::new(),
        tags: Vec::new(),
        payload: Bytes::new(),
        ..sample()
    };
    let softened = Entry {
        generations: SmallVec::from_slice(&[recorded(1, 2, 0), recorded(3, 4, 5)]),
        ..sample()
    };
    let with_etag = Entry { etag: Some("\"v1\"".into()), ..sample() };
    for (name, entry) in [
        ("value.bin", sample()),
        ("empty-never-expires.bin", expires_never),
        ("softened.bin", softened),
        ("with-etag.bin", with_etag),
    ] {
        let golden = Bytes::from(fs::read(fixture(name)).unwrap());
        assert_eq!(decode(&golden), Decoded::Value(entry.clone()), "{name}");
        assert_eq!(encode(&entry).unwrap(), golden, "{name}");
    }
    let golden = Bytes::from(fs::read(fixture("tombstone.bin")).unwrap());
    assert_eq!(decode(&golden), Decoded::Tombstone);
    assert_eq!(tombstone(sample().id, &sample().identity, sample().times), golden);
    for name in ["future-version.bin", "foreign.bin"] {
        let golden = Bytes::from(fs::read(fixture(name)).unwrap());
        assert_eq!(decode(&golden), Decoded::Corrupt, "{name} must be a clean miss");
    }
}

#[test]
fn a_tombstone_is_known_by_how_it_begins() {
    let stone = tombstone(1, &sample().identity, sample().times);
    assert!(is_tombstone(&stone) && is_tombstone(&stone[..6]));
    assert!(!is_tombstone(&encode(&sample()).unwrap()));
    assert!(!is_tombstone(&stone[..5]) && !is_tombstone(b""));
}

#[test]
fn decoding_copies_neither_identity_nor_payload() {
    let bytes = encode(&sample()).unwrap();
    let Decoded::Value(entry) = decode(&bytes) else { panic!("not a value") };
    let range = bytes.as_ptr_range();
    assert!(range.contains(&entry.payload.as_ptr()));
    assert!(range.contains(&entry.identity.as_ptr()));
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let softened = Entry { generations: SmallVec::from_slice(&[recorded(3, 4, 5)]), ..sample() };
    let with_etag = Entry { etag: Some("v".into()), ..sample() };
    for entry in [sample(), softened, with_etag] {
        notices_every_flipped_bit_and_every_cut(&entry);
    }
}

fn notices_every_flipped_bit_and_every_cut(entry: &Entry) {
    let good = encode(entry).unwrap();
    for position in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.to_vec();
            bad[position] ^= 1 << bit;
            assert_eq!(decode(&bad.into()), Decoded::Corrupt, "bit {bit} of byte {position}");
        }
        assert_eq!(decode(&good.slice(..position)), Decoded::Corrupt, "cut at {position}");
    }
    let mut longer = good.to_vec();
    longer.push(0);
    assert_eq!(decode(&longer.into()), Decoded::Corrupt);
}

#[test]
fn the_write_id_is_what_redis_would_answer_to_getrange() {
    let bytes = encode(&sample()).unwrap();
    assert_eq!(write_id(Some(&bytes))[..], bytes[8..16]);
    assert_eq!(write_id(Some(&Bytes::from_static(b"0123456789")))[..], *b"89");
    assert!(write_id(Some(&Bytes::from_static(b"short"))).is_empty());
    assert!(write_id(None).is_empty());
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        id: u64, created: u64, schema: u32,
        generations in prop::collection::vec(any::<(u64, u64, u64)>(), 0..6), soft: bool,
        tags in prop::collection::vec(".{0,12}", 0..4), etag in prop::option::of(".{0,12}"),
        identity: Vec<u8>, payload: Vec<u8>,
    ) {
        let entry = Entry {
            id,
            times: EntryTimes { created, fresh_until: created, stale_until: u64::MAX },
            schema,
            format: Format::Raw,
            generations: generations
                .into_iter()
                .map(|(scope, id, soft_id)| recorded(scope, id, if soft { soft_id } else { 0 }))
                .collect(),
            tags: tags.into_iter().map(Into::into).collect(),
            etag: etag.map(Into::into),
            identity: identity.into(),
            payload: payload.into(),
        };
        prop_assert_eq!(decode(&encode(&entry).unwrap()), Decoded::Value(entry));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let mut framed = MAGIC.to_vec();
        framed.extend_from_slice(&bytes);
        prop_assert_eq!(decode(&bytes.into()), Decoded::Corrupt);
        prop_assert_eq!(decode(&framed.into()), Decoded::Corrupt);
    }
}
