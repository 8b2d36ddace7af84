//! The decisions of a shared HTTP cache (RFC 9111), and nothing else: no async, no I/O, no clock.
//!
//! Every function takes header maps and numbers and returns a number, a list or an enum; times are
//! unix milliseconds ([`Millis`]) that the caller has read. Whatever a header holds, nothing here
//! panics: what can't be understood is read in the way that caches less.
//!
//! In the order in which one request meets them:
//!
//! | file | question | answer |
//! |---|---|---|
//! | `request` | may the cache serve this request at all? | [`Admission`] |
//! | `reuse` | may this stored response answer it now? | [`Reuse`] |
//! | `stale` | may it be used though it is stale? | `bool` |
//! | `revalidate` | what is the origin asked, and what does its 304 change? | header maps |
//! | `head` | what does a response to HEAD say of it? | [`HeadTells`] |
//! | `validate` | is the client's own copy still good (304)? | `bool` |
//! | `range` | which part of it does the client want (206, 416)? | [`Ranged`] |
//! | `combine` | which parts of it make one? | [`Part`] |
//! | `storable` | may the origin's response be stored, for how long? | [`Storable`] or [`NoStore`] |
//! | `post` | is the response to a POST what a GET would bring? | [`PostTells`] |
//! | `headers` | which of its headers are stored? | a header map |
//! | `vary` | which request headers select between variants? | [`Vary`] |
//! | `groups` | with which others is it invalidated (RFC 9875)? | names |
//! | `invalidate` | which URIs does a write make obsolete? | paths |
//!
//! Below them: `directives` (`Cache-Control`, typed) with its grammar in `syntax`, `targeted` (what
//! takes its place for caches such as this, RFC 9213), `freshness` (lifetime and age, RFC 9111
//! §4.2) with `assigned` and `heuristic` (lifetimes for what has none), `field` (lists, numbers and
//! dates inside a field value), `structured` (the values of RFC 9651).
//!
//! What outsiders write is fuzzed too (`fuzz`); longer than the unit tests do with
//! `PROPTEST_CASES=200000 cargo test --release -p cache-tower --lib fuzz`.
//!
//! ```text
//! let admission = admit(request.method(), request.headers(), has_body);
//! // .. fetched from the origin:
//! let stored = storable(facts, status, &headers, &StoreRules::default(), exchange)?;
//! let received = exchange.response_received;
//! let template = StoredFreshness::new(stored.freshness, &stored.directives, received);
//! // .. later, for the next request:
//! match reuse(None, &template, now) {
//!     Reuse::Use { age_secs } => serve(age_secs),
//!     Reuse::Fetch(reason) => fetch(reason),
//! }
//! ```

/// Milliseconds: since the unix epoch for a point in time, else a duration.
pub(crate) type Millis = u64;

/// Of delta-seconds.
fn millis(seconds: u32) -> Millis {
    Millis::from(seconds) * 1000
}

/// Declares a set of refusals, each with the one name that status, metrics and logs use for it.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $token:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every reason, in the order of their declaration.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name users see: lower case, words joined by `-`.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $token),+ }
            }
        }
    };
}

mod assigned;
mod combine;
mod directives;
mod field;
mod freshness;
mod groups;
mod head;
mod headers;
mod heuristic;
mod invalidate;
mod post;
mod range;
mod request;
mod reuse;
mod revalidate;
mod stale;
mod storable;
mod structured;
mod syntax;
mod targeted;
mod validate;
mod vary;

pub(crate) use assigned::{Assigned, is_risky_error};
pub(crate) use combine::{Part, combined_headers, has_strong_validator, share_strong_validator};
pub(crate) use directives::{FieldForm, RequestDirectives, ResponseDirectives};
pub(crate) use freshness::{Exchange, Freshness, FreshnessSource, current_age};
pub(crate) use groups::{CACHE_GROUPS, groups, invalidated_groups};
pub(crate) use head::{HeadSubject, HeadTells, head_tells};
pub(crate) use headers::{content_length, stored_headers};
pub(crate) use heuristic::Heuristic;
pub(crate) use invalidate::{Base, affected, normal_authority};
pub(crate) use post::{PostTells, is_post_for_all, post_tells};
pub(crate) use range::{Ranged, part_headers, ranged, unsatisfiable_headers};
pub(crate) use request::{
    Admission, Admitted, BypassReason, admit, admit_query, admit_regardless, is_query, is_safe,
};
pub(crate) use reuse::{MissReason, Reuse, StoredFreshness, reuse};
pub(crate) use revalidate::{add_conditions, freshened, has_validator, is_about, varies_otherwise};
pub(crate) use stale::{Failure, kept_stale, on_error};
pub(crate) use storable::{
    Audience, NoStore, RequestFacts, Storable, StoreRules, is_without_content, storable,
};
pub(crate) use targeted::applicable;
pub(crate) use validate::{is_conditional, not_modified, not_modified_headers, strip_conditionals};
pub(crate) use vary::{Normalize, Vary, VaryFields};

#[cfg(test)]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
