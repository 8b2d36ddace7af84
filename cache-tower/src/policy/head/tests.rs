use super::*;
use crate::policy::tests::{Lines, headers};

const MODIFIED: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
const LATER: (&str, &str) = ("last-modified", "Mon, 07 Nov 1994 08:49:37 GMT");
const TAG: (&str, &str) = ("etag", "\"a\"");

#[track_caller]
fn tells(stored: Lines<'_>, status: u16, head: Lines<'_>, expected: HeadTells) {
    let own = headers(stored);
    let subject = HeadSubject { status: StatusCode::OK, headers: &own, length: 4 };
    let status = StatusCode::from_u16(status).unwrap();
    assert_eq!(head_tells(subject, status, &headers(head)), expected, "{stored:?} {head:?}");
}

#[test]
fn every_validator_and_the_length_have_to_agree() {
    use HeadTells::{Changed, Same};
    const BOTH: Lines<'_> = &[TAG, MODIFIED];
    for (head, expected) in [
        (BOTH, Same),
        (&[TAG][..], Same),
        (&[("etag", "W/\"a\"")], Same),
        (&[MODIFIED], Same),
        (&[TAG, ("content-length", "4")], Same),
        (&[TAG, ("content-length", "5")], Changed),
        // No length at all, rather than another one.
        (&[TAG, ("content-length", "4x")], Same),
        (&[TAG, LATER], Changed),
        (&[("etag", "\"b\""), MODIFIED], Changed),
        (&[LATER], Changed),
        (&[TAG, ("vary", "accept")], Changed),
    ] {
        tells(BOTH, 200, head, expected);
    }
    tells(&[TAG], 200, &[TAG, MODIFIED], Changed);
    tells(&[MODIFIED], 200, &[TAG, MODIFIED], Changed);
    // A weak tag does not vouch for the bytes of a strong one.
    tells(&[("etag", "W/\"a\"")], 200, &[TAG], Changed);
    tells(&[("etag", "W/\"a\"")], 200, &[("etag", "W/\"a\"")], Same);
}

#[test]
fn without_a_validator_nothing_is_proven() {
    for stored in [&[][..], &[TAG], &[MODIFIED]] {
        tells(stored, 200, &[], HeadTells::Nothing);
        tells(stored, 200, &[("content-length", "4")], HeadTells::Nothing);
        tells(stored, 200, &[("content-length", "5")], HeadTells::Changed);
    }
}

#[test]
fn by_status() {
    for status in 200..600 {
        let expected = match status {
            200 => HeadTells::Same,
            404 | 410 => HeadTells::Changed,
            _ => HeadTells::Nothing,
        };
        tells(&[TAG], status, &[TAG], expected);
    }
    // What is stored is an error, and now there is something.
    let own = headers(&[TAG]);
    let gone = HeadSubject { status: StatusCode::GONE, headers: &own, length: 4 };
    assert_eq!(head_tells(gone, StatusCode::OK, &own), HeadTells::Changed);
}
