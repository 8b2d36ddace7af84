use super::*;

/// Received at 0, stale from 10 s on.
const STORED: StoredFreshness = StoredFreshness {
    received: 0,
    initial_age: 0,
    lifetime: 10_000,
    must_revalidate: false,
    immutable: false,
    no_cache: false,
    while_revalidate: 5_000,
    if_error: 20_000,
};

const NONE: RequestDirectives = RequestDirectives {
    no_cache: false,
    no_store: false,
    only_if_cached: false,
    max_age: None,
    max_stale: None,
    min_fresh: None,
    stale_if_error: None,
};

fn never_stale() -> [StoredFreshness; 2] {
    [
        StoredFreshness { must_revalidate: true, ..STORED },
        StoredFreshness { no_cache: true, ..STORED },
    ]
}

/// Requests that take nothing stale.
fn strict() -> [RequestDirectives; 3] {
    [
        RequestDirectives { no_cache: true, ..NONE },
        RequestDirectives { max_age: Some(1_000), ..NONE },
        RequestDirectives { min_fresh: Some(0), ..NONE },
    ]
}

#[test]
fn while_it_is_refreshed() {
    for (now, expected) in [(10_000, true), (14_999, true), (15_000, false), (u64::MAX, false)] {
        assert_eq!(while_revalidate(None, &STORED, now), expected, "{now}");
        assert_eq!(while_revalidate(Some(&NONE), &STORED, now), expected, "{now}");
        assert!(strict().iter().all(|request| !while_revalidate(Some(request), &STORED, now)));
        assert!(never_stale().iter().all(|stored| !while_revalidate(None, stored, now)));
    }
}

#[test]
fn as_stale_as_the_client_takes_it() {
    let within = |seconds| RequestDirectives { max_stale: Some(MaxStale::Within(seconds)), ..NONE };
    let any = RequestDirectives { max_stale: Some(MaxStale::Any), ..NONE };
    let cases = [
        (NONE, 10_000, false),
        (within(3), 13_000, true),
        (within(3), 13_001, false),
        (any.clone(), u64::MAX, true),
        (RequestDirectives { no_cache: true, ..any.clone() }, 10_000, false),
        (RequestDirectives { max_age: Some(11), ..any.clone() }, 11_000, true),
        (RequestDirectives { max_age: Some(11), ..any.clone() }, 11_001, false),
    ];
    for (request, now, expected) in cases {
        assert_eq!(within_max_stale(&request, &STORED, now), expected, "{request:?} {now}");
    }
    assert!(never_stale().iter().all(|stored| !within_max_stale(&any, stored, 10_000)));
}

#[test]
fn when_the_origin_fails() {
    let asks = |seconds| RequestDirectives { stale_if_error: Some(seconds), ..NONE };
    let cases = [
        (None, Failure::Answered, 29_999, true),
        (None, Failure::Answered, 30_000, false),
        (None, Failure::Disconnected, 30_000, true),
        (Some(asks(60)), Failure::Answered, 69_999, true),
        (Some(asks(60)), Failure::Answered, 70_000, false),
        // What the origin allows, the client can't shorten.
        (Some(asks(1)), Failure::Answered, 29_999, true),
        (Some(RequestDirectives { no_cache: true, ..asks(60) }), Failure::Answered, 0, false),
        (Some(RequestDirectives { max_age: Some(1), ..NONE }), Failure::Answered, 29_999, true),
        (
            Some(RequestDirectives { max_age: Some(1), ..NONE }),
            Failure::Disconnected,
            30_000,
            false,
        ),
    ];
    for (request, failure, now, expected) in cases {
        let found = on_error(request.as_ref(), &STORED, failure, now);
        assert_eq!(found, expected, "{request:?} {failure:?} {now}");
    }
    for stored in never_stale() {
        assert!(!on_error(Some(&asks(60)), &stored, Failure::Disconnected, 10_000));
    }
}

fn directives(text: &'static str) -> ResponseDirectives {
    ResponseDirectives::parse([&http::HeaderValue::from_static(text)])
}

#[test]
fn what_is_of_use_and_for_how_long_it_is_kept() {
    use FreshnessSource::{MaxAge, None as Nothing};
    let minute = 60_000;
    for (text, remaining, source, validated, bare) in [
        ("max-age=60", 60_000, MaxAge, Some(minute), Some(minute)),
        ("max-age=20", 20_000, MaxAge, Some(minute), Some(20_000)),
        ("max-age=2", 2_000, MaxAge, Some(minute), Some(10_000)),
        ("max-age=20, must-revalidate", 20_000, MaxAge, Some(minute), Some(0)),
        ("max-age=20, s-maxage=20, stale-if-error=9", 20_000, MaxAge, Some(minute), Some(0)),
        ("max-age=20, stale-while-revalidate=90", 20_000, MaxAge, Some(90_000), Some(90_000)),
        ("max-age=0", 0, MaxAge, Some(minute), None),
        ("max-age=0, stale-if-error=0", 0, MaxAge, Some(minute), None),
        ("max-age=0, stale-if-error=1", 0, MaxAge, Some(minute), Some(10_000)),
        ("max-age=0, stale-if-error=90", 0, MaxAge, Some(90_000), Some(90_000)),
        ("max-age=0, must-revalidate, stale-if-error=90", 0, MaxAge, Some(minute), None),
        ("no-cache", 0, Nothing, Some(minute), None),
        ("no-cache, max-age=20", 20_000, MaxAge, Some(minute), None),
        ("no-cache, stale-while-revalidate=90", 0, Nothing, Some(minute), None),
        ("no-cache=\"x-a\", max-age=20", 20_000, MaxAge, Some(minute), Some(20_000)),
        ("public", 0, Nothing, None, None),
        ("stale-while-revalidate=90", 0, Nothing, None, None),
        ("", 0, Nothing, None, None),
    ] {
        let directives = directives(text);
        let freshness = Freshness { lifetime: remaining, initial_age: 0, source };
        let stored = StoredFreshness::new(freshness, &directives, 0);
        for (has_validator, expected) in [(true, validated), (false, bare)] {
            let kept = is_of_use(&freshness, &directives, has_validator)
                .then(|| kept_stale(&freshness, &stored, has_validator, minute));
            assert_eq!(kept, expected, "{text:?}, validator: {has_validator}");
        }
    }
}
