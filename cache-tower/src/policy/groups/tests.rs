use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn lines(name: &HeaderName, lines: &[&str]) -> HeaderMap {
    let line = |value: &&str| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    lines.iter().map(line).collect()
}

#[test]
fn lists_of_strings() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&[""], &[]),
        (&[r#""a""#], &["a"]),
        (&[r#""b", "a""#], &["a", "b"]),
        (&[r#""b""#, r#""a""#], &["a", "b"]),
        // Compared character by character.
        (&[r#""a", "A", "a ", "a""#], &["A", "a", "a "]),
        (&[r#""a\"b\\c", """#], &["", "a\"b\\c"]),
        // Parameters are ignored.
        (&[r#""a";b;c="d", "e";f=?0"#], &["a", "e"]),
        // Whatever is no list of strings is not there.
        (&["a"], &[]),
        (&[r#""a", b"#], &[]),
        (&[r#""a", 1"#], &[]),
        (&[r#"("a" "b")"#], &[]),
        (&[r#""a","#], &[]),
        (&[r#""a" "b""#], &[]),
        (&[r#""a", "b"#], &[]),
        (&[r#""a""#, ""], &[]),
        (&["\"\u{fc}\""], &[]),
    ];
    for (values, expected) in cases {
        assert_eq!(groups(&lines(&CACHE_GROUPS, values)).unwrap(), *expected, "{values:?}");
        let found = invalidated_groups(&lines(&CACHE_GROUP_INVALIDATION, values));
        assert_eq!(found, *expected, "{values:?}");
        // One is not the other.
        assert!(invalidated_groups(&lines(&CACHE_GROUPS, values)).is_empty());
        assert!(groups(&lines(&CACHE_GROUP_INVALIDATION, values)).unwrap().is_empty());
    }
}

fn many(count: usize, length: usize) -> String {
    let group = |n: usize| format!("\"{n:0>length$}\"");
    (0..count).map(group).collect::<Vec<_>>().join(", ")
}

#[test]
fn limits() {
    for (count, length, stored, invalidated) in [
        // What RFC 9875 §2 asks for at least.
        (32, 32, Some(32), 32),
        (MOST, LONGEST, Some(MOST), MOST),
        (MOST + 1, 8, None, MOST + 1),
        (1, LONGEST + 1, None, 0),
        (MOST_INVALIDATED, 8, None, MOST_INVALIDATED),
        (MOST_INVALIDATED + 1, 8, None, MOST_INVALIDATED),
    ] {
        let value = many(count, length);
        let found = groups(&lines(&CACHE_GROUPS, &[&value]));
        assert_eq!(found.as_ref().map(Vec::len).ok(), stored, "{count} of {length}");
        assert!(found.is_ok() || found == Err(NoStore::Groups));
        let found = invalidated_groups(&lines(&CACHE_GROUP_INVALIDATION, &[&value]));
        assert_eq!(found.len(), invalidated, "{count} of {length}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let _ = groups(&HeaderMap::from_iter([(CACHE_GROUPS, value)]));
        }
    }
}
