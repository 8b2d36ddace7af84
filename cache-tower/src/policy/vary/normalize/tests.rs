use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn written(name: &HeaderName, lines: &[&str]) -> Option<Vec<u8>> {
    let line = |line: &&str| (name.clone(), HeaderValue::try_from(*line).unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().map(line) {
        headers.append(name, value);
    }
    let mut bytes = Vec::new();
    write(&read(&headers, name)?, &mut |part| bytes.extend_from_slice(part));
    Some(bytes)
}

#[test]
fn what_says_the_same_is_the_same() {
    let alike: &[(HeaderName, &[&[&str]])] = &[
        (ACCEPT_ENCODING, &[&["gzip, br"], &["br,gzip"], &["GZip ,\tBR"], &["br", "gzip"]]),
        (ACCEPT_ENCODING, &[&["gzip"], &["x-gzip"], &["gzip;q=1"], &["gzip ; Q=1.000"]]),
        (ACCEPT_ENCODING, &[&["gzip, gzip"], &["gzip, , x-gzip;q=1."]]),
        (ACCEPT_ENCODING, &[&["compress;q=0.5"], &["X-Compress;q=0.500"]]),
        (ACCEPT_ENCODING, &[&["*;q=0, gzip;q=0.3"], &["gzip;q=0.30, *;q=0.0"]]),
        (ACCEPT_ENCODING, &[&[""], &[","], &["", ""]]),
        (ACCEPT_LANGUAGE, &[&["en, de"], &["de, en"], &["DE,EN"], &["de;q=1,en"]]),
        (ACCEPT_LANGUAGE, &[&["de-AT, de;q=0.8"], &["DE;q=0.8", "de-at"]]),
    ];
    for (name, values) in alike {
        let first = written(name, values[0]);
        assert!(first.is_some(), "{values:?}");
        for value in *values {
            assert_eq!(written(name, value), first, "{value:?}");
        }
    }
}

#[test]
fn what_says_something_else_differs() {
    let all = [
        "",
        "gzip",
        "br",
        "gzip, br",
        "gzip;q=0.5, br",
        "gzip, br;q=0.5",
        "gzip;q=0",
        "gzip;q=0.5",
        "gzip;q=0.501",
        "*",
        "gzip, *",
        "identity",
        "x-gzip2",
        "gzi, pbr",
    ];
    for name in [ACCEPT_ENCODING, ACCEPT_LANGUAGE] {
        let written: Vec<_> = all.iter().map(|value| written(&name, &[value]).unwrap()).collect();
        for (n, one) in written.iter().enumerate() {
            assert_eq!(written.iter().filter(|other| *other == one).count(), 1, "{}", all[n]);
        }
    }
    // In languages x-gzip would be a name of its own.
    assert_ne!(written(&ACCEPT_LANGUAGE, &["x-gzip"]), written(&ACCEPT_LANGUAGE, &["gzip"]));
}

#[test]
fn what_can_not_be_read_counts_as_it_is() {
    let long = (0..=MAX_MEMBERS).map(|n| format!("x{n}")).collect::<Vec<_>>().join(",");
    let values = [
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.0001",
        "gzip;q=",
        "gzip;q",
        "gzip;q=x",
        "gzip;q=-1",
        "gzip;",
        ";q=1",
        "gzip;q=0.5;x=y",
        "gzip;level=9",
        "gzip;q=.5",
        "gz ip",
        "\"gzip\"",
        "ü",
        "gzip, gzip;q=0.5",
        "gzip;q=00",
        &long,
    ];
    for value in values {
        assert_eq!(written(&ACCEPT_ENCODING, &[value]), None, "{value}");
    }
    assert_eq!(written(&ACCEPT_ENCODING, &[]), None);
}

#[test]
fn only_what_is_asked_for() {
    let none = Normalize::default();
    let encoding = Normalize { encoding: true, ..none };
    let language = Normalize { language: true, ..none };
    for (options, covers) in
        [(none, [false; 3]), (encoding, [true, false, false]), (language, [false, true, false])]
    {
        let names = [ACCEPT_ENCODING, ACCEPT_LANGUAGE, http::header::ACCEPT];
        assert_eq!(names.map(|name| options.covers(&name)), covers);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, value)]);
            let _ = read(&headers, &ACCEPT_ENCODING);
        }
    }

    #[test]
    fn order_case_and_space_make_no_difference(
        list in proptest::collection::btree_map("[a-z]{1,40}", 0_u16..=999, 0..6), seed: u64,
    ) {
        let plain: Vec<_> = list.iter().map(|(name, q)| format!("{name};q=0.{q:03}")).collect();
        let mut other: Vec<_> = plain.iter().map(|m| m.to_uppercase().replace(';', " ;\t")).collect();
        if !other.is_empty() {
            let by = usize::try_from(seed % other.len() as u64).unwrap();
            other.rotate_left(by);
        }
        prop_assert_eq!(
            written(&ACCEPT_LANGUAGE, &[&plain.join(",")]),
            written(&ACCEPT_LANGUAGE, &[&other.join(" , ")])
        );
    }
}
