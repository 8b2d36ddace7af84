//! The same exchanges through the service and through the crate `http-cache-semantics`: who
//! answers the later request from the store? Where the two differ, the list says why we are right.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};

use super::heads::{Case, Line};
use super::oracle::{Verdict, may_reuse};
use super::rig::{Outcome, Rig, exchange, later};
use super::seeds;
use crate::policy::origin::{HIT, fields, request, told};

/// A difference that is meant.
struct Difference {
    /// The section that makes us right, and what the other does.
    why: &'static str,
    /// Whether we are the one that answers from the store.
    we_reuse: bool,
    /// Whether it explains a case; of which the oracle says this.
    applies: fn(&Case, Verdict) -> bool,
}

const fn we_reuse(why: &'static str, applies: fn(&Case, Verdict) -> bool) -> Difference {
    Difference { why, we_reuse: true, applies }
}

const fn they_reuse(why: &'static str, applies: fn(&Case, Verdict) -> bool) -> Difference {
    Difference { why, we_reuse: false, applies }
}

const DIFFERENCES: [Difference; 21] = [
    we_reuse("RFC 9111 §3: only must-understand asks for a known status", |case, _| {
        ![200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501]
            .contains(&case.status)
    }),
    we_reuse(
        "RFC 9111 §5.2.2.3: a known status makes must-understand win over no-store",
        |case, _| says(case, "must-understand") && says(case, "no-store"),
    ),
    we_reuse("RFC 9111 §5.2.2.4, §5.2.2.7: a list of fields is about these only", |case, _| {
        says(case, "private=\"x") || says(case, "no-cache=\"x")
    }),
    we_reuse("RFC 9111 §5.2.2.8: proxy-revalidate is about stale responses", |case, _| {
        says(case, "proxy-revalidate")
    }),
    we_reuse("RFC 9111 §5.2: names are compared in any case", |case, _| {
        case.response.iter().any(|(_, value)| value.contains("MAX-AGE"))
    }),
    we_reuse("RFC 9111 §5.2: what is quoted is no directive", |case, _| {
        says(case, "x=\"no-store") || says(case, "x=\"a")
    }),
    we_reuse("RFC 9111 §1.2.2: a number that is too large is a large number", |case, _| {
        says(case, "=999999")
    }),
    we_reuse("RFC 9111 §4, RFC 9110 §9.3.2: the response to GET answers HEAD", |case, _| {
        case.later_method == "HEAD"
    }),
    we_reuse("RFC 9111 §5.4: Pragma says nothing beside Cache-Control", |case, _| {
        has(&case.later, "pragma") && has(&case.later, "cache-control")
    }),
    they_reuse(
        "RFC 9111 §4.2.1: max-age without a number leaves nothing to Expires",
        |case, verdict| {
            let directives = text(&case.response, "cache-control");
            let bare = directives.split(',').any(|directive| directive.trim() == "max-age");
            is_too_old(verdict) && bare && has(&case.response, "expires")
        },
    ),
    they_reuse("RFC 9111 §5.1: of a list in Age the first member counts", |case, verdict| {
        is_too_old(verdict) && text(&case.response, "age").contains(',')
    }),
    they_reuse(
        "RFC 9111 §4.2.3: the origin's delay and its Date count into the age",
        |case, verdict| is_too_old(verdict) && (case.delay > 0 || has(&case.response, "date")),
    ),
    they_reuse(
        "RFC 9111 §4.2.1: of several values the first, or none; we take the smallest",
        |case, verdict| {
            verdict.is_ok()
                && (says_twice(case, "max-age")
                    || says_twice(case, "s-maxage")
                    || text(&case.response, "expires").contains(" gmt,"))
        },
    ),
    they_reuse("RFC 9111 §3.5: two values of a directive are no must-revalidate", |_, verdict| {
        verdict == Err("§3.5")
    }),
    they_reuse("RFC 9111 §5.2: no-store in any case", |_, verdict| verdict == Err("§5.2.2.5")),
    they_reuse("RFC 9111 §4.1: all lines of a field select, not the first", |case, verdict| {
        verdict == Err("§4.1") && text(&case.later, "x-a") != text(&case.request, "x-a")
    }),
    they_reuse(
        "RFC 9111 §3, RFC 9110 §9.3.3: no HEAD is stored, nor POST without Content-Location",
        |_, verdict| verdict == Err("§3 method") || verdict == Err("§4 method"),
    ),
    they_reuse(
        "RFC 9111 §5.2.1.1: a limit in any case, and 0 for one that can't be read",
        |_, verdict| verdict == Err("§5.2.1.1"),
    ),
    they_reuse(
        "RFC 9111 §5.2.1.1: max-age=0, or one that can't be read, asks for validation at any moment",
        |case, verdict| {
            let asked = text(&case.later, "cache-control");
            verdict.is_ok() && (asked.contains("max-age=0") || asked.contains("max-age=x"))
        },
    ),
    they_reuse(
        "RFC 9111 §5.2.1.5: who says no-store is kept away from the store",
        |case, verdict| verdict.is_ok() && text(&case.later, "cache-control").contains("no-store"),
    ),
    they_reuse(
        "beyond the RFC: no cookies are stored, and credentials need a word of the origin",
        |_, verdict| verdict == Err("set-cookie") || verdict == Err("authorization"),
    ),
];

