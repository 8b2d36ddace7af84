use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{apply, edits, headers, lines, value};
use crate::policy::{Normalize, Vary, VaryFields};

const SEEDS: &[&str] = &[
    "Accept-Encoding",
    "accept-encoding, Accept-Language",
    "x-a,X-B , ,x-c",
    "*",
    "accept-encoding, *",
    "Origin",
    "",
];

const ACCEPTED: &[&str] = &[
    "gzip, br;q=0.5",
    "br , GZIP;Q=1.000, identity;q=0",
    "de-CH, de;q=0.9, *;q=0.1",
    "en",
    "*",
    "",
];

const NORMALIZE: Normalize = Normalize { encoding: true, language: true };

fn key(fields: &VaryFields, request: &HeaderMap, options: Normalize) -> Vec<u8> {
    let mut key = Vec::new();
    fields.write_key(request, options, &mut |bytes| key.extend_from_slice(bytes));
    key
}

fn wire(fields: &VaryFields) -> Vec<u8> {
    let mut wire = Vec::new();
    fields.encode(&mut wire);
    wire
}

/// The members of a list, the last one first.
fn backwards(line: &HeaderValue) -> HeaderValue {
    let mut members: Vec<_> = line.as_bytes().split(|byte| *byte == b',').collect();
    members.reverse();
    HeaderValue::from_bytes(&members.join(&b" ,"[..])).unwrap()
}

proptest! {
    /// RFC 9110 §12.5.5: a list of names, or `*` for what can't be seen.
    #[test]
    fn a_list_of_names_or_anything(mut lines in lines(SEEDS)) {
        let found = Vary::parse(&headers(&VARY, &lines));
        let text: Vec<_> = lines.iter().map(HeaderValue::as_bytes).collect();
        let text = text.join(&b','.to_owned());
        let names: Vec<_> = text
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
            .collect();
        let readable = names.iter().all(|n| *n != b"*" && HeaderName::from_bytes(n).is_ok());
        match &found {
            Vary::None => prop_assert!(names.is_empty()),
            Vary::Any => prop_assert!(!readable || names.len() > 32),
            Vary::Fields(_) => prop_assert!(readable && !names.is_empty()),
        }
        // Neither the order of the lines nor that of the names counts.
        lines.reverse();
        let lines: Vec<_> = lines.iter().map(backwards).collect();
        prop_assert_eq!(&Vary::parse(&headers(&VARY, &lines)), &found);
        if let Vary::Fields(fields) = found {
            prop_assert_eq!(VaryFields::decode(&wire(&fields)), Some(fields));
        }
    }

    #[test]
    fn only_what_was_written_is_read(lines in lines(SEEDS), edits in edits(4)) {
        if let Vary::Fields(fields) = Vary::parse(&headers(&VARY, &lines)) {
            let mut bytes = wire(&fields);
            apply(&edits, &mut bytes);
            if let Some(found) = VaryFields::decode(&bytes) {
                prop_assert_eq!(wire(&found), bytes);
            }
        }
    }

    /// RFC 9111 §4.1: equal where normalized only if they say the same, whatever the order.
    #[test]
    fn the_order_of_what_is_accepted_does_not_count(line in value(ACCEPTED)) {
        let Vary::Fields(fields) = Vary::parse(&headers(&VARY, [&HeaderValue::from_static(
            "accept-encoding, accept-language",
        )])) else {
            return Err(TestCaseError::fail("two names"));
        };
        for name in [&ACCEPT_ENCODING, &ACCEPT_LANGUAGE] {
            let (one, other) = (headers(name, [&line]), headers(name, [&backwards(&line)]));
            let normalized = key(&fields, &one, NORMALIZE);
            // What can't be read counts as it is written.
            if normalized != key(&fields, &one, Normalize::default()) {
                prop_assert_eq!(&normalized, &key(&fields, &other, NORMALIZE));
            }
            let without = key(&fields, &HeaderMap::new(), NORMALIZE);
            prop_assert_ne!(normalized, without);
        }
    }
}
