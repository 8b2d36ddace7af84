//! Whether a stored response may answer a request now (RFC 9111 §4).
//!
//! ```text
//! match reuse(None, &stored, now) {
//!     Reuse::Use { age_secs } => serve(age_secs),
//!     Reuse::UseStale { age_secs } => { serve(age_secs); refresh_in_background() }
//!     Reuse::Fetch(reason) => fetch(reason.as_str()),   // the fwd value of Cache-Status
//! }
//! ```

use super::stale::{while_revalidate, within_max_stale};
use super::{
    FieldForm, Freshness, Millis, RequestDirectives, ResponseDirectives, current_age, millis,
};

/// What a stored response remembers of its freshness: numbers, so that a hit parses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredFreshness {
    /// When the response was received, unix milliseconds.
    pub(crate) received: Millis,
    /// How old it was then (RFC 9111 §4.2.3).
    pub(crate) initial_age: Millis,
    /// The age at which it becomes stale (RFC 9111 §4.2.1).
    pub(crate) lifetime: Millis,
    /// Never to be used stale by a shared cache (RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10).
    pub(crate) must_revalidate: bool,
    /// Does not change while fresh (RFC 8246).
    pub(crate) immutable: bool,
    /// Never to be used without validation (RFC 9111 §5.2.2.4).
    pub(crate) no_cache: bool,
    /// How long past its lifetime it may be used while it is refreshed (RFC 5861 §3).
    pub(crate) while_revalidate: Millis,
    /// How long past its lifetime it may be used when the origin fails (RFC 5861 §4).
    pub(crate) if_error: Millis,
}

impl StoredFreshness {
    /// Takes down what a response received at `received` says.
    pub(crate) fn new(
        freshness: Freshness,
        directives: &ResponseDirectives,
        received: Millis,
    ) -> Self {
        Self {
            received,
            initial_age: freshness.initial_age,
            lifetime: freshness.lifetime,
            must_revalidate: directives.forbid_stale(),
            immutable: directives.immutable,
            no_cache: directives.no_cache == FieldForm::All,
            while_revalidate: directives.stale_while_revalidate.map_or(0, millis),
            if_error: directives.stale_if_error.map_or(0, millis),
        }
    }

    /// Whether nothing allows to use it stale (RFC 9111 §4.2.4).
    pub(crate) fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.no_cache
    }

    /// The same for a response that the cache itself has been told is stale, since `at`, or since
    /// `now` if that is earlier.
    pub(crate) fn stale_since(self, at: Option<Millis>, now: Millis) -> Self {
        let Some(at) = at else { return self };
        Self { lifetime: self.lifetime.min(self.age(at.min(now))), ..self }
    }

    /// For how many milliseconds it has been stale at `now`.
    pub(crate) fn staleness(&self, now: Millis) -> Millis {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// The age at `now`, in milliseconds (RFC 9111 §4.2.3).
    pub(crate) fn age(&self, now: Millis) -> Millis {
        current_age(self.initial_age, self.received, now)
    }

    /// For how many milliseconds from `now` it stays fresh; 0: it is stale.
    pub(crate) fn remaining(&self, now: Millis) -> Millis {
        self.lifetime.saturating_sub(self.age(now))
    }

    /// For how many seconds from `now` it stays fresh; less than 0: for how long it has been stale
    /// (RFC 9211 §2.4).
    pub(crate) fn ttl_secs(&self, now: Millis) -> i64 {
        // An Integer has 15 digits (RFC 9651 §3.3.1).
        let secs = |secs: u64| i64::try_from(secs.min(999_999_999_999_999)).unwrap_or_default();
        match self.remaining(now) {
            0 => -secs(self.staleness(now).div_ceil(1000)),
            remaining => secs(remaining / 1000),
        }
    }

    /// Whether it is fresh at `now` (RFC 9111 §4.2).
    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        self.remaining(now) > 0
    }
}

/// Why a request goes to the origin: the `fwd` values of RFC 9211 §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MissReason {
    /// Nothing is stored for this URI.
    UriMiss,
    /// Something is stored for this URI, but not for these request headers.
    VaryMiss,
    /// What is stored is stale.
    Stale,
    /// What is stored is a part of the response, and the request is for more.
    Partial,
    /// What is stored is fresh, but the request's directives don't accept it.
    Request,
}

impl MissReason {
    /// The token of RFC 9211 §2.2.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Request => "request",
        }
    }
}

/// Whether a stored response answers the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Yes; `age_secs` is the value of its `Age` header (RFC 9111 §5.1).
    Use {
        /// Whole seconds.
        age_secs: u64,
    },
    /// Yes, though it is stale; the origin has to be asked in the background (RFC 5861 §3).
    UseStale {
        /// Whole seconds.
        age_secs: u64,
    },
    /// No: the origin has to be asked.
    Fetch(MissReason),
}

