use proptest::prelude::*;

use super::*;
use crate::policy::Vary;

fn head() -> Head {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    headers.append("cache-status", HeaderValue::from_static("origin; fwd=miss"));
    headers.append("x-bytes", HeaderValue::from_bytes(b"\xff obs").unwrap());
    let freshness = StoredFreshness {
        received: 1_000,
        initial_age: 2_000,
        lifetime: 60_000,
        must_revalidate: true,
        immutable: false,
        no_cache: true,
        while_revalidate: 3_000,
        if_error: 4_000,
    };
    let (audience, tags) = (Audience::WithoutCredentials, CacheTags::default());
    Head { status: StatusCode::OK, headers, freshness, audience, tags }
}

fn reload(payload: &Bytes) -> Option<Arc<Cached>> {
    let status = HeaderValue::from_static("c; hit");
    load(payload, &status).map(|(shared, _)| shared.downcast().unwrap())
}

#[test]
fn what_is_stored_is_loaded_and_its_body_is_not_copied() {
    let chunks = [Bytes::from_static(b"hello "), Bytes::from_static(b"world")];
    let payload = store(&head(), chunks.iter());
    let loaded = reload(&payload).unwrap();
    let Cached::Response(response) = &*loaded else { panic!() };
    assert_eq!(response.body, "hello world");
    assert!(payload.as_ptr_range().contains(&response.body.as_ptr()));
    assert_eq!(response.freshness, head().freshness);
    assert_eq!(response.audience, Audience::WithoutCredentials);
    let headers = response.headers(7);
    assert_eq!(headers["age"], "7");
    assert_eq!(headers["content-length"], "11");
    assert_eq!(headers["x-bytes"], &b"\xff obs"[..]);
    let status: Vec<_> = headers.get_all("cache-status").iter().collect();
    assert_eq!(status, ["origin; fwd=miss", "c; hit"]);
}

#[test]
fn a_part_keeps_its_place() {
    let part = Part { range: 3..8, complete: 10 };
    let payload = store_partial(&head(), &part, [Bytes::from_static(b"hello")].iter());
    let loaded = reload(&payload).unwrap();
    let Cached::Partial(loaded) = &*loaded else { panic!() };
    assert_eq!((&loaded.part, &loaded.response.body[..]), (&part, &b"hello"[..]));
    // More bytes than there is room for before the end.
    let long = store_partial(&head(), &part, [Bytes::from_static(b"hello!!!")].iter());
    assert!(reload(&long).is_none());
}

#[test]
fn a_204_has_no_length() {
    let none = Head { status: StatusCode::NO_CONTENT, ..head() };
    let stored = reload(&store(&none, [].iter())).unwrap();
    let Cached::Response(stored) = &*stored else { panic!() };
    assert!(!stored.template.contains_key("content-length"));
}

#[test]
fn ages_beyond_the_table_are_right_too() {
    for age in [0, 1, 1023, 1024, 1_000_000] {
        assert_eq!(age_value(age), age.to_string().as_str());
    }
}

#[test]
fn markers_survive() {
    let mut headers = HeaderMap::new();
    headers.insert("vary", HeaderValue::from_static("Accept, X-Test"));
    let Vary::Fields(fields) = Vary::parse(&headers) else { panic!() };
    let marker = Marker { id: 42, fields, variants: Arc::default() };
    let loaded = reload(&store_marker(&marker)).unwrap();
    assert!(matches!(&*loaded, Cached::Varies(loaded) if *loaded == marker));
}

proptest! {
    #[test]
    fn no_payload_makes_it_panic(mut bytes: Vec<u8>, kind in 0..4_u8, cut in 0..200_usize) {
        bytes.insert(0, kind);
        let _ = reload(&bytes.into());
        let good = store(&head(), [Bytes::from_static(b"x")].iter());
        let _ = reload(&good.slice(..cut.min(good.len())));
    }
}
