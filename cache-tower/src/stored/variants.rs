//! How many variants of one URI are kept: those used lately.
//!
//! A client chooses what its `Accept-Language` says, and so how many variants there are of a URI.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::Evictable;

/// The variants stored under one marker, the one used last at the end. Of those in the store, the
/// ones that this process has stored or served.
#[derive(Debug, Default)]
pub(crate) struct Variants(Mutex<Vec<Evictable>>);

impl Variants {
    /// Notes that a variant was stored or found, and names those that have to go for it.
    pub(crate) fn admit(&self, variant: Evictable, limit: usize) -> Vec<Evictable> {
        let mut known = self.lock();
        known.retain(|other| other.hash() != variant.hash());
        known.push(variant);
        let too_many = known.len().saturating_sub(limit.max(1));
        known.drain(..too_many).collect()
    }

    /// Notes that a variant was used. Allocates nothing.
    pub(crate) fn touch(&self, hash: u128) {
        let mut known = self.lock();
        // From the end: what is used is mostly what was used before.
        if let Some(at) = known.iter().rposition(|variant| variant.hash() == hash)
            && let Some(later) = known.get_mut(at..)
        {
            later.rotate_left(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Evictable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cache_core::{Cache, Key};

    use super::*;

    #[test]
    fn the_least_recently_used_go_first() {
        let values = Cache::builder().memory().build().unwrap().namespace("n");
        let variant = |name: &'static str| {
            let key = values.prepare(&Key::from(name), name.as_bytes()).unwrap();
            values.evictable(&key)
        };
        let variants = Variants::default();
        for name in ["a", "b", "c"] {
            assert!(variants.admit(variant(name), 3).is_empty());
        }
        // Known already; used; unknown.
        assert!(variants.admit(variant("a"), 3).is_empty());
        variants.touch(variant("b").hash());
        variants.touch(variant("x").hash());
        let hashes = |gone: Vec<Evictable>| gone.iter().map(Evictable::hash).collect::<Vec<_>>();
        assert_eq!(hashes(variants.admit(variant("d"), 3)), [variant("c").hash()]);
        assert_eq!(hashes(variants.admit(variant("e"), 3)), [variant("a").hash()]);
        // A smaller limit, and none at all, which would keep nothing.
        let gone = hashes(variants.admit(variant("f"), 2));
        assert_eq!(gone, [variant("b").hash(), variant("d").hash()]);
        assert_eq!(variants.admit(variant("g"), 0).len(), 2);
    }
}
