use std::collections::BTreeMap;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::policy::tests::headers;

fn parse(lines: &[&str]) -> Vary {
    Vary::parse(&headers(&lines.iter().map(|line| ("vary", *line)).collect::<Vec<_>>()))
}

fn fields(list: &str) -> VaryFields {
    match parse(&[list]) {
        Vary::Fields(fields) => fields,
        other => panic!("{list}: {other:?}"),
    }
}

fn many(count: usize) -> String {
    (0..count).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(",")
}

fn key(fields: &VaryFields, request: &HeaderMap) -> Vec<u8> {
    let mut key = Vec::new();
    fields.write_key(request, Normalize::default(), &mut |bytes| key.extend_from_slice(bytes));
    key
}

#[test]
fn names_are_sorted_unique_and_lower_case() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["Accept"], &["accept"]),
        (&["b, A ,,c, B"], &["a", "b", "c"]),
        (&["b", "", "a"], &["a", "b"]),
        (&["X-Custom, accept-encoding"], &["accept-encoding", "x-custom"]),
    ];
    for (lines, expected) in cases {
        let Vary::Fields(found) = parse(lines) else { panic!("{lines:?}") };
        assert_eq!(*found.0, **expected);
    }
}

#[test]
fn nothing_and_anything() {
    for lines in [&[][..], &[""], &[" , ,"], &["", ""]] {
        assert_eq!(parse(lines), Vary::None, "{lines:?}");
    }
    let any: &[&[&str]] = &[
        &["*"],
        &["*, *"],
        &["*", "*"],
        &[", *"],
        &["", "*"],
        &["*, foo"],
        &["foo, *"],
        &["foo", "*"],
        // Malformed.
        &["foo bar"],
        &["foo, (bar)"],
        &["\"foo\""],
        &["foo; bar"],
    ];
    for lines in any {
        assert_eq!(parse(lines), Vary::Any, "{lines:?}");
    }
    assert!(matches!(parse(&[&many(32)]), Vary::Fields(_)));
    assert_eq!(parse(&[&many(33)]), Vary::Any);
    // The same name again is not one more.
    assert!(matches!(parse(&[&many(32), &many(32)]), Vary::Fields(_)));
}

#[test]
fn sets() {
    let (a, b, ab) = (fields("a"), fields("b"), fields("a, b"));
    assert_eq!(a.union(&b), Some(ab.clone()));
    assert_eq!(ab.union(&a), Some(ab.clone()));
    assert_eq!(fields(&many(32)).union(&a), None);
    for (left, right, covers) in
        [(&ab, &a, true), (&a, &ab, false), (&a, &a, true), (&a, &b, false)]
    {
        assert_eq!(left.covers(right), covers);
    }
}

#[test]
fn keys_tell_requests_apart() {
    let requests: &[&[(&str, &str)]] = &[
        &[],
        &[("a", "")],
        &[("a", "1")],
        &[("a", "2")],
        &[("b", "1")],
        &[("a", "1"), ("b", "1")],
        &[("a", "1, 2")],
        &[("a", "1"), ("a", "2")],
        &[("a", "2"), ("a", "1")],
        &[("a", "1,2")],
        &[("a", "1"), ("a", "")],
        &[("a", "12"), ("a", "")],
        &[("a", "1"), ("a", "b")],
        &[("a", "1"), ("b", "b")],
        &[("a", "A")],
        &[("a", "a")],
    ];
    let fields = fields("a, b");
    let keys: Vec<_> = requests.iter().map(|request| key(&fields, &headers(request))).collect();
    for (i, left) in keys.iter().enumerate() {
        for (j, right) in keys.iter().enumerate() {
            assert_eq!(left == right, i == j, "{:?} / {:?}", requests[i], requests[j]);
        }
    }
}

#[test]
fn keys_ignore_what_does_not_select() {
    let fields = fields("a");
    let plain = key(&fields, &headers(&[("a", "1")]));
    assert_eq!(plain, key(&fields, &headers(&[("A", " 1\t"), ("other", "x")])));
    // Other fields are another key, even where the values agree.
    let other = headers(&[("a", "1"), ("b", "1")]);
    assert_ne!(key(&fields, &other), key(&VaryFields(Box::new(["b".parse().unwrap()])), &other));
}

#[test]
fn only_its_own_wire_form_is_read() {
    let mut wire = Vec::new();
    fields("accept, x-custom").encode(&mut wire);
    assert_eq!(wire, b"\x02\0\x06accept\0\x08x-custom");
    assert_eq!(VaryFields::decode(&wire), Some(fields("accept, x-custom")));
    assert_eq!(VaryFields::decode(b"\0"), Some(VaryFields::default()));
    for cut in 0..wire.len() {
        assert_eq!(VaryFields::decode(&wire[..cut]), None);
    }
    let foreign: &[&[u8]] = &[
        b"",
        b"\x01\0\0",
        b"\x01\0\x01a ",
        b"\x01\0\x01A",
        b"\x01\0\x01 ",
        b"\x02\0\x01b\0\x01a",
        b"\x02\0\x01a\0\x01a",
        b"\x01\xff\xffa",
    ];
    for bytes in foreign {
        assert_eq!(VaryFields::decode(bytes), None, "{}", bytes.escape_ascii());
    }
}

#[test]
fn keys_are_normalized_where_that_is_asked_for() {
    let fields = fields("accept-encoding");
    let key = |value: &str, encoding| {
        let (mut key, options) = (Vec::new(), Normalize { encoding, language: false });
        let request = headers(&[("accept-encoding", value)]);
        fields.write_key(&request, options, &mut |bytes| key.extend_from_slice(bytes));
        key
    };
    assert_eq!(key("br, GZIP", true), key("gzip,br", true));
    assert_ne!(key("br, GZIP", false), key("gzip,br", false));
    assert_ne!(key("br", true), key("gzip", true));
    // An instance that normalizes never takes the key of one that does not.
    assert_ne!(key("gzip", true), key("gzip", false));
}

proptest! {
    #[test]
    fn no_vary_panics(bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            Vary::parse(&HeaderMap::from_iter([(VARY, value)]));
        }
        if let Some(fields) = VaryFields::decode(&bytes) {
            let mut again = Vec::new();
            fields.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn the_wire_keeps_everything(names in proptest::collection::vec("[a-z-]{1,8}", 1..32)) {
        let fields = fields(&names.join(","));
        let mut wire = Vec::new();
        fields.encode(&mut wire);
        prop_assert_eq!(VaryFields::decode(&wire), Some(fields));
    }

    /// Two (fields, request) pairs have the same key exactly if they agree in fields and lines.
    #[test]
    fn keys_are_injective(
        left in pair(), right in pair(),
    ) {
        let agree = seen(&left) == seen(&right);
        let of = |(names, lines): &Pair| {
            let lines: Vec<_> = lines.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            key(&fields(&names.join(",")), &headers(&lines))
        };
        prop_assert_eq!(of(&left) == of(&right), agree);
    }
}

type Pair = (Vec<String>, Vec<(String, String)>);

fn pair() -> impl Strategy<Value = Pair> {
    let line = ("[ab]", "[1,ab]{0,2}");
    (proptest::collection::vec("[ab]{1,2}", 1..3), proptest::collection::vec(line, 0..3))
}

/// What a key may depend on: per varying field, the lines the request has.
fn seen((names, lines): &Pair) -> BTreeMap<&str, Vec<&str>> {
    let of = |name: &str| {
        lines.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    };
    names.iter().map(|name| (name.as_str(), of(name))).collect()
}
