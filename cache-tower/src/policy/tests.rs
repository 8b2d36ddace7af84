//! What holds for the folder as a whole.

use std::collections::HashSet;
use std::fmt::Debug;

use super::*;

fn assert_names<R: Copy + Debug>(all: &[R], as_str: fn(R) -> &'static str) {
    let names: HashSet<_> = all.iter().map(|reason| as_str(*reason)).collect();
    assert_eq!(names.len(), all.len(), "every reason has a name of its own");
    for name in names {
        // A token of RFC 8941 §3.3.4, as Cache-Status needs it.
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn every_reason_has_one_name() {
    use MissReason::{Request, Stale, UriMiss, VaryMiss};

    let misses = [UriMiss, VaryMiss, Stale, Request];
    assert_names(BypassReason::ALL, BypassReason::as_str);
    assert_names(NoStore::ALL, NoStore::as_str);
    assert_names(&misses, MissReason::as_str);
}