/// Stale, or fresh for less time than the client wants.
fn is_too_old(verdict: Verdict) -> bool {
    matches!(verdict, Err("§4.2.4" | "§4.2.4 prohibited" | "§5.2.1.3"))
}

fn has(lines: &[Line], name: &str) -> bool {
    lines.iter().any(|(found, _)| *found == name)
}

/// All of a field, in lower case.
fn text(lines: &[Line], name: &str) -> String {
    let values: Vec<_> =
        lines.iter().filter(|(found, _)| *found == name).map(|(_, value)| value.as_str()).collect();
    values.join(",").to_lowercase()
}

fn says(case: &Case, directive: &str) -> bool {
    text(&case.response, "cache-control").contains(directive)
}

fn says_twice(case: &Case, directive: &str) -> bool {
    text(&case.response, "cache-control").matches(directive).count() > 1
}

fn is_fresh_to_them(case: &Case, outcome: &Outcome) -> bool {
    let lines = |lines: &[Line]| {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields(&lines)
    };
    let at = |millis: u64| -> SystemTime { UNIX_EPOCH + Duration::from_millis(millis) };
    let asked = |method: &str, uri: &str, head: &[Line]| {
        let mut request = request(method, uri, &[]);
        request.headers_mut().extend(lines(head));
        request
    };
    let mut response = Response::new(());
    *response.status_mut() = case.status.try_into().expect("a status");
    *response.headers_mut() = lines(&case.response);
    let options = CacheOptions {
        cache_heuristic: 0.0,
        immutable_min_time_to_live: Duration::ZERO,
        ..CacheOptions::default()
    };
    let first = asked(case.method, "/a", &case.request);
    let received = at(outcome.received);
    let policy = CachePolicy::new_options(&first, &response, received, options);
    let uri = if case.elsewhere { "/b" } else { "/a" };
    let later = asked(case.later_method, uri, &case.later);
    let found = policy.before_request(&later, at(outcome.asked_again));
    policy.is_storable() && matches!(found, BeforeRequest::Fresh(_))
}

/// Left out: what the other does not know, and what it calls stale but serves.
fn comparable(case: &Case) -> bool {
    case.write.is_none()
        && !has(&case.later, "range")
        && !text(&case.later, "cache-control").contains("max-stale")
        && !text(&case.response, "cache-control").contains("stale-while-revalidate")
}

const CASES: u64 = 20_000;

#[tokio::test]
async fn each_difference_to_another_implementation_is_meant() {
    let mut rig = Rig::new();
    let mut both = 0;
    let mut met = BTreeMap::<_, u64>::new();
    let (seeds, enough) = seeds(CASES);
    for seed in seeds {
        let case = Case::of(seed, rig.now());
        if !comparable(&case) {
            continue;
        }
        let outcome = rig.run(&case).await;
        let ours = told(&outcome.later).split("; ").any(|part| part == HIT);
        if ours == is_fresh_to_them(&case, &outcome) {
            both += u64::from(ours);
            continue;
        }
        let verdict = may_reuse(&exchange(&case, &outcome), &later(&case, &outcome));
        let difference = DIFFERENCES
            .iter()
            .find(|difference| difference.we_reuse == ours && (difference.applies)(&case, verdict));
        let Some(difference) = difference else {
            panic!("we reuse: {ours}, and they don't agree; the oracle: {verdict:?}; {case:#?}");
        };
        *met.entry(difference.why).or_default() += 1;
    }
    if enough {
        assert!(both > CASES / 10, "only {both} of {CASES} were answered from both stores");
        let unmet: Vec<_> = DIFFERENCES
            .iter()
            .map(|known| known.why)
            .filter(|why| !met.contains_key(why))
            .collect();
        assert!(unmet.is_empty(), "no longer different: {unmet:#?}; {met:#?}");
    }
}
