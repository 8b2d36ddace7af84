//! Header names and values that come again and again, kept for ever in a table of bounded size.
//!
//! A hit clones and drops every line of a response's head. What was cut out of an entry's bytes
//! counts references, twice for each line and with all processors on the same counter; what lives
//! for ever does not. Only what is met a second time gets a place, which it never loses.
//!
//! ```text
//! let value = intern::value(bytes);    // a place in `bytes`, or the one all such values share
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const PLACES: usize = 1024;
/// Longer ones are seldom the same.
const MAX_LENGTH: usize = 64;

/// At most [`PLACES`] texts of [`MAX_LENGTH`] bytes.
struct Table<T> {
    /// So that nobody outside can choose collisions.
    seed: u64,
    places: Box<[Place<T>]>,
}

struct Place<T> {
    known: OnceLock<T>,
    /// The hash of what would have been put here last.
    met: AtomicU64,
}

static NAMES: LazyLock<Table<HeaderName>> = LazyLock::new(Table::new);
static VALUES: LazyLock<Table<HeaderValue>> = LazyLock::new(Table::new);

/// A name in lower case; `None` if it is none.
pub(crate) fn name(text: &[u8]) -> Option<HeaderName> {
    let is_it = |known: &HeaderName| known.as_str().as_bytes() == text;
    let make = || HeaderName::from_lowercase(text).ok();
    let forever = |name: HeaderName| HeaderName::from_static(name.as_str().to_owned().leak());
    NAMES.get(text, is_it, || make().map(forever)).or_else(make)
}

/// A value; `None` if it is none.
pub(crate) fn value(text: Bytes) -> Option<HeaderValue> {
    let is_it = |known: &HeaderValue| known.as_bytes() == text;
    let forever = || {
        let value = HeaderValue::from_bytes(&text).ok()?;
        let text: &'static [u8] = value.as_bytes().to_owned().leak();
        HeaderValue::from_maybe_shared(Bytes::from_static(text)).ok()
    };
    let known = VALUES.get(&text, is_it, forever);
    known.or_else(|| HeaderValue::from_maybe_shared(text).ok())
}

impl<T: Clone> Table<T> {
    fn new() -> Self {
        let place = |_| Place { known: OnceLock::new(), met: AtomicU64::new(0) };
        Self { seed: fastrand::u64(..), places: (0..PLACES).map(place).collect() }
    }

    /// The one that all such texts share, if there is one or it is time to have one, made by
    /// `forever`; what that leaves in memory, stays.
    fn get(
        &self,
        text: &[u8],
        is_it: impl Fn(&T) -> bool,
        forever: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let hash = xxh3_64_with_seed(text, self.seed);
        let place = self.places.get(usize::try_from(hash % PLACES as u64).ok()?)?;
        if let Some(known) = place.known.get() {
            return is_it(known).then(|| known.clone());
        }
        if place.met.swap(hash, Ordering::Relaxed) != hash {
            return None;
        }
        // Two at once leave one copy too many behind, once for a place.
        let made = forever()?;
        let known = place.known.get_or_init(|| made);
        is_it(known).then(|| known.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(table: &Table<Bytes>, text: &str) -> Option<Bytes> {
        let forever = || Some(Bytes::copy_from_slice(text.as_bytes()));
        table.get(text.as_bytes(), |known| known == text, forever)
    }

    #[test]
    fn the_second_gets_a_place_and_all_later_ones_share_it() {
        let table = Table::new();
        assert_eq!(of(&table, "text/html"), None);
        let first = of(&table, "text/html").unwrap();
        assert_eq!(first, "text/html");
        assert_eq!(of(&table, "text/html").unwrap().as_ptr(), first.as_ptr());
        assert_eq!(of(&table, "text/plain"), None);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let table = Table::new();
        let long = "x".repeat(MAX_LENGTH + 1);
        for n in 0..3 * PLACES {
            for _ in 0..3 {
                let text = n.to_string();
                assert!(of(&table, &text).is_none_or(|known| known == text));
                assert_eq!(of(&table, &long), None);
            }
        }
        let taken = table.places.iter().filter(|place| place.known.get().is_some()).count();
        assert!(taken > PLACES / 2, "{taken}");
    }

    #[test]
    fn what_is_no_name_or_value_is_none_however_often() {
        for _ in 0..3 {
            assert_eq!(name(b"x-name").unwrap(), "x-name");
            assert_eq!(name(b"X-Name"), None);
            assert_eq!(name(b"na me"), None);
            assert_eq!(value(Bytes::from_static(b"\xff obs")).unwrap().as_bytes(), b"\xff obs");
            assert_eq!(value(Bytes::from_static(b"a\r\nb")), None);
        }
    }
}