/// Decides whether `stored` answers a request at `now`. `request` is `None` where the request has
/// no directives ([`RequestDirectives::is_present`]).
pub(crate) fn reuse(
    request: Option<&RequestDirectives>,
    stored: &StoredFreshness,
    now: Millis,
) -> Reuse {
    let age_secs = stored.age(now) / 1000;
    if stored.no_cache {
        return Reuse::Fetch(MissReason::Stale);
    }
    if !stored.is_fresh(now) {
        if request.is_some_and(|request| within_max_stale(request, stored, now)) {
            return Reuse::Use { age_secs };
        }
        if while_revalidate(request, stored, now) {
            return Reuse::UseStale { age_secs };
        }
        return Reuse::Fetch(MissReason::Stale);
    }
    if request.is_some_and(|request| refuses(request, stored, now)) {
        return Reuse::Fetch(MissReason::Request);
    }
    Reuse::Use { age_secs }
}

/// Whether the client won't take what is fresh by the origin's word.
fn refuses(request: &RequestDirectives, stored: &StoredFreshness, now: Millis) -> bool {
    // RFC 9111 §5.2.1.1. 0 asks for validation, even within the millisecond of reception.
    let too_old =
        request.max_age.is_some_and(|max_age| max_age == 0 || stored.age(now) > millis(max_age));
    // RFC 9111 §5.2.1.3.
    let too_soon_stale =
        request.min_fresh.is_some_and(|min_fresh| stored.remaining(now) < millis(min_fresh));
    // RFC 9111 §5.2.1.4.
    request.no_cache || too_old || too_soon_stale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::FreshnessSource;
    use crate::policy::directives::MaxStale;

    /// Received at 100 s, 5 s old then, fresh until an age of 20 s: stale from 115 s on.
    const STORED: StoredFreshness = StoredFreshness {
        received: 100_000,
        initial_age: 5_000,
        lifetime: 20_000,
        must_revalidate: false,
        immutable: false,
        no_cache: false,
        while_revalidate: 0,
        if_error: 0,
    };

    #[test]
    fn without_directives() {
        let cases = [
            (100_000, Reuse::Use { age_secs: 5 }),
            (100_999, Reuse::Use { age_secs: 5 }),
            (101_000, Reuse::Use { age_secs: 6 }),
            (114_999, Reuse::Use { age_secs: 19 }),
            (115_000, Reuse::Fetch(MissReason::Stale)),
            (u64::MAX, Reuse::Fetch(MissReason::Stale)),
            // The clock went back.
            (0, Reuse::Use { age_secs: 5 }),
        ];
        for (now, expected) in cases {
            assert_eq!(reuse(None, &STORED, now), expected, "{now}");
        }
    }

    #[test]
    fn with_directives() {
        let none = RequestDirectives::default();
        let max_age = |max_age| RequestDirectives { max_age: Some(max_age), ..none.clone() };
        let min_fresh = |secs| RequestDirectives { min_fresh: Some(secs), ..none.clone() };
        let cases = [
            (none.clone(), true),
            (RequestDirectives { no_cache: true, ..none.clone() }, false),
            // The caller's business.
            (RequestDirectives { only_if_cached: true, ..none.clone() }, true),
            (max_age(0), false),
            (max_age(9), false),
            (max_age(10), true),
            (max_age(u32::MAX), true),
            (min_fresh(10), true),
            (min_fresh(11), false),
            (min_fresh(u32::MAX), false),
        ];
        // Age 10 s, fresh for 10 s more.
        for (request, usable) in cases {
            let expected = if usable {
                Reuse::Use { age_secs: 10 }
            } else {
                Reuse::Fetch(MissReason::Request)
            };
            assert_eq!(reuse(Some(&request), &STORED, 105_000), expected, "{request:?}");
            // Stale comes first (RFC 9211 §2.2: "request" is about a fresh response).
            let stale = reuse(Some(&request), &STORED, 115_000);
            assert_eq!(stale, Reuse::Fetch(MissReason::Stale), "{request:?}");
        }
    }

    #[test]
    fn what_the_cache_was_told_is_stale_is_so_from_then_on() {
        assert_eq!(STORED.stale_since(None, 105_000), STORED);
        // (told at, now, staleness at `now`); 5 s old at 100 s.
        for (at, now, staleness) in [
            (103_000, 105_000, 2_000),
            (105_000, 105_000, 0),
            // Another's clock is ahead, or was behind when it was stored.
            (999_000, 105_000, 0),
            (1_000, 105_000, 5_000),
            // It was stale before.
            (118_000, 120_000, 5_000),
        ] {
            let told = STORED.stale_since(Some(at), now);
            assert!(!told.is_fresh(now), "{at}");
            assert_eq!((told.staleness(now), told.age(now)), (staleness, STORED.age(now)), "{at}");
        }
    }

    #[test]
    fn seconds_of_freshness_left() {
        for (now, expected) in [
            (100_000, 15),
            (100_001, 14),
            (114_001, 0),
            (115_000, 0),
            // Stale by less than a second is stale.
            (115_001, -1),
            (116_000, -1),
            (116_001, -2),
            (u64::MAX, -999_999_999_999_999),
            (0, 15),
        ] {
            assert_eq!(STORED.ttl_secs(now), expected, "{now}");
        }
        let endless = StoredFreshness { lifetime: u64::MAX, ..STORED };
        assert_eq!(endless.ttl_secs(100_000), 999_999_999_999_999);
    }

    #[test]
    fn max_age_0_refuses_what_has_no_age() {
        // Under a clock that stood still, max-age=0 was answered from the cache.
        let new = StoredFreshness { initial_age: 0, ..STORED };
        let request = RequestDirectives { max_age: Some(0), ..Default::default() };
        let found = reuse(Some(&request), &new, new.received);
        assert_eq!(found, Reuse::Fetch(MissReason::Request));
    }

    #[test]
    fn what_is_taken_down() {
        let freshness = Freshness { lifetime: 9, initial_age: 3, source: FreshnessSource::SMaxage };
        let none = ResponseDirectives::default();
        let cases = [
            (none.clone(), false, false),
            (ResponseDirectives { must_revalidate: true, ..none.clone() }, true, false),
            (ResponseDirectives { proxy_revalidate: true, ..none.clone() }, true, false),
            (ResponseDirectives { s_maxage: Some(1), ..none.clone() }, true, false),
            (ResponseDirectives { immutable: true, ..none.clone() }, false, true),
        ];
        for (directives, must_revalidate, immutable) in cases {
            let expected = StoredFreshness {
                received: 7,
                initial_age: 3,
                lifetime: 9,
                must_revalidate,
                immutable,
                ..STORED
            };
            assert_eq!(StoredFreshness::new(freshness, &directives, 7), expected);
        }
    }

    #[test]
    fn what_may_be_used_stale_and_what_never() {
        let windows = ResponseDirectives {
            stale_while_revalidate: Some(4),
            stale_if_error: Some(6),
            ..ResponseDirectives::default()
        };
        let freshness = Freshness { lifetime: 9, initial_age: 3, source: FreshnessSource::MaxAge };
        let of = |directives| StoredFreshness::new(freshness, &directives, 7);
        let found = of(windows.clone());
        assert_eq!((found.while_revalidate, found.if_error), (4_000, 6_000));
        assert!(!found.no_cache && !found.forbids_stale());
        let never = of(ResponseDirectives { no_cache: FieldForm::All, ..windows.clone() });
        assert!(never.no_cache && never.forbids_stale());
        let fields = FieldForm::Fields(vec![http::header::SET_COOKIE]);
        assert!(!of(ResponseDirectives { no_cache: fields, ..windows.clone() }).no_cache);
        assert!(of(ResponseDirectives { must_revalidate: true, ..windows }).forbids_stale());
    }

    #[test]
    fn stale() {
        let refreshed = StoredFreshness { while_revalidate: 2_000, ..STORED };
        let never_unasked = StoredFreshness { no_cache: true, ..refreshed };
        let max_stale = |seconds| RequestDirectives {
            max_stale: Some(MaxStale::Within(seconds)),
            ..Default::default()
        };
        let cases = [
            (None, &refreshed, 115_000, Reuse::UseStale { age_secs: 20 }),
            (None, &refreshed, 116_999, Reuse::UseStale { age_secs: 21 }),
            (None, &refreshed, 117_000, Reuse::Fetch(MissReason::Stale)),
            // Nobody has to be asked where the client takes it as it is.
            (Some(max_stale(1)), &refreshed, 116_000, Reuse::Use { age_secs: 21 }),
            (Some(max_stale(1)), &refreshed, 116_001, Reuse::UseStale { age_secs: 21 }),
            (Some(max_stale(1)), &STORED, 116_001, Reuse::Fetch(MissReason::Stale)),
            (None, &never_unasked, 100_000, Reuse::Fetch(MissReason::Stale)),
            (Some(max_stale(1)), &never_unasked, 115_000, Reuse::Fetch(MissReason::Stale)),
        ];
        for (request, stored, now, expected) in cases {
            assert_eq!(reuse(request.as_ref(), stored, now), expected, "{request:?} {now}");
        }
    }

    #[test]
    fn ages() {
        assert_eq!((STORED.age(105_000), STORED.remaining(105_000)), (10_000, 10_000));
        assert_eq!((STORED.staleness(105_000), STORED.staleness(118_000)), (0, 3_000));
        assert!(STORED.is_fresh(114_999) && !STORED.is_fresh(115_000));
    }

    proptest! {
        #[test]
        fn no_numbers_panic(
            received: u64, initial_age: u64, lifetime: u64, now: u64,
            max_age: Option<u32>, min_fresh: Option<u32>,
        ) {
            let stored = StoredFreshness { received, initial_age, lifetime, ..STORED };
            let request = RequestDirectives { max_age, min_fresh, ..Default::default() };
            let found = reuse(Some(&request), &stored, now);
            let used = matches!(found, Reuse::Use { .. });
            prop_assert!(!used || stored.is_fresh(now));
            let stale = matches!(found, Reuse::UseStale { .. });
            prop_assert!(!stale);
        }
    }
}
