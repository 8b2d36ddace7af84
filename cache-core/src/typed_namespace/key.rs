//! How values of a type become keys.

use std::borrow::Cow;

use crate::key::Key;

/// A type whose values are keys of a [`TypedNamespace`](crate::TypedNamespace): texts, numbers,
/// tuples of those, and what an application makes one.
///
/// Two values that differ must make keys that differ. Keys that are made of
/// [segments](Key::from_segments), one for each field, or of a tuple, do.
///
/// ```
/// use cache_core::{CacheKey, Key};
///
/// struct ReportKey {
///     workspace: String,
///     report: u64,
/// }
///
/// impl CacheKey for ReportKey {
///     fn cache_key(&self) -> Key {
///         Key::workspace(&self.workspace).segment(self.report.to_string())
///     }
/// }
///
/// let key = ReportKey { workspace: "ws1".into(), report: 42 };
/// assert_eq!(key.cache_key().as_str(), "ws1:42");
/// assert_eq!(("ws1", 42).cache_key().as_str(), "ws1:42");
/// assert_ne!(("a:b", "c").cache_key(), ("a", "b:c").cache_key());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache key",
    note = "implement `CacheKey` for it, or use a text, a number, or a tuple of those"
)]
pub trait CacheKey {
    /// The key.
    fn cache_key(&self) -> Key;
}

/// A part of a key that is a tuple: one segment.
pub trait KeySegment {
    /// The text of the segment; of different values a different one.
    fn key_segment(&self) -> Cow<'_, str>;
}

/// As [`Key::from`], it is split at `:`.
impl CacheKey for str {
    fn cache_key(&self) -> Key {
        Key::from(self)
    }
}

impl CacheKey for String {
    fn cache_key(&self) -> Key {
        Key::from(self)
    }
}

impl CacheKey for Key {
    fn cache_key(&self) -> Key {
        self.clone()
    }
}

impl<K: CacheKey + ?Sized> CacheKey for &K {
    fn cache_key(&self) -> Key {
        (**self).cache_key()
    }
}

impl KeySegment for str {
    fn key_segment(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl KeySegment for String {
    fn key_segment(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl<S: KeySegment + ?Sized> KeySegment for &S {
    fn key_segment(&self) -> Cow<'_, str> {
        (**self).key_segment()
    }
}

macro_rules! plain_keys {
    ($($type:ty),*) => { $(
        impl KeySegment for $type {
            fn key_segment(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }

        impl CacheKey for $type {
            fn cache_key(&self) -> Key {
                Key::from_segments([self.key_segment()])
            }
        }
    )* };
}

plain_keys!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char);

macro_rules! tuple_keys {
    ($($name:ident $part:ident),*) => {
        impl<$($name: KeySegment),*> CacheKey for ($($name,)*) {
            fn cache_key(&self) -> Key {
                let ($($part,)*) = self;
                Key::from_segments([$($part.key_segment()),*])
            }
        }
    };
}

tuple_keys!(A a);
tuple_keys!(A a, B b);
tuple_keys!(A a, B b, C c);
tuple_keys!(A a, B b, C c, D d);
tuple_keys!(A a, B b, C c, D d, E e);
tuple_keys!(A a, B b, C c, D d, E e, F f);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_makes_keys_that_differ() {
        assert_eq!("a:b".cache_key(), Key::from("a:b"));
        assert_eq!((1u8, "x").cache_key().as_str(), "1:x");
        assert_ne!((12, 3).cache_key(), (1, 23).cache_key());
        assert_ne!(("",).cache_key(), ("", "").cache_key());
        assert_eq!((-1i64).cache_key().as_str(), "-1");
    }

    proptest! {
        #[test]
        fn tuples_are_injective(a in "[a:%*é]{0,4}", b in "[a:%*é]{0,4}", c in "[a:%*é]{0,4}", d in "[a:%*é]{0,4}") {
            let same = (&*a, &*b).cache_key() == (&*c, &*d).cache_key();
            prop_assert_eq!(same, (a, b) == (c, d));
        }

        #[test]
        fn texts_are_injective(a in "[a:%*é]{0,4}", b in "[a:%*é]{0,4}") {
            prop_assert_eq!(a.cache_key() == b.cache_key(), a == b);
        }
    }
}
