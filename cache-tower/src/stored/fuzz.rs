//! Payloads that somebody changed: they are read as what they say, or not at all. How to run it
//! for longer is told in `policy::fuzz`.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::policy::Vary;
use crate::policy::fuzz::{apply, edits};

/// Payloads of all kinds.
fn payloads() -> Vec<Vec<u8>> {
    let mut headers = HeaderMap::new();
    headers.append("content-type", HeaderValue::from_static("text/plain"));
    headers.append("x-many", HeaderValue::from_static("one"));
    headers.append("x-many", HeaderValue::from_bytes(b"\xff two").unwrap());
    let freshness = StoredFreshness {
        received: 1_700_000_000_000,
        initial_age: 0,
        lifetime: 60_000,
        must_revalidate: false,
        immutable: true,
        no_cache: false,
        while_revalidate: 3_000,
        if_error: 0,
    };
    let tags = CacheTags::new(["a"]).and_in_workspace(["b", ""]);
    let head = Head { status: StatusCode::OK, headers, freshness, audience: Audience::All, tags };
    let bare = Head {
        status: StatusCode::NO_CONTENT,
        headers: HeaderMap::new(),
        tags: CacheTags::default(),
        ..head.clone()
    };
    let body = [Bytes::from_static(b"hello")];
    let part = Part { range: 3..8, complete: 10 };
    let vary = HeaderMap::from_iter([(header::VARY, HeaderValue::from_static("accept, x-a"))]);
    let Vary::Fields(fields) = Vary::parse(&vary) else { panic!("two names") };
    let marker = Marker { id: 42, fields, variants: Arc::default() };
    [
        store(&head, body.iter()),
        store(&bare, [].iter()),
        store_partial(&head, &part, body.iter()),
        store_marker(&marker),
    ]
    .map(|payload| payload.to_vec())
    .into()
}

/// Numbers are what such a payload is read by: one of them is another.
fn number() -> impl Strategy<Value = Option<(Index, u32)>> {
    let of_note = prop_oneof![Just(u32::MAX), Just(1 << 31), 0..64_u32, any::<u32>()];
    proptest::option::of((any::<Index>(), of_note))
}

fn check(payload: &Bytes) -> Result<(), TestCaseError> {
    let status = HeaderValue::from_static("c; hit");
    let Some((shared, weight)) = load(payload, &status) else { return Ok(()) };
    let cached: Arc<Cached> = shared.downcast().unwrap();
    prop_assert_eq!(weight, cached.weight());
    let (response, is_whole) = match &*cached {
        Cached::Varies(marker) => {
            prop_assert_eq!(&store_marker(marker), payload);
            return Ok(());
        }
        Cached::Response(response) => (response, true),
        Cached::Partial(PartialResponse { response, part }) => {
            prop_assert_eq!(part.range.len(), response.body.len());
            prop_assert!(part.range.end <= part.complete);
            (response, false)
        }
    };
    // Nothing is made up: the body is the end of the payload, and the lines stood before it.
    prop_assert!(payload.ends_with(&response.body));
    let is_there = |value: &HeaderValue| {
        value.is_empty() || payload.windows(value.len()).any(|bytes| bytes == value.as_bytes())
    };
    let invented = response.template.values().filter(|value| !is_there(value)).count();
    prop_assert!(invented <= 3, "more than the age, the status and the length");
    prop_assert_eq!(response.template.get_all(CACHE_STATUS).iter().next_back(), Some(&status));
    if !is_without_content(response.status) {
        let length = response.body.len().to_string();
        prop_assert_eq!(response.template[header::CONTENT_LENGTH].as_bytes(), length.as_bytes());
    }
    let ages = [0, response.freshness.age(0), response.freshness.age(u64::MAX)];
    for age in ages {
        let headers = response.headers(age);
        let digits = age.to_string();
        prop_assert_eq!(headers[header::AGE].as_bytes(), digits.as_bytes());
    }
    // Stored again it is the same, but for bits that mean nothing and the order of names.
    if is_whole {
        let again =
            |payload: &Bytes| reload(payload).map(|(head, body)| store(&head, [body].iter()));
        let once = again(payload);
        prop_assert!(once.is_some());
        prop_assert_eq!(once.as_ref().and_then(again), once);
    }
    Ok(())
}

proptest! {
    #[test]
    fn changed_payloads(which: Index, edits in edits(4), number in number(), cut in 0..4_usize) {
        let mut payload = which.get(&payloads()).clone();
        if let Some((at, number)) = number {
            let at = at.index(payload.len());
            for (old, new) in payload[at..].iter_mut().zip(number.to_le_bytes()) {
                *old = new;
            }
        }
        apply(&edits, &mut payload);
        payload.truncate(payload.len().saturating_sub(cut));
        check(&payload.into())?;
    }

    #[test]
    fn noise(mut bytes in vec(any::<u8>(), 0..96), kind in 0..4_u8) {
        bytes.insert(0, kind);
        check(&bytes.into())?;
    }
}
